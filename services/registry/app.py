"""The only place where registry's parts meet."""

from common.http import create_app
from common.parts import Parts, Service
from registry import service
from registry.adapters.notifier import Sender
from registry.adapters.seed import read_roles, read_seed
from registry.router import ROUTERS
from registry.router.desk import Desk
from registry.settings import Settings


def build(settings: Settings, parts: Parts) -> Service:
    """Put the service together; nothing runs yet."""
    roles = read_roles()
    sender = Sender(settings.url_of("notifier"), parts.tokens)
    desk = Desk(roles=roles, loopback=settings.allow_loopback, stop_sending=sender.stop_sending)

    async def seed() -> None:
        async with parts.db.transaction() as session:
            await service.load_seed(session, read_seed(), roles=roles, now=parts.now)

    return Service(
        name="registry",
        app=create_app(parts, title="Dabyl registry", routers=ROUTERS, state={"desk": desk}),
        prepare=[seed],
        close=[sender.close],
    )

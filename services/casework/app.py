"""The only place where casework's parts meet."""

from casework.adapters.seals import Seals
from casework.consumers import effects
from casework.router import ROUTERS
from casework.router.desk import Desk
from casework.settings import Settings
from common.http import create_app
from common.parts import Parts, Service


def build(_settings: Settings, parts: Parts) -> Service:
    """Put the service together; nothing runs yet, no key is read."""
    seals = Seals(parts.keys)
    taken = effects(seals.open_assignees, seals.open_shut_out, seals)
    app = create_app(
        parts, title="Dabyl casework", routers=ROUTERS, effects=taken, state={"desk": Desk(seals)}
    )
    return Service(name="casework", app=app, effects=taken)

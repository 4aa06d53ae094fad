"""The only place where intake's parts meet."""

from datetime import timedelta
from functools import partial

from common.http import create_app
from common.parts import Job, Parts, Service
from intake import jobs
from intake.adapters.cabinet import Cabinet
from intake.consumers import effects
from intake.router import router
from intake.service import Room
from intake.settings import Settings


def build(_settings: Settings, parts: Parts) -> Service:
    """Put the service together; touches neither keys nor database."""
    cabinet = Cabinet(parts.keys)
    room = Room(seals=cabinet, now=parts.now)
    taken = effects(room)
    app = create_app(
        parts,
        title="Dabyl intake",
        routers=[router],
        effects=taken,
        state={"room": room},
    )
    return Service(
        name="intake",
        app=app,
        effects=taken,
        jobs=[Job("forget_keys", timedelta(hours=1), partial(jobs.forget_keys, parts))],
    )

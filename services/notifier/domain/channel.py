"""The port to the outside world: what a worker hands to an adapter and what it gets back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from notifier.domain.address import Network
from notifier.domain.delivery import Outcome

WEBHOOK = "webhook"
"""The kind that must sign: an endpoint without a key is never sent to."""

ASYMMETRIC = b"v1a:"
"""Begins a key of scheme v1a: then 32 bytes of an Ed25519 seed. A key of scheme v1 is 32 bytes alone."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt, complete: an adapter reads nothing else.

    Attributes:
        kind: which channel carries it.
        delivery_id: also the ``webhook-id``, the same on every repeat, so that receivers can tell one.
        url: where to send, in the form of its kind.
        body: the stored bytes of the notice.
        keys: signing keys, newest first; several while one is being replaced, none where a channel
            needs none.
        timeout: the longest the attempt may take, connecting included.
        is_test: nobody need do anything; a channel that says something of its own has to say so.
    """

    delivery_id: UUID
    url: str = field(repr=False)
    body: bytes
    keys: tuple[bytes, ...] = field(repr=False)
    timeout: timedelta
    kind: str = "webhook"
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt; never any text of the other side.

    Attributes:
        outcome: how it ended.
        status: HTTP status where there was one.
        retry_after: how long they asked us to wait.
    """

    outcome: Outcome
    status: int | None = None
    retry_after: timedelta | None = None


class Channel(Protocol):
    """A way to send. An adapter never raises for what the other side did: that is an outcome."""

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        """Make one attempt; ``now`` is signed into it."""

    async def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What a plug-in is made with.

    Attributes:
        allowed: networks that may be dialled although they are special (embedded stack: loopback).
        secret: 32 bytes of this installation, for what a channel must recognise again.
        settings: of this installation, by name; a plug-in's own are ``NOTIFIER_<KIND>_*`` in lower case
            without the prefix, e.g. ``x_fax_line`` for kind ``x-fax``.
    """

    allowed: tuple[Network, ...] = ()
    secret: bytes = field(default=bytes(32), repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


ChannelFactory = Callable[[Outfit], Channel | None]
"""What a plug-in registers under its kind; ``None`` when its settings are not given."""

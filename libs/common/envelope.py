"""CloudEvents 1.0 structured mode on the wire, around the published language."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from common.contracts import REGISTRY, Event

CONTENT_TYPE = "application/cloudevents+json"
_FORMAT = JSONFormat()
_REQUIRED = {"id", "source", "type", "specversion", "time", "subject", "data"}
_AWARE: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class UnreadableEvent(Exception):
    """This message is not an event that we know."""


@dataclass(frozen=True)
class Envelope:
    """An event with its id, its subject and the trace it belongs to."""

    id: UUID
    event: Event
    time: datetime
    subject: UUID
    traceparent: str | None


def encode(envelope: Envelope) -> bytes:
    """The CloudEvent as bytes; ``source`` is ``/<publisher>``, ``dataclassification`` is ``internal``."""
    kind = type(envelope.event)
    attributes: dict[str, Any] = {
        "id": str(envelope.id),
        "source": f"/{kind.publisher}",
        "type": kind.type,
        "specversion": "1.0",
        "time": envelope.time,
        "subject": str(envelope.subject),
        "datacontenttype": "application/json",
        "dataschema": f"https://dabyl.kz/schemas/{kind.type}.json",
    }
    if envelope.traceparent:
        attributes["traceparent"] = envelope.traceparent
    return _FORMAT.write(CloudEvent(attributes, envelope.event.model_dump(mode="json")))


def _new_event(attributes: dict[str, Any], data: Any) -> CloudEvent:
    return CloudEvent(attributes, data)


_MAKE: Callable[..., CloudEvent] = _new_event


def _refuse_incomplete(on_wire: dict[str, Any]) -> None:
    """The library invents an id or a time that is missing: the same event would then take effect twice."""
    missing = _REQUIRED - on_wire.keys()
    if missing:
        raise KeyError(*missing)


def decode(body: bytes) -> Envelope:
    """Read a CloudEvent.

    Raises:
        UnreadableEvent: not JSON, not a CloudEvent, of an unknown type, or with other data.
    """
    try:
        _refuse_incomplete(json.loads(body))
        read = _FORMAT.read(_MAKE, body)
        kind = REGISTRY[read.get_type()]
        data = read.get_data()
        return Envelope(
            id=UUID(read.get_id()),
            event=kind.model_validate_json(json.dumps(data)),
            time=_AWARE.validate_python(read.get_time()),
            subject=UUID(str(read.get_subject())),
            traceparent=read.get_extension("traceparent"),
        )
    # The library raises AttributeError, KeyError and its own kinds on malformed bodies (measured).
    except (ValidationError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UnreadableEvent from error
    except Exception as error:
        if type(error).__module__.startswith("cloudevents"):
            raise UnreadableEvent from error
        raise

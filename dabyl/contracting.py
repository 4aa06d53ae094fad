"""Writes ``contracts/``: what the code says on the wire, as documents that others can read and compare.

``python -m dabyl.contracting`` writes; with ``--check`` it writes nothing and fails where a file is stale.
Nothing is decided here: events come from ``common.contracts``, queues from ``common.bus.topology``,
operations from each service's app.
"""

import importlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from common.bus.topology import EXCHANGE_KINDS, PARKED, Exchange, Queue, event_queue, lane_queue
from common.contracts import REGISTRY, Event
from common.envelope import CONTENT_TYPE
from common.identity import SERVICES
from common.keys import KeyRing
from common.parts import Parts, Service
from common.settings import ServiceSettings
from gateway.domain.document import merge

FOLDER = Path(__file__).parents[1] / "contracts"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
AMQP_BINDING = "0.3.0"
PUBLIC_SERVER = "https://dabyl.example"


def title_of(kind: type[Event]) -> str:
    """``kz.dabyl.alert.received.v1`` → ``AlertReceived``; the class's name is the event's."""
    return kind.__name__


def schema_of(kind: type[Event]) -> dict[str, Any]:
    """JSON Schema 2020-12 of an event's ``data``."""
    made = kind.model_json_schema(mode="validation")
    return {"$schema": DIALECT, "$id": f"https://dabyl.kz/schemas/{kind.type}.json", **made}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.1.0: every event, who sends it, who receives it, and through which queue."""
    kinds = sorted(REGISTRY.values(), key=lambda kind: kind.type)
    readers = sorted({reader for kind in kinds for reader in kind.consumers})
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Dabyl events",
            "version": "1",
            "description": (
                "What the services tell each other. CloudEvents 1.0 in structured mode over AMQP 0-9-1; never"
                " personal data. An event travels at least once: its `id` is equal on every repeat. When the"
                " broker gives no confirm, the same body is posted to each reader's `/internal/events`."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {
            "broker": {
                "host": "rabbitmq:5672",
                "protocol": "amqp",
                "protocolVersion": "0-9-1",
                "description": "RabbitMQ 3.10 … 4.x",
            }
        },
        "channels": {
            **{title_of(kind): _event_channel(kind) for kind in kinds},
            **{f"{reader}Events": _reader_channel(reader) for reader in readers},
            "Lane": _lane_channel(),
            "LaneQueue": _lane_queue_channel(),
        },
        "operations": {
            **{f"send{title_of(kind)}": _send(kind) for kind in kinds},
            **{f"{reader}Receives": _receive(reader) for reader in readers},
            "sendWakeUp": _send_wake_up(),
            "notifierReceivesWakeUps": _operation("receive", "LaneQueue", ["WakeUp"], "notifier"),
        },
        "components": {
            "schemas": {"CloudEvent": _cloudevent()},
            "messages": {**{title_of(kind): _message(kind) for kind in kinds}, "WakeUp": _wake_up()},
        },
    }


def _event_channel(kind: type[Event]) -> dict[str, Any]:
    title = title_of(kind)
    return {
        "address": kind.type,
        "title": title,
        "description": _summary(kind),
        "messages": {title: {"$ref": f"#/components/messages/{title}"}},
        "bindings": _exchange(Exchange.EVENTS),
    }


def _reader_channel(reader: str) -> dict[str, Any]:
    queue = event_queue(reader)
    titles = sorted(title_of(REGISTRY[key]) for key in queue.keys)
    return {
        "address": queue.name,
        "title": f"Events that {reader} reads",
        "messages": {title: {"$ref": f"#/components/messages/{title}"} for title in titles},
        "bindings": _queue(queue),
        **_arguments(queue),
    }


def _lane_channel() -> dict[str, Any]:
    return {
        "address": "{endpoint}",
        "title": "Wake-ups of one lane",
        "description": "Pointers to due deliveries of one push endpoint; the table is the truth.",
        "parameters": {"endpoint": {"description": "id of the endpoint"}},
        "messages": {"WakeUp": {"$ref": "#/components/messages/WakeUp"}},
        "bindings": _exchange(Exchange.LANES),
    }


def _lane_queue_channel() -> dict[str, Any]:
    queue = lane_queue("{endpoint}")
    return {
        "address": queue.name,
        "title": "The queue of one lane",
        "parameters": {"endpoint": {"description": "id of the endpoint"}},
        "messages": {"WakeUp": {"$ref": "#/components/messages/WakeUp"}},
        "bindings": _queue(queue),
        **_arguments(queue),
    }


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "amqp": {
            "is": "routingKey",
            "exchange": {
                "name": str(exchange), "type": EXCHANGE_KINDS[exchange], "durable": True, "autoDelete": False,
                "vhost": "/",
            },
            "bindingVersion": AMQP_BINDING,
        }
    }  # fmt: skip


def _queue(queue: Queue) -> dict[str, Any]:
    return {
        "amqp": {
            "is": "queue",
            "queue": {
                "name": queue.name, "durable": True, "exclusive": False, "autoDelete": False, "vhost": "/",
            },
            "bindingVersion": AMQP_BINDING,
        }
    }  # fmt: skip


def _arguments(queue: Queue) -> dict[str, Any]:
    """The binding has no place for them, and they decide what is safe."""
    return {"x-queue-arguments": queue.arguments, "x-parked-in": PARKED.name}


def _send(kind: type[Event]) -> dict[str, Any]:
    operation = _operation("send", title_of(kind), [title_of(kind)], kind.publisher)
    return operation | {"bindings": _sending(mandatory=bool(kind.consumers))}


def _send_wake_up() -> dict[str, Any]:
    return _operation("send", "Lane", ["WakeUp"], "notifier") | {"bindings": _sending(mandatory=True)}


def _sending(*, mandatory: bool) -> dict[str, Any]:
    return {"amqp": {"deliveryMode": 2, "mandatory": mandatory, "bindingVersion": AMQP_BINDING}}


def _receive(reader: str) -> dict[str, Any]:
    titles = sorted(title_of(REGISTRY[key]) for key in event_queue(reader).keys)
    operation = _operation("receive", f"{reader}Events", titles, reader)
    return operation | {"bindings": {"amqp": {"ack": True, "bindingVersion": AMQP_BINDING}}}


def _operation(action: str, channel: str, messages: list[str], service: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"} for message in messages],
        "tags": [{"name": service}],
    }


def _message(kind: type[Event]) -> dict[str, Any]:
    fixed = {
        "source": {"const": f"/{kind.publisher}"},
        "type": {"const": kind.type},
        "dataschema": {"const": f"https://dabyl.kz/schemas/{kind.type}.json"},
        "data": {"$ref": f"./schemas/{kind.type}.json"},
    }
    return {
        "name": kind.type,
        "title": title_of(kind),
        "summary": _summary(kind),
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [{"$ref": "#/components/schemas/CloudEvent"}, {"type": "object", "properties": fixed}]
        },
        "bindings": {"amqp": {"messageType": kind.type, "bindingVersion": AMQP_BINDING}},
        "tags": [{"name": kind.publisher}],
        "x-readers": list(kind.consumers),
    }


def _wake_up() -> dict[str, Any]:
    ids = {"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": 100}
    return {
        "name": "wake_up",
        "title": "WakeUp",
        "summary": "These deliveries may be due; look.",
        "contentType": CONTENT_TYPE,
        "payload": {"type": "object", "properties": {"deliveries": ids}, "required": ["deliveries"]},
        "tags": [{"name": "notifier"}],
    }


def _cloudevent() -> dict[str, Any]:
    """The part of CloudEvents 1.0 that every event of ours has."""
    uuid = {"type": "string", "format": "uuid"}
    required = (
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
    )
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**uuid, "description": "equal on every repeat"},
            "source": {"type": "string", "format": "uri-reference"},
            "type": {"type": "string"},
            "subject": {**uuid, "description": "what the event is about"},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"const": "application/json"},
            "dataschema": {"type": "string", "format": "uri"},
            "traceparent": {"type": "string", "description": "W3C trace context; inside only"},
            "data": {"type": "object"},
        },
        "required": list(required),
    }


def _summary(kind: type[Event]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def put_together(service: str, folder: Path) -> Service:
    """A service as its own ``app.build`` makes it, on parts that are never used."""
    module = importlib.import_module(f"{service}.settings")
    found = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, ServiceSettings) and kind is not ServiceSettings
    ]
    # Defaults only: a developer's own .env must not leak into what is committed.
    settings = found[0].model_construct(**{
        name: field.get_default(call_default_factory=True) for name, field in found[0].model_fields.items()
    })  # fmt: skip
    parts = Parts.open(service, settings.model_copy(update={"keys_dir": folder}))
    made: Service = importlib.import_module(f"{service}.app").build(settings, parts)
    return made


def openapi() -> dict[str, dict[str, Any]]:
    """OpenAPI 3.1 of each service, and ``public``: what the gateway shows to the outside."""
    with tempfile.TemporaryDirectory() as folder:
        documents = {
            one: put_together(one, KeyRing.create(Path(folder)).folder).app.openapi() for one in SERVICES
        }
    others: Mapping[str, Mapping[str, Any]] = {
        name: document for name, document in documents.items() if name != "gateway"
    }
    documents["public"] = merge(documents["gateway"], others, server=PUBLIC_SERVER)
    return documents


def everything() -> dict[str, str]:
    """Every generated file, by its path in ``contracts/``."""
    files = {f"schemas/{name}.json": _json(schema_of(kind)) for name, kind in REGISTRY.items()}
    note = "# Generated by `make contracts` from libs/common/contracts; do not edit.\n"
    files["asyncapi.yaml"] = note + yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    files |= {f"openapi/{name}.json": _json(document) for name, document in openapi().items()}
    return files


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def stale(files: Mapping[str, str], folder: Path = FOLDER) -> list[str]:
    """What differs from the committed files, and what is there without a reason."""
    differing = [
        name
        for name, text in files.items()
        if not (folder / name).exists() or (folder / name).read_text(encoding="utf-8") != text
    ]
    kept = {str(file.relative_to(folder)) for file in folder.glob("schemas/kz.dabyl.*.json")}
    kept |= {str(file.relative_to(folder)) for file in folder.glob("openapi/*.json")}
    return sorted([*differing, *(kept - files.keys())])


def main() -> None:
    """Write the files, or compare them."""
    files = everything()
    if "--check" in sys.argv[1:]:
        if found := stale(files):
            sys.exit(f"stale, run `make contracts`: {', '.join(found)}")
        return
    for name in stale(files):
        (FOLDER / name).unlink(missing_ok=True)
    for name, text in files.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

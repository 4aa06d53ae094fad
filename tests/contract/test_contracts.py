"""``contracts/`` says what the code does, is valid by its own standards, and names no child."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel
from referencing import Registry, Resource

from common.bus.topology import event_queue
from common.contracts import REGISTRY, Event
from common.envelope import Envelope, decode, encode
from common.ids import new_id
from common.timing import utc_now
from dabyl import contracting

KINDS = sorted(REGISTRY.values(), key=lambda kind: kind.type)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    return contracting.everything()


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((contracting.FOLDER / "asyncapi.yaml").read_text("utf-8"))
    return document


def test_what_is_committed_is_what_the_code_says(files: dict[str, str]) -> None:
    assert contracting.stale(files) == []


def test_planted_stale_missing_and_surplus_files_are_found(files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert contracting.stale(files, tmp_path) == []
    changed, gone, surplus = "asyncapi.yaml", "openapi/intake.json", "schemas/kz.dabyl.old.thing.v1.json"
    (tmp_path / changed).write_text("asyncapi: 3.0.0")
    (tmp_path / gone).unlink()
    (tmp_path / surplus).write_text("{}")
    assert contracting.stale(files, tmp_path) == sorted([changed, gone, surplus])


# --- event schemas


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_schema_is_a_schema(kind: type[Event]) -> None:
    schema = contracting.schema_of(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert schema["description"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS).flatmap(st.builds))
def test_every_event_fits_its_schema_and_survives_the_wire(event: Event) -> None:
    kind = type(event)
    on_wire = json.loads(encode(Envelope(new_id(), event, utc_now(), new_id(), None)))
    validator = Draft202012Validator(contracting.schema_of(kind), format_checker=FormatChecker(["uuid"]))
    validator.validate(on_wire["data"])
    assert not validator.is_valid({**on_wire["data"], "child_name": "Canary"})
    assert decode(json.dumps(on_wire).encode()).event == event


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_type_class_publisher_and_readers_agree(kind: type[Event]) -> None:
    noun, verb = kind.type.removeprefix("kz.dabyl.").removesuffix(".v1").split(".")
    assert kind.__name__ == "".join(part.title() for part in f"{noun}_{verb}".split("_"))
    assert kind.__module__ == f"common.contracts.{kind.publisher}"
    assert kind.publisher not in kind.consumers
    for reader in kind.consumers:
        assert kind.type in event_queue(reader).keys


# --- no child in any event

PERSONAL = {
    "name", "names", "surname", "patronymic", "firstname", "lastname", "fullname", "iin",
    "passport", "birth", "birthday", "dob", "age", "sex", "gender", "address",
    "street", "flat", "phone", "mobile", "email", "photo", "narrative", "text",
    "description", "comment", "note", "school", "education", "kindergarten", "class", "grade",
    "diagnosis", "health", "religion", "ethnicity", "nationality", "latitude", "longitude", "location",
    "ip",
}  # fmt: skip
"""Words that have no business in an event, also as part of a field's name."""

OF_ORGANISATIONS = {("AgencyRegistered", f"name_{language}") for language in ("kk", "ru", "en")}
"""Names of public bodies."""


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """(class, field) of a model and of every model inside it."""
    for name, field in model.model_fields.items():
        yield model.__name__, name
        for inner in _models_in(field.annotation):
            yield from fields_of(inner)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def personal_fields_of(model: type[BaseModel]) -> set[tuple[str, str]]:
    found = {(owner, name) for owner, name in fields_of(model) if PERSONAL & set(name.split("_"))}
    return (
        found - OF_ORGANISATIONS - {("AlertReceived", "age_band"), ("AlertFacts", "age_band")}
    )  # a band of years is not an age


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_event_has_a_field_for_something_personal(kind: type[Event]) -> None:
    assert personal_fields_of(kind) == set()


@pytest.mark.parametrize(
    "field", ["child_name", "iin", "narrative", "school_id", "home_address", "birth_date"]
)
def test_planted_personal_fields_are_found_however_deep(field: str) -> None:
    inner = type("Inner", (BaseModel,), {"__annotations__": {field: str}})
    leak = type(
        "Leak",
        (Event,),
        {"__annotations__": {"type": ClassVar[str], "many": tuple[inner, ...] | None}, "type": "x"},  # type: ignore[valid-type]  # made at run time
    )
    assert personal_fields_of(leak) == {("Inner", field)}


# --- AsyncAPI


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references_in(inner)


def resolve(document: Any, reference: str) -> Any:
    file, _, pointer = reference.partition("#")
    at = json.loads((contracting.FOLDER / file).read_text("utf-8")) if file else document
    for step in filter(None, pointer.split("/")):
        at = at[step]
    return at


def test_every_reference_leads_somewhere(asyncapi: dict[str, Any]) -> None:
    references = set(references_in(asyncapi))
    assert len(references) > 3 * len(KINDS)
    for reference in references:
        assert resolve(asyncapi, reference)


def test_every_event_is_sent_by_its_publisher_and_received_by_its_readers(asyncapi: dict[str, Any]) -> None:
    assert asyncapi["asyncapi"] == "3.1.0"
    for kind in KINDS:
        title = kind.__name__
        channel, operation = asyncapi["channels"][title], asyncapi["operations"][f"send{title}"]
        assert channel["address"] == kind.type
        assert channel["bindings"]["amqp"]["exchange"]["name"] == "ev.domain"
        assert operation["action"] == "send"
        assert operation["tags"] == [{"name": kind.publisher}]
        assert operation["bindings"]["amqp"] == {
            "deliveryMode": 2, "mandatory": bool(kind.consumers), "bindingVersion": "0.3.0",
        }  # fmt: skip
        for reader in kind.consumers:
            receiving = asyncapi["operations"][f"{reader}Receives"]
            assert receiving["action"] == "receive"
            queue = resolve(asyncapi, receiving["channel"]["$ref"])
            assert title in queue["messages"]
            assert queue["bindings"]["amqp"]["queue"]["name"] == f"ev.{reader}"
            assert queue["x-queue-arguments"]["x-queue-type"] == "quorum"


def test_an_operation_only_names_messages_of_its_channel(asyncapi: dict[str, Any]) -> None:
    for operation in asyncapi["operations"].values():
        channel = operation["channel"]["$ref"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(KINDS).flatmap(st.builds))
def test_what_is_sent_fits_the_payload_that_is_promised(event: Event) -> None:
    document = _DOCUMENT
    home = "https://dabyl.kz/asyncapi.yaml"  # beside the schemas' own ids
    resources = [(home, Resource.from_contents({"$schema": contracting.DIALECT, **document}))]
    resources += [
        (schema["$id"], Resource.from_contents(schema)) for schema in map(contracting.schema_of, KINDS)
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    payload = {"$ref": f"{home}#/components/messages/{type(event).__name__}/payload"}
    validator = Draft202012Validator(payload, registry=registry)
    on_wire = json.loads(encode(Envelope(new_id(), event, utc_now(), new_id(), None)))
    validator.validate(on_wire)
    assert not validator.is_valid({**on_wire, "type": "kz.dabyl.other.thing.v1"})
    assert not validator.is_valid({name: value for name, value in on_wire.items() if name != "id"})


_DOCUMENT = yaml.safe_load((contracting.FOLDER / "asyncapi.yaml").read_text("utf-8"))


# --- OpenAPI

DOCUMENTS = ("intake", "notifier", "casework", "registry", "gateway", "public")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_description_is_openapi_3_1(files: dict[str, str], name: str) -> None:
    document = json.loads(files[f"openapi/{name}.json"])
    assert document["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_operation_refuses_with_a_problem(files: dict[str, str], name: str) -> None:
    document = json.loads(files[f"openapi/{name}.json"])
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v1/")
    ]
    assert operations or name == "gateway"
    for method, path, operation in operations:
        problem = operation["responses"]["4XX"]["content"]["application/problem+json"]
        assert problem["schema"]["$ref"].endswith("Problem"), f"{method} {path}"


def test_internal_doors_are_not_in_the_public_description(files: dict[str, str]) -> None:
    document = json.loads(files["openapi/public.json"])
    assert not [path for path in document["paths"] if "/internal" in path]
    assert "post" in document["paths"]["/v1/alerts"]

"""The public description, made of the five committed ones."""

import json
from pathlib import Path
from typing import Any

from openapi_spec_validator import validate

from gateway.domain.document import merge, operations_of
from gateway.domain.routes import OWN, ROUTES

CONTRACTS = Path(__file__).parents[3] / "contracts" / "openapi"


def described(service: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((CONTRACTS / f"{service}.json").read_text())
    return document


def merged() -> dict[str, Any]:
    others = {name: described(name) for name in ("intake", "notifier", "casework", "registry")}
    return merge(described("gateway"), others, server="https://dabyl.example")


def test_it_is_valid_openapi() -> None:
    validate(merged())


def test_it_names_every_route_and_nothing_internal() -> None:
    shapes = {(method, _shape(path)) for method, path in operations_of(merged())}
    for route in ROUTES:
        for method in route.methods:
            assert (method, _shape(route.template)) in shapes, route.template
    for method, template in OWN:
        assert (method, _shape(template)) in shapes
    assert not [path for _method, path in operations_of(merged()) if "internal" in path or "metrics" in path]


def test_no_two_operations_share_a_name() -> None:
    document = merged()
    names = [
        document["paths"][path][method.lower()].get("operationId") for method, path in operations_of(document)
    ]
    assert len(names) == len(set(names))


def test_every_operation_behind_the_gateway_needs_a_token() -> None:
    document = merged()
    open_to_all = {
        path
        for method, path in operations_of(document)
        if document["paths"][path][method.lower()].get("security") == []
    }
    assert open_to_all == {"/livez", "/readyz", "/oauth/jwks", "/v1/reports", "/v1/statistics/alerts"}


def _shape(path: str) -> str:
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))

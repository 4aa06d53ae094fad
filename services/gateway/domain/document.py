"""One OpenAPI document out of five: only what a caller from outside can reach, names kept apart."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.domain.routes import ROUTES

_METHODS = ("get", "put", "post", "delete", "patch")
_REFERENCE = "#/components/"

SECURITY: dict[str, Any] = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "OAuth 2 access token, `at+jwt` (RFC 9068), from `POST /oauth/token`.",
    },
    "clientSecret": {
        "type": "http",
        "scheme": "basic",
        "description": "Client id and secret (RFC 6749 §2.3.1).",
    },
}


SHARED = frozenset({"Problem", "ProblemError"})
"""Components that are the same in every service."""


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "{}", path)


PUBLIC: Mapping[str, frozenset[tuple[str, str]]] = {
    service: frozenset(
        (method.lower(), _shape(route.template))
        for route in ROUTES
        if service in (route.upstream, route.fallback)
        for method in route.methods
    )
    for service in ("intake", "notifier", "casework", "registry")
}
"""Operations of each service that the gateway hands calls on to."""


OPEN: frozenset[tuple[str, str]] = frozenset(
    (method.lower(), _shape(route.template))
    for route in ROUTES
    if route.is_public
    for method in route.methods
)
"""Operations that need no token."""


def merge(own: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], *, server: str) -> dict[str, Any]:
    """The public document.

    Args:
        own: the gateway's, whole.
        others: by service; an operation that no route reaches is left out.
        server: public base URL.
    """
    merged: dict[str, Any] = {
        "openapi": own.get("openapi", "3.1.0"),
        "info": {
            "title": "Dabyl",
            "version": str(own.get("info", {}).get("version", "1")),
            "description": "One alert about a child, brought with proof to every agency that the law names.",
        },
        "servers": [{"url": server}],
        "paths": {},
        "components": {"securitySchemes": dict(SECURITY)},
    }
    _take(merged, own, "gateway", None)
    for service, document in others.items():
        _take(merged, document, service, PUBLIC[service])
    merged["paths"] = dict(sorted(merged["paths"].items()))
    return merged


def _take(
    merged: dict[str, Any],
    document: Mapping[str, Any],
    service: str,
    public: frozenset[tuple[str, str]] | None,
) -> None:
    renamed = _renamed(document, service)
    for path, operations in renamed.get("paths", {}).items():
        for method in _METHODS:
            operation = operations.get(method)
            if operation is None or (public is not None and (method, _shape(path)) not in public):
                continue
            place = merged["paths"].setdefault(_spelling(merged["paths"], path), {})
            if method in place:
                continue  # an alert is asked of notifier first, and of intake only when that has none
            operation = dict(operation)
            if "operationId" in operation:
                operation["operationId"] = f"{service}_{operation['operationId']}"
            is_open = (method, _shape(path)) in OPEN
            operation["security"] = [] if is_open else _security(operation.get("security"), service)
            place[method] = operation
    for kind, parts in renamed.get("components", {}).items():
        if kind != "securitySchemes":
            merged["components"].setdefault(kind, {}).update(parts)


def _spelling(paths: Mapping[str, Any], path: str) -> str:
    """The same path under another parameter name is the same path."""
    return next((known for known in paths if _shape(known) == _shape(path)), path)


def _security(found: Any, service: str) -> list[dict[str, list[str]]]:
    if service != "gateway":
        return [{"accessToken": []}]
    if not found:
        return []
    return [
        {("accessToken" if name == "HTTPBearer" else name): scopes for name, scopes in one.items()}
        for one in found
    ]


def _renamed(document: Mapping[str, Any], service: str) -> dict[str, Any]:
    """The document with every component named after its service."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: _reference(item) if key == "$ref" else walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    def _reference(target: Any) -> Any:
        if not isinstance(target, str) or not target.startswith(_REFERENCE):
            return target
        kind, _, name = target.removeprefix(_REFERENCE).partition("/")
        return f"{_REFERENCE}{kind}/{_named(name, kind, service)}"

    copied: dict[str, Any] = walk(dict(document))
    copied["components"] = {
        kind: {_named(name, kind, service): part for name, part in parts.items()}
        for kind, parts in copied.get("components", {}).items()
    }
    return copied


def _named(name: str, kind: str, service: str) -> str:
    return name if name in SHARED or kind == "securitySchemes" else f"{service}_{name}"


def operations_of(document: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Every (method, path) of a document."""
    for path, operations in document.get("paths", {}).items():
        for method in _METHODS:
            if method in operations:
                yield method.upper(), path

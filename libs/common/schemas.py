"""What every shape on the wire shares."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class In(BaseModel):
    """A body from outside: unknown fields are refused, nothing is coerced silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Out(BaseModel):
    """An answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class ProblemError(BaseModel):
    """One thing that is wrong: where (RFC 6901 fragment, never an unknown key) and what."""

    pointer: str
    code: str


class Problem(BaseModel):
    """RFC 9457 problem details. Nothing the caller sent is repeated."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[ProblemError] | None = None


PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "Refused; see `type`.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
    "503": {
        "description": "A part is away; try again.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
}
"""For ``responses=`` of every app; the schema they name is added by ``components_of``."""


def components_of(*shapes: type[BaseModel]) -> dict[str, Any]:
    """``components/schemas`` of an OpenAPI document: these shapes, and those they are made of."""
    found: dict[str, Any] = {}
    for shape in shapes:
        schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        found |= {**schema.pop("$defs", {}), shape.__name__: schema}
    return found

"""What Python's parser lets through and we do not: read before the framework sees the body.

Measured on FastAPI (trust.md T-07): NaN gave 500; duplicate keys, lone surrogates, NUL and 30 MB gave 200.
"""

import json
import math
from typing import Any, NoReturn

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.errors import Malformed, Refusal, TooLarge, UnsupportedMedia
from common.problems import problem_response

MAX_DEPTH = 24


class BodyNotReadable(Malformed):
    """The body is not strict JSON."""


class BodyTooLarge(TooLarge):
    """The body is larger than this call takes."""


class BodyEncoded(UnsupportedMedia):
    """Compressed bodies are not taken."""


class HeaderRepeated(Malformed):
    """A header that says what the body is was given twice."""


class AddressNotReadable(Malformed):
    """The address has characters that no address of ours has."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise BodyNotReadable("an object names the same key twice")
    return made


def _constant(_name: str) -> NoReturn:
    raise BodyNotReadable("NaN and Infinity are not JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise BodyNotReadable("a number is out of range")
    return number


def _walk(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BodyNotReadable("nested too deeply")
    if isinstance(value, str):
        if "\x00" in value:
            raise BodyNotReadable("a text holds NUL")
        value.encode()  # a lone surrogate has no UTF-8 form
    elif isinstance(value, dict):
        for key, item in value.items():
            _walk(key, depth + 1)
            _walk(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _walk(item, depth + 1)


def parse(body: bytes) -> Any:
    """Parse strict JSON (RFC 8259 in UTF-8; unique keys, finite numbers, whole Unicode, no NUL).

    Raises:
        BodyNotReadable: anything else; the message never quotes the body.
    """
    try:
        value = json.loads(
            body.decode(), object_pairs_hook=_object, parse_constant=_constant, parse_float=_float
        )
        _walk(value, 0)
    except UnicodeError as error:
        raise BodyNotReadable("not whole Unicode in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise BodyNotReadable from error
    return value


class StrictBodies:
    """ASGI middleware: bounds every body and refuses JSON that is not strict."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then hand the same body on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_address(scope)
            if scope["method"] in ("GET", "HEAD", "OPTIONS"):
                await self._app(scope, receive, send)
                return
            kind = _only(scope, b"content-type").split(b";")[0].strip().lower()
            if _only(scope, b"content-encoding") not in (b"", b"identity"):
                raise BodyEncoded
            body = await self._read(receive)
            if body is None:
                return  # the client went away
            if body and (kind == b"application/json" or kind.endswith(b"+json")):
                parse(body)
        except Refusal as refusal:
            await problem_response(refusal)(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_bytes:
                raise BodyTooLarge
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def _only(scope: Scope, name: bytes) -> bytes:
    """The header's value; two of them would be read differently by us and by the framework."""
    values: list[bytes] = [value for key, value in scope["headers"] if key == name]
    if len(values) > 1:
        raise HeaderRepeated
    return values[0] if values else b""


def _check_address(scope: Scope) -> None:
    raw = scope.get("raw_path") or b""
    query = scope.get("query_string") or b""
    if b"%00" in raw or b"%00" in query or b"\x00" in raw or "\x00" in scope["path"]:
        raise AddressNotReadable


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again

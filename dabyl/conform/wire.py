"""How bytes reach an endpoint on trial, and what came back."""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import httpx


@dataclass(frozen=True)
class Reply:
    """An answer, or why there is none."""

    status: int | None
    seconds: float
    trouble: str = ""

    @property
    def is_taken(self) -> bool:
        """2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_refused(self) -> bool:
        """4xx: said no, and went on living."""
        return self.status is not None and 400 <= self.status < 500

    def __str__(self) -> str:
        return str(self.status) if self.status is not None else self.trouble


async def post(http: httpx.AsyncClient, url: str, body: bytes, headers: dict[str, str]) -> Reply:
    """Send it, and say what the endpoint made of it."""
    began = time.monotonic()
    status, trouble = None, ""
    try:
        async with http.stream("POST", url, content=body, headers=headers) as answer:
            status = answer.status_code
    except httpx.TimeoutException:
        trouble = "no answer"
    except httpx.ConnectError:
        trouble = "no connection"
    except httpx.HTTPError:
        trouble = "closed"
    return Reply(status, time.monotonic() - began, trouble)


async def break_off(http: httpx.AsyncClient, url: str, headers: dict[str, str]) -> None:
    """Announce 100 bytes, send 11, and be gone."""

    async def part() -> AsyncIterator[bytes]:
        yield b'{"delivery"'
        raise _Gone

    # Whether anybody is there is seen by what comes next.
    with suppress(_Gone, httpx.HTTPError):
        await http.post(url, content=part(), headers={**headers, "content-length": "100"})


class _Gone(Exception):
    """The sender went away in the middle."""

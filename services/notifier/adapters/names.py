"""Names of endpoints become addresses on threads of our own.

A name server that does not answer holds its thread for many seconds, and nothing can end that. The event
loop's own pool has so few threads (uvloop: two for names) that two such agencies would keep all others
from being dialled.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

AT_ONCE = 64
"""So many names may hang before another one has to wait; a thread costs nothing until it is needed."""

_POOL = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="names")


async def look_up(host: str, port: int, family: int = socket.AF_UNSPEC) -> list[tuple[Any, ...]]:
    """As ``socket.getaddrinfo`` says it, for streams.

    Raises:
        OSError: there is no such name, or nobody knows now.
    """

    def ask() -> list[tuple[Any, ...]]:
        return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)

    return await asyncio.get_running_loop().run_in_executor(_POOL, ask)


class Resolver(AbstractResolver):
    """The same as aiohttp's sessions ask for it."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Every address of a name; who dials judges each."""
        return [
            ResolveResult(
                hostname=host,
                host=str(target[0]),
                port=int(target[1]),
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, target in await look_up(host, port, family)
        ]

    async def close(self) -> None:
        """The threads are the process's."""

"""What a broker holds, as RabbitMQ's management interface tells: the protocol itself shows no binding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

SECONDS = 20
PORT = 15672


class Unseen(Exception):
    """The management interface did not show it; the text says why."""


@dataclass(frozen=True)
class Stock:
    """What a virtual host holds, by name.

    Attributes:
        exchanges: kind, whether it is durable, arguments.
        queues: arguments.
        limits: what a policy adds to a queue's arguments.
        bindings: exchange, queue, routing key.
    """

    exchanges: Mapping[str, tuple[str, bool, dict[str, Any]]]
    queues: Mapping[str, dict[str, Any]]
    limits: Mapping[str, dict[str, Any]]
    bindings: frozenset[tuple[str, str, str]]


async def look(addresses: Sequence[str], api: str | None = None) -> Stock:
    """Read the virtual host that the broker's addresses name; nodes of a cluster are asked in turn.

    Args:
        addresses: ``amqp://`` URLs; their user must have the tag ``management``.
        api: base URL of the interface; otherwise port 15672 of each node.

    Raises:
        Unseen: no node showed it.
    """
    why = "no address"
    for address in addresses:
        url = URL(address)
        base = (api or f"http://{url.host}:{PORT}").rstrip("/")
        try:
            return await _look_at(url, base)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            status = getattr(error, "status", None)
            why = f"{base} answers {status}" if status else f"{base} does not answer"
        except (ValueError, KeyError, TypeError):
            why = f"{base} is no management interface"
    raise Unseen(why)


async def _look_at(url: URL, base: str) -> Stock:
    host = quote(url.path[1:] or "/", safe="")
    headers = {"Authorization": aiohttp.encode_basic_auth(url.user or "guest", url.password or "guest")}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, raise_for_status=True, trust_env=False
    ) as session:

        async def read(what: str) -> list[dict[str, Any]]:
            # Already escaped: a virtual host may be called "/".
            async with session.get(URL(f"{base}/api/{what}/{host}", encoded=True)) as answer:
                return list(await answer.json())

        exchanges, queues, bindings = await read("exchanges"), await read("queues"), await read("bindings")
        policies = {one["name"]: one["definition"] for one in await read("policies")}
    return Stock(
        exchanges={one["name"]: (one["type"], one["durable"], one["arguments"]) for one in exchanges},
        queues={one["name"]: one["arguments"] for one in queues},
        # A node that gathers no statistics tells the policy's name alone.
        limits={
            one["name"]: {
                **policies.get(one.get("policy") or "", {}),
                **(one.get("effective_policy_definition") or {}),
            }
            for one in queues
        },
        bindings=frozenset(
            (one["source"], one["destination"], one["routing_key"])
            for one in bindings
            if one["source"] and one["destination_type"] == "queue"
        ),
    )

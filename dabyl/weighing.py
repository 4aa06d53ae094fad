"""``dabyl deliveries check``: notifier's ledger, and every publisher's outbox, asked one after the other."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from dabyl.calls import CallRefused, Calls, HouseAway

PUBLISHERS = ("intake", "notifier", "casework", "registry")

PATIENCE = 65
"""Seconds for the whole ledger; the gateway gives notifier 60."""

ADDS_UP, DOES_NOT, NO_ANSWER = 0, 1, 2
"""Exit codes: that somebody does not answer is no statement about the ledger."""


def weigh(calls: Calls, scope: Literal["recent", "whole"]) -> dict[str, Any]:
    """The balance of the ledger, with ``outboxes`` and who was ``silent``; ``holds`` is of all who answered.

    Raises:
        CallRefused: notifier, or whoever gives out tokens, does not answer.
    """
    token = calls.token(role="operator")
    balance = calls.get("/v1/conservation", token=token, patience=PATIENCE, scope=scope)
    outboxes, silent = [], []
    for service in PUBLISHERS:
        try:
            outboxes.append(calls.get(f"/v1/conservation/{service}", token=token))
        except (CallRefused, HouseAway):
            silent.append(service)
    holds = balance["holds"] and all(one["holds"] for one in outboxes)
    return {**balance, "holds": holds, "outboxes": outboxes, "silent": silent}


def exit_code(balance: Mapping[str, Any]) -> int:
    """What is wrong counts before what is not known."""
    if not balance["holds"]:
        return DOES_NOT
    return NO_ANSWER if balance["silent"] else ADDS_UP


def lines(balance: Mapping[str, Any]) -> Iterator[str]:
    """What a person reads."""
    states = ", ".join(f"{state} {number}" for state, number in sorted(balance["states"].items()))
    yield f"planned {balance['planned']} = {states or 'nothing'}"
    for one in balance["imbalances"]:
        yield f"[red]{one['law']}[/red]: {one['count']}, e.g. {', '.join(one['sample'])}"
    for one in balance["outboxes"]:
        if one["waiting"]:
            since = one["oldest_at"]
            yield f"[red]{one['service']}[/red]: {one['waiting']} events did not leave, since {since}"
        for reader, count in one["missing"].items():
            if count:
                yield f"[red]{one['service']}[/red]: {count} events were never taken by {reader}"
    for service in balance["silent"]:
        yield f"[yellow]{service}[/yellow]: no answer"
    if not balance["holds"]:
        yield "[red]the ledger does not add up[/red]"
    elif not balance["silent"]:
        yield "the ledger adds up"

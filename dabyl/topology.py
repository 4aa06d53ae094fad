"""``dabyl topology``: what the broker must hold, made and checked from a person's terminal."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from dabyl.calls import Calls, calls_here

if TYPE_CHECKING:
    from common.bus import Queue

app = typer.Typer(no_args_is_help=True, help="Exchanges, queues and bindings of the broker.")

Broker = Annotated[
    str,
    typer.Option("--bus", envvar="DABYL_BUS_URL", help="amqp://user:password@host/vhost; nodes by commas"),
]
Api = Annotated[
    str | None,
    typer.Option(envvar="DABYL_BUS_API", help="management interface; default: port 15672 of a node"),
]
Lanes = Annotated[bool, typer.Option(help="with the lanes of the endpoints that the house knows")]


@app.command("apply")
def topology_apply(bus: Broker, api: Api = None, lanes: Lanes = True) -> None:
    """Make what is missing; as often as you like. Exit code 1 when something there is otherwise."""
    from common.bus.provisioning import BrokerAway, apply, apply_report

    try:
        _tell(*apply_report(asyncio.run(apply(bus, wanted(calls_here() if lanes else None), api=api))))
    except BrokerAway as why:
        _tell([f"the broker could not be asked: {why}"], 1)


@app.command("check")
def topology_check(
    bus: Broker,
    api: Api = None,
    lanes: Lanes = True,
    passive: Annotated[bool, typer.Option(help="be content with what a bare connection sees")] = False,
) -> None:
    """Change nothing and name each difference; exit code 1 when there is one."""
    from common.bus.management import Unseen
    from common.bus.provisioning import BrokerAway, check, check_passively, check_report

    queues = wanted(calls_here() if lanes else None)
    try:
        if passive:
            lines, code = check_report(asyncio.run(check_passively(bus, queues)))
            lines.append("not looked at: arguments, bindings, policies")
        else:
            lines, code = check_report(asyncio.run(check(bus, queues, api=api)))
    except BrokerAway as why:
        lines, code = [f"the broker could not be asked: {why}"], 1
    except Unseen as why:
        lines, code = [f"not seen: {why}. Name it by DABYL_BUS_API, or be content with --passive"], 1
    _tell(lines, code)


def _tell(lines: list[str], code: int) -> None:
    for line in lines:
        print(line)
    if code:
        raise typer.Exit(code)


def wanted(calls: Calls | None) -> "list[Queue]":
    """Every queue that should be there; with ``calls``, the lanes of the house's endpoints as well."""
    from common.bus.topology import fixed_queues, lane_queue

    queues = fixed_queues()
    after: str | None = None
    while calls is not None:
        page = calls.get("/v1/endpoints", token=calls.registrar(), after=after, limit=200)
        queues += [lane_queue(str(one["id"])) for one in page["items"] if not one.get("revoked_at")]
        after = page["next"]
        if after is None:
            break
    return queues

"""``dabyl``: run the house, connect agencies, send and watch alerts, read the law."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from dabyl.agencies import app as agency
from dabyl.auditing import app as audit
from dabyl.calls import HOUSE_FILE, CallRefused, Calls, calls_here, home
from dabyl.topology import app as topology

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
alert = typer.Typer(no_args_is_help=True, help="Send an alert, watch its fan-out.")
deliveries = typer.Typer(no_args_is_help=True, help="The delivery ledger.")
law = typer.Typer(no_args_is_help=True, help="The law as data.")
app.add_typer(alert, name="alert")
app.add_typer(agency, name="agency")
app.add_typer(deliveries, name="deliveries")
app.add_typer(law, name="law")
app.add_typer(topology, name="topology")
app.add_typer(audit, name="audit")
# A pipe has no width of its own: wide enough for the table, so that a log stays readable.
out = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
err = Console(stderr=True)

SAMPLE = Path(__file__).with_name("sample.json")
SAMPLE_SCHOOL = "education-org-kz-75"


@app.command()
def up(
    sample: Annotated[bool, typer.Option(help="send the sample alert and show its fan-out")] = False,
    simulators: Annotated[bool, typer.Option(help="start the simulated agencies")] = True,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
) -> None:
    """Run all five services in this process until Ctrl-C. PORT and DABYL_HOME are honoured."""
    import uvloop

    from common.telemetry import configure_logging
    from dabyl.house import House

    configure_logging(os.environ.get("DABYL_LOG_LEVEL", "WARNING"))
    try:
        house = House(home(), host, int(os.environ.get("PORT", "8000")))
    except OSError:
        err.print(f"Port {os.environ.get('PORT', '8000')} is taken. Choose another: PORT=8001 make run")
        raise typer.Exit(1) from None

    street: list[subprocess.Popen[bytes]] = []

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await house.build()
        shown = {"sample": sample, "simulators": simulators}
        threading.Thread(
            target=_guide, args=(house.url, house.home, street), kwargs=shown, daemon=True
        ).start()
        answering = asyncio.create_task(house.run(stop))
        await stop.wait()
        for agencies in street:
            agencies.terminate()  # first, or their open questions would hold the house up
        await answering

    uvloop.run(run())


def _guide(
    url: str, home: Path, street: list[subprocess.Popen[bytes]], *, sample: bool, simulators: bool
) -> None:
    """What a person at the terminal sees, while the house runs beside."""
    import time

    from dabyl.casting import cast, start

    calls = Calls(url, home)
    while not calls.is_ready():
        time.sleep(0.1)
    (home / HOUSE_FILE).write_text(json.dumps({"url": url, "pid": os.getpid()}))
    out.print(f"Dabyl is up: [bold]{url}[/bold]  (readyz 200)")
    try:
        if simulators:
            cast(calls, home)
            street.append(start(home))
        if sample:
            sent = calls.post(
                "/v1/alerts", _with_fresh_reference(SAMPLE), token=calls.token(agency=SAMPLE_SCHOOL)
            )
            out.print(f"Sample alert sent by the school: number [bold]{sent['number']}[/bold]")
            _watch(calls, str(sent["id"]), at_most_seconds=40)
            out.print(
                "[dim]dead: nobody listens, still being tried · lying: told, answers nothing, escalating · "
                "pull: took it from its inbox[/dim]"
            )
        code = calls.post("/v1/console-codes", {"role": "operator"}, token=calls.registrar())["code"]
        out.print(f"Console (one-time link): {url}/console/sign-in?code={code}", soft_wrap=True)
    except (CallRefused, LookupError, OSError) as error:
        err.print(f"Could not finish the show: {error}")
    out.print("Ctrl-C stops everything.")


def _with_fresh_reference(file: Path) -> Any:
    import secrets

    body = json.loads(file.read_text())
    body["reference"] = f"SAMPLE-{secrets.token_hex(4)}"
    return body


def _watch(calls: Calls, alert_id: str, *, at_most_seconds: float) -> bool:
    from dabyl.fanout import Fanout

    codes: dict[str, str] = {}
    after: str | None = None
    while True:
        page = calls.get("/v1/agencies", token=calls.registrar(), after=after, limit=200)
        codes |= {str(item["id"]): item["code"] for item in page["items"]}
        after = page["next"]
        if after is None:
            break
    return Fanout(calls, alert_id, out, codes).watch(at_most_seconds=at_most_seconds)


@app.command()
def token(
    agency: Annotated[str | None, typer.Option(help="agency code or id")] = None,
    role: Annotated[str | None, typer.Option(help="operator, registrar or auditor")] = None,
    person: Annotated[
        str | None, typer.Option(help="opaque code of the person who holds it: one of two persons")
    ] = None,
) -> None:
    """Print an access token of the embedded issuer."""
    if (agency is None) == (role is None):
        raise typer.BadParameter("give either --agency or --role")
    print(calls_here().token(agency=agency, role=role, person=person))


@alert.command("send")
def alert_send(
    file: Annotated[Path, typer.Argument(help="alert as JSON; - for standard input")],
    agency: Annotated[str, typer.Option(help="code or id of the reporting agency")] = SAMPLE_SCHOOL,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key")] = None,
) -> None:
    """Send an alert as an agency's system would; prints the answer as JSON."""
    calls = calls_here()
    text = sys.stdin.read() if str(file) == "-" else file.read_text()
    headers = {"Idempotency-Key": f'"{key}"'} if key else None
    sent = calls.post("/v1/alerts", json.loads(text), token=calls.token(agency=agency), headers=headers)
    print(json.dumps(sent, ensure_ascii=False, indent=2))


@alert.command("watch")
def alert_watch(
    alert_id: Annotated[str, typer.Argument(help="id of the alert")],
    seconds: Annotated[float, typer.Option(help="at most so long")] = 60,
) -> None:
    """Show one alert's fan-out live, then as it came to rest."""
    if not _watch(calls_here(), alert_id, at_most_seconds=seconds):
        err.print("Nothing of this alert is known yet.")
        raise typer.Exit(1)


@deliveries.command("list")
def deliveries_list(
    state: Annotated[str | None, typer.Option(help="only this state")] = None,
    limit: Annotated[int, typer.Option(help="rows", min=1, max=200)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """The newest deliveries by opaque ids."""
    calls = calls_here()
    page = calls.get("/v1/deliveries", token=calls.token(role="operator"), state=state, limit=limit)
    if as_json:
        print(json.dumps(page, ensure_ascii=False, indent=2))
        return
    table = Table("Delivery", "Role", "State", "Reason", "Attempts", "Next attempt", "Level")
    for item in page["items"]:
        table.add_row(
            item["id"], item["role"], item["state"], item.get("reason") or "", str(len(item["attempts"])),
            item.get("next_attempt_at") or "", str(item["escalation_level"]),
        )  # fmt: skip
    out.print(table)


@deliveries.command("check")
def deliveries_check(
    whole: Annotated[bool, typer.Option(help="every delivery there is, not the last two days' only")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Weigh the ledger and every outbox: exit code 1 when anything planned is missing, unproven or stuck.

    Exit code 2 when somebody gives no answer, so that it cannot be known.
    """
    from dabyl.weighing import NO_ANSWER, exit_code, lines, weigh

    try:
        balance = weigh(calls_here(), "whole" if whole else "recent")
    except CallRefused as refusal:
        err.print(f"Refused: {refusal}")
        raise typer.Exit(NO_ANSWER) from None
    except (OSError, LookupError) as error:
        err.print(f"No answer: {type(error).__name__}. Is the house up (make run)?")
        raise typer.Exit(NO_ANSWER) from None
    if as_json:
        print(json.dumps(balance, ensure_ascii=False, indent=2))
    else:
        for line in lines(balance):
            out.print(line)
    raise typer.Exit(exit_code(balance))


@law.command("explain")
def law_explain(
    file: Annotated[Path, typer.Argument(help="facts as JSON, as for POST /v1/obligations/preview")],
    language: Annotated[Literal["kk", "ru", "en"], typer.Option("--lang", help="kk, ru or en")] = "en",
) -> None:
    """Say which duties these facts bring, by paragraph, with the arithmetic of every clock."""
    from pydantic import ValidationError

    from dabyl.reading import explain

    try:
        lines = explain(json.loads(file.read_text()), language=language)
    except ValidationError as error:
        for flaw in error.errors(include_input=False, include_url=False):
            err.print(f"{'.'.join(map(str, flaw['loc']))}: {flaw['msg']}")
        raise typer.Exit(1) from None
    for line in lines:
        print(line)


@law.command("diff")
def law_diff(
    before: Annotated[str, typer.Argument(help="edition id, or a day such as 2026-06-01")],
    after: Annotated[str, typer.Argument(help="edition id, or a day")],
    language: Annotated[Literal["kk", "ru", "en"], typer.Option("--lang", help="kk, ru or en")] = "en",
) -> None:
    """Say what an amendment changes: rules that came, went or read differently."""
    from dabyl.reading import compare

    try:
        lines = compare(before, after, language=language)
    except KeyError:
        raise typer.BadParameter("we hold no such edition; give its id or a day") from None
    print("\n".join(lines) or "Nothing changed.")


@app.command()
def conform(
    url: Annotated[str, typer.Argument(help="the endpoint, e.g. http://127.0.0.1:8080/dabyl")],
    kit: Annotated[Path, typer.Option(help="folder of the trial's keys; made at the first run")] = Path(
        "conform"
    ),
    port: Annotated[int, typer.Option(help="where we stand for Dabyl's own doors", min=0, max=65535)] = 8099,
    scheme: Annotated[Literal["v1", "v1a"], typer.Option(help="how notices are signed")] = "v1",
    patience: Annotated[float, typer.Option(help="seconds to wait for contents read and receipts")] = 10,
    away: Annotated[int, typer.Option(help="tries that find our doors shut", min=1)] = 4,
    language: Annotated[Literal["kk", "ru", "en"], typer.Option("--lang", help="kk, ru or en")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Play Dabyl against an agency's endpoint and say what is wrong. Exit code 1 when something is."""
    from dabyl.conform.kit import CONNECTED, make_kit, read_kit, write_kit
    from dabyl.conform.report import document, is_right, lines, words
    from dabyl.conform.trial import try_endpoint

    known = read_kit(kit)
    if known is None:
        gateway = f"http://127.0.0.1:{port}"
        write_kit(kit, make_kit(gateway))
        said = words()["said"][language]["begin"]
        err.print(said.format(folder=kit, connected=kit / CONNECTED, gateway=gateway), soft_wrap=True)
        raise typer.Exit(2)
    trial = try_endpoint(url, known, port=port, scheme=scheme, patience=patience, away=away)
    findings = asyncio.run(trial)
    if as_json:
        print(json.dumps(document(findings, language), ensure_ascii=False, indent=2))
    else:
        print("\n".join(lines(findings, language)))
    raise typer.Exit(0 if is_right(findings) else 1)


@app.command(hidden=True)
def simulate(
    roster: Annotated[Path, typer.Option(help="who is simulated")],
    journal: Annotated[Path, typer.Option(help="their log, JSON lines")],
) -> None:
    """Run the simulated agencies until SIGTERM."""
    import uvloop

    from dabyl.simulators.roster import Roster
    from dabyl.simulators.street import run_street

    uvloop.run(run_street(Roster.read(roster), journal))


@app.command()
def console() -> None:
    """Print a one-time sign-in link for the operator's console."""
    calls = calls_here()
    code = calls.post("/v1/console-codes", {"role": "operator"}, token=calls.registrar())["code"]
    print(f"{calls.url}/console/sign-in?code={code}")


def main() -> None:
    """Entry point; a refusal of the house is a sentence and exit code 1, not a traceback."""
    try:
        app()
    except CallRefused as refusal:
        err.print(f"Refused: {refusal}")
        sys.exit(1)
    except (OSError, LookupError) as error:
        err.print(f"No answer: {type(error).__name__}. Is the house up (make run)?")
        sys.exit(1)


if __name__ == "__main__":
    main()

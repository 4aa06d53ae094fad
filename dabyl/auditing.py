"""``dabyl audit``: whether the record of acts is what was sealed. Asks no service, only the database."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dabyl.calls import home

if TYPE_CHECKING:
    from notifier.service.verifying import Report

app = typer.Typer(no_args_is_help=True, help="The record of what was done.")

INTACT, NOT_KNOWN = 0, 2


class NotKnown(Exception):
    """It could not be looked at, for this reason; that is no statement about the record."""


@app.callback()
def audit() -> None:
    """The record of what was done."""


@app.command("verify")
def audit_verify(
    database: Annotated[
        str | None,
        typer.Option(
            envvar="NOTIFIER_DATABASE_URL",
            help="notifier's, or a copy of it; default: of the house on this machine",
        ),
    ] = None,
    witness: Annotated[
        Path | None,
        typer.Option(help="heads that somebody else kept: a witness file, or a log with audit_sealed"),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            envvar="NOTIFIER_KEYS_DIR",
            help="folder with audit.signing.pub; default: of the house on this machine",
        ),
    ] = None,
) -> None:
    """Recompute every hash and look at every signature; the exit code says what is wrong.

    0 intact, 2 not known, 10 altered, 11 missing, 13 shorter than a witness saw, 14 two histories, 15 bad
    signature, 17 a row where there was none.
    """
    url = database or f"sqlite+aiosqlite:///{home() / 'notifier.db'}"
    if url.startswith("sqlite") and not Path(url.partition(":///")[2]).exists():
        print("not known: there is no such database")  # opening it would make one
        raise typer.Exit(NOT_KNOWN)
    try:
        report = asyncio.run(verify(url, keys or home() / "keys", witness))
    except NotKnown as why:
        print(f"not known: {why}")
        raise typer.Exit(NOT_KNOWN) from None
    for line in lines(report, is_witnessed=witness is not None):
        print(line)
    raise typer.Exit(INTACT if report.finding is None else int(report.finding.fault))


async def verify(url: str, keys: Path, witness: Path | None = None) -> "Report":
    """Look at the whole record.

    Raises:
        NotKnown: there is no key, no witness, or no database.
    """
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError

    from common.db import Database
    from common.keys import KeyMissing, KeyRing
    from notifier.domain.chain import Witness
    from notifier.service.sealing import signed_with
    from notifier.service.verifying import Report, verify_whole

    try:
        key = KeyRing(keys).verifying("audit")
    except (KeyMissing, ValueError):
        raise NotKnown(f"no key audit.signing.pub in {keys}") from None
    is_ours = signed_with(lambda: key)
    heads = Witness(is_ours)
    if witness is not None:
        try:
            with witness.open(errors="replace") as stream:
                found = heads.read(stream)
        except OSError as error:
            raise NotKnown(f"the witness cannot be read ({type(error).__name__})") from None
        if found is not None:
            return Report(found, 0, 0, 0, heads.count)
        if not heads.count:
            raise NotKnown("the witness has no head in it")
    db = None
    try:
        db = Database(url)
        async with db.reading() as session:
            return await verify_whole(session, is_ours, heads)
    except (SQLAlchemyError, ArgumentError, OSError) as error:
        # Its words may hold the address with its password.
        raise NotKnown(f"the database does not answer ({type(error).__name__})") from None
    finally:
        if db is not None:
            with suppress(Exception):
                await db.close()


def lines(report: "Report", *, is_witnessed: bool) -> list[str]:
    """What a person reads."""
    told = [f"{report.seals} seals, {report.sealed} rows under seal, {report.unsealed} not sealed yet"]
    if report.finding is not None:
        return [*told, f"NOT INTACT: {report.finding.words}"]
    if is_witnessed:
        return [*told, f"intact, and agrees with {report.witnessed} heads of the witness"]
    return [*told, "intact; without --witness, what holder of the key and database changed cannot be seen"]

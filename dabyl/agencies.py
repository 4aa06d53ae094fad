"""``dabyl agency``: connect agencies' systems."""

import sys
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from dabyl.calls import CallRefused, Calls, calls_here

app = typer.Typer(no_args_is_help=True, help="Connect agencies' systems.")
err = Console(stderr=True)

SHOWN = 20
"""Codes in one refusal."""


@app.callback()
def agency() -> None:
    """Connect agencies' systems."""


@app.command("add")
def agency_add(
    role: Annotated[str, typer.Option(help="role code, e.g. internal_affairs")],
    territory: Annotated[str, typer.Option(help="ISO 3166-2, e.g. KZ-75, or KZ")],
    kind: Annotated[
        str | None,
        typer.Option(help="webhook, inbox, smtp, sms, voice, amqp, file, or x-… of a plug-in"),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(help="address in the form of its kind; - reads it, so that a password stays unseen"),
    ] = None,
    rung: Annotated[
        int | None,
        typer.Option(min=0, max=2, help="0 first way, 1 second, 2 duty phone; sms and voice: 2, others: 0"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="in the place of the way that is on this rung")
    ] = False,
    client: Annotated[bool, typer.Option(help="make credentials; a further way needs none")] = True,
    code: Annotated[
        str | None, typer.Option(help="agency code; default: the only holder of the role in this territory")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="name of a new agency (all languages); with --code")
    ] = None,
    test: Annotated[bool, typer.Option(help="send a test notice")] = True,
    scheme: Annotated[Literal["v1", "v1a"], typer.Option(help="how webhooks are signed")] = "v1",
) -> None:
    """Connect an agency: body, endpoint, keys, credentials, test notice. Prints JSON, once."""
    from dabyl.onboarding import FORMS, INBOX, connect, told

    kind = kind or ("webhook" if url else INBOX)
    if kind not in FORMS and kind != INBOX and not kind.startswith("x-"):
        raise typer.BadParameter(f"--kind is one of {', '.join([INBOX, *FORMS])}, or x-… of a plug-in")
    if (url is None) != (kind == INBOX):
        form = FORMS.get(kind, "the plug-in's")
        raise typer.BadParameter(
            "a body that pulls has no --url" if kind == INBOX else f"{kind} needs --url, like {form}"
        )
    if replace and url is None:
        raise typer.BadParameter("--replace needs --url: a body that pulls has no way to replace")
    if name is not None and code is None:
        raise typer.BadParameter("--name is of a new body: give its --code as well")
    if url == "-":
        url = sys.stdin.readline().strip()
    if rung is None:
        rung = 2 if kind in ("sms", "voice") else 0
    calls = calls_here()
    if code is None:
        body = _only_holder(calls, role, territory)
    else:
        body = _body_of(calls, code, None if replace else name, role, territory)
    replaced = None if url is None else _way_to_replace(calls, body, rung, is_wanted=replace)
    try:
        given = connect(
            calls, body, url,
            send_test=test, scheme=scheme, kind=kind, rung=rung, with_client=client, replaces=replaced,
        )  # fmt: skip
    except CallRefused as refusal:
        if str(refusal.problem.get("type", "")).endswith("/address-not-allowed"):
            err.print(f"{kind} asks for an address like {FORMS.get(kind, 'scheme:…')}")
        raise
    print(given.to_json())
    for line in told(given):
        err.print(line, markup=False, soft_wrap=True)


def _only_holder(calls: Calls, role: str, territory: str) -> dict[str, Any]:
    """The one body that holds this very role in this very territory: credentials go to nobody near it."""
    from dabyl.onboarding import holds, list_bodies, place_of

    place = place_of(calls, territory)
    here: list[str] = []
    near: list[str] = []
    found = None
    for body in list_bodies(calls, role, territory):
        if holds(body, role, place):
            found = body
            here.append(str(body["code"]))
        else:
            near.append(str(body["code"]))
    if found is not None and len(here) == 1:
        return found
    if here:
        raise _refused(
            f"{len(here)} bodies hold {role} in {place}, name yours by --code "
            f"(a new one by --code and --name): {_some(here)}"
        )
    acting = (
        f"; for who acts there in its place its own --role and --territory: {_some(near)}" if near else ""
    )
    raise _refused(f"nobody holds {role} in {place} itself: for a new body give --code and --name{acting}")


def _body_of(calls: Calls, code: str, name: str | None, role: str, territory: str) -> dict[str, Any]:
    """The body with this code, or a new one; never another body that happens to have this code."""
    from dabyl.onboarding import find_agency, holds, make_agency, place_of

    body = find_agency(calls, code)
    if body is None:
        if name is None:
            raise _refused(f"no body has the code {code}: a new one needs --name, and replaces nothing")
        return make_agency(calls, code, name, role, territory)
    place = place_of(calls, territory)
    if not holds(body, role, place):
        held = ", ".join(f"{one['role']} in {one['territory']}" for one in body["mandates"])
        raise _refused(f"{code} does not hold {role} in {place}, but: {held}")
    if name is not None and name not in body["name"].values():
        raise _refused(
            f"{code} is the code of another body, {body['name']['en']}: leave out --name if you mean it"
        )
    return body


def _way_to_replace(
    calls: Calls, body: dict[str, Any], rung: int, *, is_wanted: bool
) -> dict[str, Any] | None:
    """The way that this one takes the place of; two on one rung would leave open which is used."""
    from dabyl.onboarding import list_ways

    live = list_ways(calls, body)
    taken = [one for one in live if one["rung"] == rung]
    ids = ", ".join(f"{one['kind']} {one['id']}" for one in taken)
    if len(taken) > 1:
        raise _refused(
            f"{body['code']} has {len(taken)} ways on rung {rung} ({ids}): "
            "revoke all but the right one first, DELETE /v1/endpoints/{id}"
        )
    if taken and not is_wanted:
        free = [f"--rung {one}" for one in (1, 2) if one not in {way["rung"] for way in live}]
        beside = f", beside it with {' or '.join(free)}" if free else ""
        raise _refused(
            f"rung {rung} of {body['code']} is taken ({ids}): connect this way in its place with --replace"
            f"{beside}, or revoke that one first, DELETE /v1/endpoints/{taken[0]['id']}"
        )
    if is_wanted and not taken:
        raise _refused(f"{body['code']} has no way on rung {rung}: there is nothing to --replace")
    return taken[0] if taken else None


def _some(codes: list[str]) -> str:
    more = f" and {len(codes) - SHOWN} more" if len(codes) > SHOWN else ""
    return ", ".join(sorted(codes)[:SHOWN]) + more


def _refused(why: str) -> typer.Exit:
    err.print(why, markup=False, soft_wrap=True)
    return typer.Exit(2)

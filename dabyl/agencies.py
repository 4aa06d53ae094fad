"""``dabyl agency``: connect agencies' systems."""

import sys
from typing import Annotated, Literal

import typer
from rich.console import Console

from dabyl.calls import CallRefused, calls_here

app = typer.Typer(no_args_is_help=True, help="Connect agencies' systems.")
err = Console(stderr=True)


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
    client: Annotated[bool, typer.Option(help="make credentials; a further way needs none")] = True,
    code: Annotated[
        str | None, typer.Option(help="agency code; default: the seeded holder of the role")
    ] = None,
    name: Annotated[str | None, typer.Option(help="name of a new agency (all languages)")] = None,
    test: Annotated[bool, typer.Option(help="send a test notice")] = True,
    scheme: Annotated[Literal["v1", "v1a"], typer.Option(help="how webhooks are signed")] = "v1",
) -> None:
    """Connect an agency: body, endpoint, keys, credentials, test notice. Prints JSON, once."""
    from dabyl.onboarding import FORMS, INBOX, connect, find_agency, told

    kind = kind or ("webhook" if url else INBOX)
    if kind not in FORMS and kind != INBOX and not kind.startswith("x-"):
        raise typer.BadParameter(f"--kind is one of {', '.join([INBOX, *FORMS])}, or x-… of a plug-in")
    if (url is None) != (kind == INBOX):
        form = FORMS.get(kind, "the plug-in's")
        raise typer.BadParameter(
            "a body that pulls has no --url" if kind == INBOX else f"{kind} needs --url, like {form}"
        )
    if url == "-":
        url = sys.stdin.readline().strip()
    if rung is None:
        rung = 2 if kind in ("sms", "voice") else 0
    calls = calls_here()
    if code is None:
        found = calls.get("/v1/agencies", token=calls.registrar(), role=role, territory=territory)["items"]
        body = found[0] if found else None
    else:
        body = find_agency(calls, code)
    if body is None:
        if code is None or name is None:
            raise typer.BadParameter("nobody holds this role there yet: give --code and --name")
        body = calls.post(
            "/v1/agencies",
            {
                "code": code,
                "name": {"kk": name, "ru": name, "en": name},
                "mandates": [{"role": role, "territory": territory}],
            },
            token=calls.registrar(),
        )
    try:
        given = connect(
            calls, body, url, send_test=test, scheme=scheme, kind=kind, rung=rung, with_client=client
        )
    except CallRefused as refusal:
        if str(refusal.problem.get("type", "")).endswith("/address-not-allowed"):
            err.print(f"{kind} asks for an address like {FORMS.get(kind, 'scheme:…')}")
        raise
    print(given.to_json())
    for line in told(given):
        err.print(line, markup=False, soft_wrap=True)

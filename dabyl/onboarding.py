"""Connecting an agency in one go, whichever way it is told: endpoint, keys, credentials, test notice."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey

from common.timing import Now, utc_now
from dabyl.calls import Calls

INBOX = "inbox"
"""No endpoint: the body pulls."""

FORMS = {
    "webhook": "https://host/path, or https+mtls://host/path",
    "smtp": "mailto:duty@agency.example",
    "sms": "tel:+77010000000",
    "voice": "tel:+77010000000",
    "amqp": "amqps://user:password@host/vhost?queue=name",
    "file": "folder:name",
}
"""What an address of each kind looks like; the registry decides."""

NEEDS = {
    "smtp": "NOTIFIER_SMTP_HOST",
    "sms": "NOTIFIER_SMS_URL",
    "voice": "NOTIFIER_VOICE_URL",
    "file": "NOTIFIER_DROP_FOLDER",
}
"""The setting without which this house cannot send that way."""

KATO = 9
"""Digits of a KATO code."""

_PEOPLE = frozenset({"smtp", "sms", "voice"})
"""They reach people, who answer in the console: nobody there signs a receipt."""


@dataclass(frozen=True)
class Connected:
    """What the agency's developer is handed, once.

    Attributes:
        client_id, client_secret: empty when no credentials were asked for.
        kind: ``inbox`` for a body that pulls.
        webhook_secret: ``whsec_…`` to verify notices with (Standard Webhooks v1).
        webhook_public_key: ``whpk_…`` instead, where v1a was chosen.
        receipt_key: private Ed25519 JWK to sign receipts with; only its public half is stored here.
        test: outcome of the test notice, ``None`` when none was sent.
    """

    agency_id: str
    code: str
    client_id: str
    client_secret: str
    endpoint_id: str | None
    webhook_secret: str | None
    webhook_public_key: str | None
    receipt_key: dict[str, Any] | None
    test: dict[str, Any] | None
    kind: str = INBOX
    rung: int = 0

    def to_json(self) -> str:
        """For a file that only the agency's developer sees."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


def connect(
    calls: Calls,
    agency: dict[str, Any],
    url: str | None,
    *,
    send_test: bool,
    scheme: str = "v1",
    kind: str = "webhook",
    rung: int = 0,
    with_client: bool = True,
    replaces: dict[str, Any] | None = None,
) -> Connected:
    """Give an agency everything it needs to be told, and to answer.

    Args:
        agency: as ``GET /v1/agencies`` shows it.
        url: where its notices go; ``None`` for a body that pulls its inbox.
        scheme: how webhooks are signed: ``v1`` (a shared secret) or ``v1a`` (Ed25519).
        kind: which way the address is; the registry checks its form.
        rung: 0 the first way, 1 the second endpoint, 2 the duty phone.
        with_client: whether to make credentials; a further way of a connected body needs none.
        send_test: whether to send a test notice at the end.
        replaces: the endpoint whose next version this is; what waits for it goes to the new address, and
            its keys are believed beside the new ones for a day.

    Raises:
        CallRefused: the house refused a step; earlier steps stay, and an endpoint that was made is replaced.
    """
    token = calls.registrar()
    endpoint: dict[str, Any] | None = None
    issued: dict[str, Any] = {}
    receipt_key: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    if url is not None:
        body = {"agency": agency["id"], "kind": kind, "url": url, "rung": rung}
        if kind not in _PEOPLE:
            receipt_key = dict(OKPKey.generate_key("Ed25519").as_dict(private=True))
            body["receipt_key"] = receipt_key["x"]
        if replaces is not None:
            body |= {"id": replaces["id"], "replaces": replaces["version"]}
            body |= {"concurrency": replaces["concurrency"], "hours": replaces["hours"]}
        endpoint = calls.post("/v1/endpoints", body, token=token)
        if kind == "webhook" or kind.startswith("x-"):
            where = f"/v1/endpoints/{endpoint['id']}/signing-key"
            issued = calls.post(where, {"scheme": scheme}, token=token)
    # After the address was taken: a refused one leaves no credentials behind.
    client = calls.post("/v1/clients", {"agency": agency["id"]}, token=token) if with_client else {}
    if endpoint is not None and send_test:
        test = calls.post(f"/v1/endpoints/{endpoint['id']}/test", {}, token=token)
    return Connected(
        agency_id=str(agency["id"]),
        code=str(agency["code"]),
        client_id=str(client.get("client_id", "")),
        client_secret=str(client.get("client_secret", "")),
        endpoint_id=str(endpoint["id"]) if endpoint else None,
        webhook_secret=issued.get("secret"),
        webhook_public_key=issued.get("public_key"),
        receipt_key=receipt_key,
        test=test,
        kind=kind if endpoint else INBOX,
        rung=rung,
    )


def told(given: Connected) -> list[str]:
    """What a person at the terminal reads beside the JSON; no address and no secret in it."""
    if given.endpoint_id is None:
        return [f"{given.code}: {INBOX}", "no endpoint: it pulls GET /v1/inbox with its credentials"]
    lines = [f"{given.code}: {given.kind}, rung {given.rung}"]
    if given.kind in _PEOPLE:
        lines.append("people are told that something waits; they read and answer in the console")
    if given.test is None:
        return lines
    outcome = str(given.test["outcome"])
    lines.append(f"test notice: {outcome}")
    if outcome == "no_adapter":
        if given.kind in NEEDS:
            again = f"POST /v1/endpoints/{given.endpoint_id}/test"
            lines.append(f"this house cannot send that way yet: set {NEEDS[given.kind]}, then {again}")
        else:
            lines.append(f"no plug-in for {given.kind} is installed (docs/how-to/write-an-adapter.md)")
    return lines


def make_agency(calls: Calls, code: str, name: str, role: str, territory: str) -> dict[str, Any]:
    """Register a body that holds one role."""
    body = {
        "code": code,
        "name": {"kk": name, "ru": name, "en": name},
        "mandates": [{"role": role, "territory": territory}],
    }
    made: dict[str, Any] = calls.post("/v1/agencies", body, token=calls.registrar())
    return made


def list_bodies(calls: Calls, role: str, territory: str) -> Iterator[dict[str, Any]]:
    """Who holds the role there or above now, and who stands in for it."""
    return calls.every("/v1/agencies", token=calls.registrar(), role=role, territory=territory)


def place_of(calls: Calls, territory: str) -> str:
    """The code under which the register keeps this territory; a finer KATO code belongs to its region."""
    listed = calls.get("/v1/territories", token=calls.registrar())["items"]
    by_kato = {one["kato"]: str(one["code"]) for one in listed}
    if territory not in by_kato and len(territory) == KATO:
        return by_kato.get(f"{territory[:2]}0000000", territory)
    return by_kato.get(territory, territory)


def holds(body: dict[str, Any], role: str, place: str, *, now: Now = utc_now) -> bool:
    """Whether this very body holds this very role in this very territory, now or from a day to come."""
    return any(
        (one["role"], one["territory"]) == (role, place)
        and (one["valid_until"] is None or datetime.fromisoformat(one["valid_until"]) > now())
        for one in body["mandates"]
    )


def list_ways(calls: Calls, agency: dict[str, Any]) -> list[dict[str, Any]]:
    """The agency's endpoints in force."""
    listed = calls.every("/v1/endpoints", token=calls.registrar(), agency=agency["id"])
    return [one for one in listed if one["revoked_at"] is None]


def find_agency(calls: Calls, code: str) -> dict[str, Any] | None:
    """The agency with this code, or nothing."""
    found = calls.get("/v1/agencies", token=calls.registrar(), code=code)
    return next((agency for agency in found["items"] if agency["code"] == code), None)

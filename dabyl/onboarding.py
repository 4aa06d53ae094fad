"""Connecting an agency's system in one go: body, endpoint, signing key, credentials, test notice."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from joserfc.jwk import OKPKey

from dabyl.calls import Calls


@dataclass(frozen=True)
class Connected:
    """What the agency's developer is handed, once.

    Attributes:
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

    def to_json(self) -> str:
        """For a file that only the agency's developer sees."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2)


def connect(
    calls: Calls, agency: dict[str, Any], url: str | None, *, send_test: bool, scheme: str = "v1"
) -> Connected:
    """Give an agency's system everything it needs.

    Args:
        agency: as ``GET /v1/agencies`` shows it.
        url: where its notices go; ``None`` for a body that pulls its inbox.
        scheme: how notices are signed: ``v1`` (a shared secret) or ``v1a`` (Ed25519).
        send_test: whether to send a test notice at the end.

    Raises:
        CallRefused: the house refused a step; earlier steps stay and the command can be repeated.
    """
    token = calls.registrar()
    client = calls.post("/v1/clients", {"agency": agency["id"]}, token=token)
    endpoint: dict[str, Any] | None = None
    issued: dict[str, Any] = {}
    receipt_key: dict[str, Any] | None = None
    test: dict[str, Any] | None = None
    if url is not None:
        key = OKPKey.generate_key("Ed25519")
        receipt_key = dict(key.as_dict(private=True))
        endpoint = calls.post(
            "/v1/endpoints",
            {"agency": agency["id"], "kind": "webhook", "url": url, "receipt_key": receipt_key["x"]},
            token=token,
        )
        issued = calls.post(f"/v1/endpoints/{endpoint['id']}/signing-key", {"scheme": scheme}, token=token)
        if send_test:
            test = calls.post(f"/v1/endpoints/{endpoint['id']}/test", {}, token=token)
    return Connected(
        agency_id=str(agency["id"]),
        code=str(agency["code"]),
        client_id=str(client["client_id"]),
        client_secret=str(client["client_secret"]),
        endpoint_id=str(endpoint["id"]) if endpoint else None,
        webhook_secret=issued.get("secret"),
        webhook_public_key=issued.get("public_key"),
        receipt_key=receipt_key,
        test=test,
    )


def find_agency(calls: Calls, code: str) -> dict[str, Any] | None:
    """The agency with this code, or nothing."""
    found = calls.get("/v1/agencies", token=calls.registrar(), code=code)
    return next((agency for agency in found["items"] if agency["code"] == code), None)

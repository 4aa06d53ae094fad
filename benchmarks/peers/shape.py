"""What the Python peers share: the shape of an alert, the signature, where things are."""

import base64
import hmac
import json
import os
import time
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

SINK = os.environ.get("SINK", "")
DATABASE_URL = os.environ.get("DATABASE_URL", "")
AMQP_URL = os.environ.get("AMQP_URL", "")
AGENCIES = 8
KEY = b"k" * 32
ADD_ALERT = "INSERT INTO alerts (id, body) VALUES ($1, $2)"
ADD_ATTEMPT = "INSERT INTO attempts (delivery_id, alert_id, status, taken) VALUES ($1, $2, $3, $4)"


class Child(BaseModel):
    """The child; everything may be unknown."""

    name: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    address: str | None = None


class Alert(BaseModel):
    """One alert."""

    model_config = ConfigDict(extra="forbid")

    territory: str
    concerns: list[str] = Field(min_length=1)
    occasion: str
    channel: str
    alleged_offender: dict[str, Any]
    parents_may_be_informed: bool
    child: Child
    narrative: str
    reference: str


def notice(delivery: str, alert: str) -> tuple[bytes, dict[str, str]]:
    """Body and signed headers of one notice."""
    body = json.dumps({"delivery": delivery, "alert": alert, "text": "x" * 1000}).encode()
    stamp = str(int(time.time()))
    mac = hmac.digest(KEY, f"{delivery}.{stamp}.".encode() + body, "sha256")
    return body, {
        "Content-Type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }

"""Who is simulated and how they behave: a file that the house writes and the simulators read."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Behaviour = Literal["honest", "slow", "flaky", "dead", "lying", "pull"]

CAST: dict[str, Behaviour] = {
    "internal-affairs-kz-75": "honest",
    "regional-child-rights-body-kz-75": "honest",
    "regional-child-ombudsman-kz-75": "honest",
    "minors-commission-kz-75": "honest",
    "family-support-centre-kz-75": "honest",
    "child-rights-authority-kz": "flaky",
    "national-child-ombudsman-kz": "slow",
    "psych-support-centre-kz-75": "dead",
    "family-mobile-group-kz-75": "lying",
    "child-violence-help-cabinet-kz-75": "pull",
}
"""Agencies of the seed that answer in the embedded house (Almaty and the national bodies)."""


@dataclass(frozen=True)
class Member:
    """One simulated agency and what it was given when it was connected.

    Attributes:
        secret: ``whsec_…`` of its endpoint; empty without one.
        receipt_key: Ed25519 private JWK, JSON; signs receipts.
    """

    code: str
    behaviour: Behaviour
    agency_id: str
    client_id: str
    client_secret: str
    endpoint_id: str = ""
    secret: str = ""
    receipt_key: str = ""


@dataclass(frozen=True)
class Roster:
    """Everything the simulators' process needs."""

    gateway: str
    port: int
    members: tuple[Member, ...]

    def write(self, file: Path) -> None:
        """Store, readable by the owner only: it holds credentials."""
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(asdict(self), stream, indent=1)

    @classmethod
    def read(cls, file: Path) -> "Roster":
        """Read what ``write`` stored."""
        raw = json.loads(file.read_text())
        members = tuple(Member(**member) for member in raw["members"])
        return cls(gateway=raw["gateway"], port=raw["port"], members=members)

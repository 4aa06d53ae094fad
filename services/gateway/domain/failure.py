"""What fails, grouped by cause, and sending many again, as an operator sees it."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Way:
    """An endpoint in force."""

    endpoint: UUID
    kind: str
    rung: int = 0
    paused_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FailingEndpoint:
    """An endpoint whose tests fail, with nothing waiting for it perhaps."""

    endpoint: UUID
    agency: UUID
    kind: str
    failing_since: datetime
    rung: int = 0
    cause: str | None = None
    proven_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Deliveries that fail alike."""

    state: str
    reason: str | None
    outcome: str | None
    status_class: int | None
    agency: UUID | None
    count: int
    oldest_at: datetime
    urgency: str = "routine"
    ways: tuple[Way, ...] = ()

    @property
    def key(self) -> str:
        """Stands in an address: no agency can be read off it."""
        cause = (self.state, self.reason, self.outcome, self.status_class, self.agency)
        return hashlib.sha256("|".join(str(part) for part in cause).encode()).hexdigest()[:32]

    @property
    def trouble(self) -> str | None:
        """What notifier calls it when many are sent again; ``None``: sending again helps nothing here."""
        if self.agency is None:
            return None
        if self.state == "dead":
            return "dead"
        if self.state == "waiting" and (self.reason or "").startswith("blocked:"):
            return "blocked"
        if self.state == "waiting" and self.reason in ("retry", "unknown_outcome"):
            return "retrying"
        return None

    def selection(self) -> dict[str, Any]:
        """The filter that means these deliveries."""
        told: dict[str, Any] = {"state": self.trouble, "agency": str(self.agency)}
        if self.reason is not None:
            told["reason"] = self.reason
        if self.outcome is not None:
            told["outcome"] = self.outcome
            told["status_class"] = self.status_class or 0
        return told


@dataclass(frozen=True, slots=True)
class Selected:
    """A filter as notifier shows it."""

    state: str
    reason: str | None = None
    outcome: str | None = None
    status_class: int | None = None
    agency: UUID | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """The dry run: how many would go again, and a few of them by opaque id."""

    count: int
    sample: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedRedrive:
    """A redrive of many that waits for another operator."""

    proposal: UUID
    expires_at: datetime
    is_own: bool
    filter: Selected
    count: int
    reason: str = field(repr=False)
    sample: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class RedriveRun:
    """How far a redrive of many has come."""

    id: UUID
    filter: Selected
    started_at: datetime
    finished_at: datetime | None
    total: int
    redriven: int
    skipped: int

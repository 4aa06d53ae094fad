"""What the law is asked about: facts of one alert, nothing personal."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One alert as the rules see it. All codes are plain strings of ``common.contracts.vocabulary``.

    Attributes:
        received_at: aware instant of receipt by intake; chooses the edition and starts the first clocks.
        territory: ISO 3166-2 or KATO code; no rule reads it, who holds a role there is the registry's matter.
        concerns: what the alert is about; each paragraph names its own set (``law/obligations.md`` E).
        reporter: role code of ``law/roles.md``, or ``child``, ``parent``, ``citizen``, ``anonymous``.
        reported_by: ``staff`` or ``head`` of the reporting body; ``None`` means the head knows.
        offender_relation: code of the alleged offender's relation to the child.
        parents_may_be_informed: ``None`` when the sender did not say.
        child_age: full years; ``age_band`` is all that the ledger knows and all that rules read.
        regional_body: ``False`` when the territory has no regional child rights body: the
            guardianship body then takes each of its duties (¶8, 12, 17, 21).
        parent_lock: whether a person has said that parents must not be told, or that they may;
            ``None`` leaves it to what the rules read from the alert.
    """

    received_at: datetime
    territory: str
    concerns: frozenset[str]
    reporter: str
    reported_by: str | None = None
    occasion: str = "own_duties"
    channel: str = "system"
    cyber: bool = False
    direct_threat: bool = False
    needs_medical_care: bool = False
    without_parental_care: bool = False
    offender_relation: str = "unknown"
    parents_may_be_informed: bool | None = None
    child_age: int | None = None
    age_band: str = "unknown"
    regional_body: bool = True
    parent_lock: bool | None = None

    def __post_init__(self) -> None:
        if self.received_at.tzinfo is None:
            raise ValueError("received_at must be aware")
        if self.child_age is not None and self.age_band == "unknown":
            object.__setattr__(self, "age_band", _band_of(self.child_age))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A fact that came after the alert: an assessment was signed, a complaint was made.

    Attributes:
        fact: code of the edition's ``facts``.
        at: aware instant at which it happened; starts the clocks of what it opens.
        body: role of the body that it is about, where a rule asks for it.
    """

    fact: str
    at: datetime
    body: str | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("at must be aware")


def _band_of(age: int) -> str:
    """The published band of an age in full years."""
    for last, band in ((6, "0-6"), (11, "7-11"), (15, "12-15"), (17, "16-17")):
        if age <= last:
            return band
    return "unknown"

"""The child as it was told of: anything may be unknown."""

from dataclasses import dataclass
from datetime import date

from intake.domain import iin
from intake.domain.iin import Doubt

ADULT = 18


@dataclass(frozen=True, slots=True)
class Child:
    """Every field may be unknown; ``age`` in full years."""

    name: str | None = None
    birth_date: date | None = None
    age: int | None = None
    sex: str | None = None
    iin: str | None = None
    address: str | None = None
    education_org: str | None = None

    def age_on(self, day: date) -> int | None:
        """Full years on ``day``; the birth date beats the age that was told."""
        if self.birth_date is None:
            return self.age
        had_birthday = (day.month, day.day) >= (self.birth_date.month, self.birth_date.day)
        years = day.year - self.birth_date.year - (0 if had_birthday else 1)
        return years if years >= 0 else None

    def age_band_on(self, day: date) -> str:
        """As coarse as routing needs it; no band for somebody who would not be a minor."""
        age = self.age_on(day)
        if age is None or age >= ADULT:
            return "unknown"
        if age < 7:
            return "0-6"
        if age < 12:
            return "7-11"
        return "12-15" if age < 16 else "16-17"

    def doubts(self) -> tuple[Doubt, ...]:
        """What speaks against the identification number; empty without a number."""
        return iin.doubts(self.iin, birth_date=self.birth_date, sex=self.sex) if self.iin else ()

"""A report as it was accepted, and the documents that are made of it.

Facts go into the alert's row and into the event: codes and flags. Everything that could name somebody
goes into one of two sealed documents, the child's and the reporter's.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from intake.domain.child import Child
from intake.domain.source import Publication, Screening
from intake.domain.territory import Territory

LOCAL = ZoneInfo("Asia/Almaty")
OTHER_SUBJECT = "other_prevention_subject"
IDENTIFYING = frozenset(
    {
        "local_exec_body",
        "internal_affairs",
        "education_authority",
        "education_org",
        "guardianship_body",
        "regional_child_rights_body",
        "minors_commission",
        "regional_child_ombudsman",
        "psych_support_centre",
        "family_support_centre",
        "family_mobile_group",
        "contact_centre_111",
        "health_org",
        "social_employment_org",
        "prosecutor",
        OTHER_SUBJECT,
    }
)
"""The sixteen bodies of joint order ¶3; the list is open by its last."""

SHORTEST_PUBLIC_KEY = 16
PUBLIC = UUID(int=0)
"""Stands for everybody without an account where an agency scopes a key."""

RECORD_VERSION = 1
"""Version of the child record's form; part of what its seal is bound to."""


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody told, checked and with the defaults filled in.

    Attributes:
        canonical: the accepted body in one spelling, for telling a repeat from a contradiction.
    """

    territory: Territory
    concerns: tuple[str, ...]
    canonical: bytes = field(repr=False)
    cyber: bool = False
    direct_threat: bool = False
    needs_medical_care: bool = False
    without_parental_care: bool = False
    offender_relation: str = "unknown"
    offender_agency: UUID | None = field(default=None, repr=False)
    parents_may_be_informed: bool | None = None
    occasion: str = "own_duties"
    channel: str = "system"
    reported_by: str | None = None
    reference: str | None = field(default=None, repr=False)
    child: Child = field(default=Child(), repr=False)
    narrative: str | None = field(default=None, repr=False)
    publication: Publication | None = field(default=None, repr=False)
    screening: Screening | None = field(default=None, repr=False)


def reporter_of(bodies: Iterable[str]) -> str:
    """The role in which an agency reports: its first of the sixteen; any other body is ¶3(16)."""
    return next((body for body in bodies if body in IDENTIFYING), OTHER_SUBJECT)


def reported_by(told: str | None, reporter: str) -> str | None:
    """Who in the body reports: for a school's system the head knows unless it says otherwise (¶10)."""
    return told or ("head" if reporter == "education_org" else None)


def facts_of(report: Report, *, reporter: str, received_at: datetime) -> dict[str, Any]:
    """The alert's immutable facts, as they are stored and sent: no value that was typed freely."""
    return {
        "territory": report.territory.region,
        "kato": report.territory.kato,
        "concerns": list(report.concerns),
        "cyber": report.cyber,
        "direct_threat": report.direct_threat,
        "needs_medical_care": report.needs_medical_care,
        "without_parental_care": report.without_parental_care,
        "offender_relation": report.offender_relation,
        "parents_may_be_informed": report.parents_may_be_informed,
        "reporter": reporter,
        "reported_by": reported_by(report.reported_by, reporter),
        "occasion": report.occasion,
        "channel": report.channel,
        "age_band": report.child.age_band_on(local_day(received_at)),
    }


def child_record(report: Report) -> bytes:
    """The document that is sealed under the child's own key."""
    child = report.child
    return _written(
        {
            "child": {
                "name": child.name,
                "birth_date": child.birth_date.isoformat() if child.birth_date else None,
                "age": child.age,
                "sex": child.sex,
                "iin": child.iin,
                "address": child.address,
                "education_org": child.education_org,
                "doubts": [str(doubt) for doubt in child.doubts()],
            },
            "narrative": report.narrative,
            "offender_agency": str(report.offender_agency) if report.offender_agency else None,
            **({"publication": report.publication.written()} if report.publication else {}),
            **({"screening": report.screening.written()} if report.screening else {}),
        }
    )


def reporter_record(report: Report, *, agency: UUID | None, subject: str) -> bytes:
    """The document of the reporter vault; a public report has no agency."""
    return _written(
        {"agency": str(agency) if agency else None, "subject": subject, "reference": report.reference}
    )


def routing_record(report: Report, *, agency: UUID | None) -> bytes:
    """Ids of agencies that decide who is told and who must not be, for the notifier alone."""
    implicated = [str(report.offender_agency)] if report.offender_agency else []
    return _written({"reporter_agency": str(agency) if agency else None, "implicated": implicated})


def content_of(
    facts: dict[str, Any], record: bytes, *, handle: UUID, received_at: datetime
) -> dict[str, Any]:
    """Facts and opened record together, in the form that ``access`` shapes."""
    sealed = json.loads(record)
    return {
        "alert": str(handle),
        "received_on": local_day(received_at).isoformat(),
        "facts": {
            name: facts[name]
            for name in (
                "concerns",
                "cyber",
                "direct_threat",
                "needs_medical_care",
                "without_parental_care",
                "parents_may_be_informed",
            )
        },
        "territory": {"region": facts["territory"], "kato": facts["kato"]},
        "child": {**sealed["child"], "age_band": facts["age_band"]},
        "narrative": sealed["narrative"],
        **{name: sealed[name] for name in ("publication", "screening") if name in sealed},
        "alleged_offender": {"relation": facts["offender_relation"], "agency": sealed["offender_agency"]},
        "source": {
            "occasion": facts["occasion"],
            "channel": facts["channel"],
            "received_at": received_at.isoformat(),
        },
    }


def local_day(at: datetime) -> date:
    """The day in Kazakhstan; an exact time would point at the reporter."""
    return at.astimezone(LOCAL).date()


def _written(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

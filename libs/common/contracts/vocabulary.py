"""Closed lists of codes that travel in events and over HTTP (architecture §4, law/identification.md)."""

from enum import StrEnum


class Concern(StrEnum):
    """What the alert is about (architecture §3). The law gives each its own set of duties."""

    VIOLENCE = "violence"
    CRUELTY = "cruelty"
    BULLYING = "bullying"
    WITNESS_OF_VIOLENCE = "witness_of_violence"
    SUICIDAL_BEHAVIOUR = "suicidal_behaviour"
    CRISIS = "crisis"
    OTHER = "other"


class Occasion(StrEnum):
    """How the sign was noticed: joint order ¶4(1)–(5)."""

    OWN_DUTIES = "own_duties"
    RECEPTION = "reception"
    APPLICATION = "application"
    INFORMATION = "information"
    MEDIA = "media"


class Channel(StrEnum):
    """The way the information came in."""

    SYSTEM = "system"
    PHONE = "phone"
    MESSENGER = "messenger"
    EMAIL = "email"
    WEB = "web"
    IN_PERSON = "in_person"
    PAPER = "paper"
    PLATFORM = "platform"
    MEDIA = "media"
    SURVEY = "survey"


class OffenderRelation(StrEnum):
    """Relation of the alleged offender to the child."""

    PARENT = "parent"
    GUARDIAN = "guardian"
    RELATIVE = "relative"
    HOUSEHOLD_MEMBER = "household_member"
    PEER = "peer"
    EDUCATION_STAFF = "education_staff"
    ORGANISATION_STAFF = "organisation_staff"
    OTHER_ADULT = "other_adult"
    ONLINE_UNKNOWN = "online_unknown"
    UNKNOWN = "unknown"


class AgeBand(StrEnum):
    """Age of the child as coarse as routing needs it; full years."""

    UNDER_7 = "0-6"
    FROM_7_TO_11 = "7-11"
    FROM_12_TO_15 = "12-15"
    FROM_16_TO_17 = "16-17"
    UNKNOWN = "unknown"


class ReportedBy(StrEnum):
    """Who in the reporting body reports: decides whether ¶10 is already met."""

    STAFF = "staff"
    HEAD = "head"


class DutyKind(StrEnum):
    """``notice``: Dabyl sends it. ``act``: the obliged body does it and gives evidence."""

    NOTICE = "notice"
    ACT = "act"


class Urgency(StrEnum):
    """Claim order and pace of a delivery; derived from the strictest duty it carries."""

    IMMEDIATE = "immediate"
    URGENT = "urgent"
    ROUTINE = "routine"

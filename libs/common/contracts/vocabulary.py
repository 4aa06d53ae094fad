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


class CaseFactCode(StrEnum):
    """Facts that casework records and signs; the same list as ``law/facts.yaml`` (source ``casework``)."""

    CASE_OPENED = "case.opened"
    CASE_CLOSED = "case.closed"
    CASE_DIFFICULT = "case.difficult"
    CASE_MANAGER_APPOINTED = "case_manager.appointed"
    VISIT_RECORDED = "visit.recorded"
    INSPECTION_ACT_SIGNED = "inspection_act.signed"
    MEASURES_DECIDED = "measures.decided"
    PLACEMENT_ACCEPTED = "placement.accepted"
    CABINET_ACCEPTED = "cabinet.accepted"
    CRITERIA_RECORDED = "criteria.recorded"
    ASSESSMENT_COMPLETED = "assessment.completed"
    ASSESSMENT_SIGNED = "assessment.signed"
    ASSESSMENT_APPROVED = "assessment.approved"
    PLAN_DRAFTED = "plan.drafted"
    PLAN_BLOCKS_COMPLETE = "plan.blocks_complete"
    PLAN_APPROVED = "plan.approved"
    PLAN_CONSENTED = "plan.consented"
    PLAN_CONSENT_UNOBTAINABLE = "plan.consent_unobtainable"
    MEASURE_ASSIGNED_MEDICAL = "measure.assigned.medical"
    MEASURE_ASSIGNED_PSYCHOLOGICAL = "measure.assigned.psychological"
    MEASURE_ASSIGNED_PEDAGOGICAL = "measure.assigned.pedagogical"
    MEASURE_ASSIGNED_SOCIAL = "measure.assigned.social"
    MEASURE_ASSIGNED_LEGAL = "measure.assigned.legal"
    MEASURE_COMPLETED = "measure.completed"
    COMMISSION_TOLD = "commission.told"
    COMMISSION_NOT_TOLD = "commission.not_told"
    COMMISSION_DECIDED = "commission.decided"
    PARENTS_INFORMED = "parents.informed"
    PARENTS_NOT_INFORMED = "parents.not_informed"
    REQUEST_REGISTERED = "request.registered"
    REQUEST_REVIEWED = "request.reviewed"
    REQUEST_ACCEPTED = "request.accepted"
    CONSULTATION_HELD = "consultation.held"
    CONSENT_RECORDED = "consent.recorded"
    CONSENT_SUBSTITUTED = "consent.substituted"
    SERVICE_PLANNED = "service.planned"
    SERVICE_RECORDED = "service.recorded"
    GROUP_FORMED = "group.formed"
    GROUP_ANNOUNCED = "group.announced"
    ALGORITHM_RECORDED = "algorithm.recorded"
    SPECIALISTS_NEEDED = "specialists.needed"
    SPECIALISTS_INVITED = "specialists.invited"
    SUPERVISION_HELD = "supervision.held"

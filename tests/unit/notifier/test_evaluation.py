"""Facts → duties: what must hold for every alert, and the cases that decide."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.contracts import vocabulary
from notifier.domain.edition import CONCERNS
from notifier.domain.evaluation import Duty, Evaluation, evaluate, follow, rerate
from notifier.domain.facts import Facts, Occurrence
from tests.factories.law import local, some_facts, the_lawbook

NEVER_CONTACTED = {"child", "legal_rep", "emergency_medical"}
THE_LAW = the_lawbook().edition_at(some_facts().received_at)
BODIES = THE_LAW.parameters.identifying_bodies
REPORTERS = (
    *BODIES,
    *THE_LAW.role_names,
    "parent",
    "citizen",
    "anonymous",
    "teacher",
    "nobody",
)


def evaluated(**given: Any) -> Evaluation:
    facts = some_facts(**given)
    return evaluate(the_lawbook().edition_at(facts.received_at), facts, the_lawbook().calendar)


def rules(duties: tuple[Duty, ...]) -> set[str]:
    return {duty.rule for duty in duties}


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    return Facts(
        received_at=datetime(2024, 3, 2, tzinfo=UTC)
        + draw(st.timedeltas(timedelta(0), timedelta(days=3650))),
        territory="KZ-75",
        concerns=draw(st.frozensets(st.sampled_from(CONCERNS))),
        reporter=draw(st.sampled_from(REPORTERS)),
        reported_by=draw(st.sampled_from([None, "staff", "head"])),
        offender_relation=draw(st.sampled_from([relation.value for relation in vocabulary.OffenderRelation])),
        parents_may_be_informed=draw(st.sampled_from([None, True, False])),
        channel=draw(st.sampled_from([channel.value for channel in vocabulary.Channel])),
        cyber=draw(st.booleans()),
        direct_threat=draw(st.booleans()),
        needs_medical_care=draw(st.booleans()),
        without_parental_care=draw(st.booleans()),
        regional_body=draw(st.booleans()),
        child_age=draw(st.none() | st.integers(0, 17)),
    )


@settings(max_examples=150, deadline=None)
@given(facts=any_facts())
def test_invariants_of_every_alert(facts: Facts) -> None:
    lawbook = the_lawbook()
    evaluation = evaluate(lawbook.edition_at(facts.received_at), facts, lawbook.calendar)
    duties = evaluation.obligations
    everything = (*duties, *(e.duty for e in evaluation.advisories), *(e.duty for e in evaluation.withheld))

    assert len({duty.key for duty in everything}) == len(everything)
    for duty in everything:
        assert duty.recipient != duty.obliged
        assert not (duty.is_sent and duty.recipient in NEVER_CONTACTED)
        assert duty.is_sent or duty.kind == "act"
        assert duty.due_at is None or duty.breach_at is None or duty.due_at <= duty.breach_at
        assert (duty.state == "open") == (duty.holder in {"reporter", "hub"})
        # The guardianship body acts for the coordinating body exactly when there is no regional body.
        if not facts.regional_body:
            assert "regional_child_rights_body" not in {duty.obliged, duty.recipient} or (
                facts.reporter == "regional_child_rights_body"
            )

    # Every pending duty waits for a message that somebody is bound to send.
    reached = {duty.recipient for duty in duties if duty.is_sent}
    assert {duty.obliged_body for duty in everything if duty.state == "pending"} <= reached | {
        evaluation.first_holder
    }

    # ¶8 opens once, for the first holder, towards the three bodies that are not itself.
    immediate = [duty for duty in duties if duty.rule.startswith("R136-8")]
    coordinating = "regional_child_rights_body" if facts.regional_body else "guardianship_body"
    if facts.concerns & {"violence", "cruelty", "bullying", "witness_of_violence"}:
        told = {"internal_affairs", coordinating, "regional_child_ombudsman"} - {evaluation.first_holder}
        assert {duty.recipient for duty in immediate} == told
        assert {duty.obliged for duty in immediate} == {evaluation.first_holder}
    else:
        assert not immediate

    # The lock in front of the parents is never lifted by another fact.
    locked = facts.offender_relation in {"parent", "guardian", "relative", "household_member"}
    if locked or facts.parents_may_be_informed is False:
        assert not any(duty.recipient == "legal_rep" for duty in duties)


@pytest.mark.parametrize("body", BODIES)
def test_every_body_of_paragraph_3_holds_what_it_reports(body: str) -> None:
    evaluation = evaluated(reporter=body)
    assert (evaluation.first_holder, evaluation.holder) == (body, "reporter")


@pytest.mark.parametrize(
    "person", ["child", "parent", "citizen", "anonymous", "legal_rep", "media", "unheard_of"]
)
def test_what_a_person_reports_is_held_by_the_hub_which_owes_8_and_14(person: str) -> None:
    evaluation = evaluated(reporter=person, channel="web")
    assert (evaluation.first_holder, evaluation.holder) == ("contact_centre_111", "hub")
    own = {duty.rule for duty in evaluation.obligations if duty.obliged == "contact_centre_111"}
    assert own == {
        "R136-8a", "R136-8b", "R136-8c",
        "R136-14.1", "R136-14.2a", "R136-14.2b", "R136-14.2c", "R136-14.2d", "R136-14.3",
    }  # fmt: skip


def test_another_hub_takes_8_and_14() -> None:
    lawbook = the_lawbook()
    edition = replace(THE_LAW, parameters=replace(THE_LAW.parameters, hub="psych_support_centre"))
    evaluation = evaluate(edition, some_facts(reporter="anonymous"), lawbook.calendar)
    own = {duty.rule for duty in evaluation.obligations if duty.obliged == "psych_support_centre"}
    assert {"R136-8a", "R136-14.1", "R136-14.2c"} <= own


def test_the_school_case_of_the_acceptance() -> None:
    evaluation = evaluated()
    sent = {(duty.obliged, duty.recipient) for duty in evaluation.obligations if duty.dispatch == "at_once"}
    regional = "regional_child_rights_body"
    assert sent == {
        ("education_org", "internal_affairs"),
        ("education_org", regional),
        ("education_org", "regional_child_ombudsman"),
        (regional, "child_rights_authority"),
        (regional, "family_mobile_group"),
        (regional, "regional_child_ombudsman"),
        (regional, "psych_support_centre"),
        (regional, "child_violence_help_cabinet"),
        ("regional_child_ombudsman", "national_child_ombudsman"),
    }
    waiting = {
        (duty.obliged, duty.recipient) for duty in evaluation.obligations if duty.dispatch == "on_release"
    }
    assert waiting == {
        ("education_org_head", "minors_commission"),
        (regional, "minors_commission"),
        (regional, "psych_support_centre"),
        (regional, "family_support_centre"),
    }


def test_a_message_announces_placement_and_cabinet_but_only_evidence_meets_them() -> None:
    duties = {duty.rule: duty for duty in evaluated(without_parental_care=True).obligations}
    for rule in ("R136-12.5", "R136-20"):
        assert (duties[rule].kind, duties[rule].dispatch, duties[rule].is_sent) == ("act", "at_once", True)


def test_duties_of_persons_are_answered_for_by_their_agency() -> None:
    duties = {duty.rule: duty for duty in evaluated(reported_by="staff").obligations}
    assert (duties["R136-10"].obliged, duties["R136-10"].obliged_body) == (
        "education_org_staff",
        "education_org",
    )
    assert (duties["R136-11.3"].obliged, duties["R136-11.3"].obliged_body) == (
        "education_org_head",
        "education_org",
    )


def test_bullying_alone_binds_to_8_and_order_506_and_advises_the_rest() -> None:
    evaluation = evaluated(concerns=["bullying"], cyber=True)
    assert rules(evaluation.obligations) == {
        "R136-8a", "R136-8b", "R136-8c", "R136-9", "R136-12.6.bullying", "R136-15a", "R136-15b", "R136-17",
        "R136-18", "R136-19",
    }  # fmt: skip
    assert {entry.duty.rule: entry.reason for entry in evaluation.advisories} == {
        "R136-12.1": "bullying_not_named",
        "R136-12.2": "bullying_not_named",
        "R136-12.6": "coordinator_decides",
        "R136-13": "bullying_not_named",
        "R136-21": "bullying_not_named",
    }
    assert all(duty.replaceable for duty in evaluation.obligations if duty.rule in {"R136-9", "R136-19"})


@pytest.mark.parametrize("concern", ["suicidal_behaviour", "crisis"])
def test_what_the_joint_order_does_not_name_still_reaches_the_centre(concern: str) -> None:
    evaluation = evaluated(concerns=[concern])
    duties = {duty.rule: duty for duty in evaluation.obligations}
    assert set(duties) == {
        "R264-11.6", "R264-12.pass", "R264-12a", "R264-13", "R264-16a", "R264-17a",
    }  # fmt: skip
    assert duties["R264-12.pass"].force == "internal practice"
    threatened = evaluated(concerns=[concern], direct_threat=True)
    assert "R264-16b" in rules(threatened.obligations)
    told = {duty.recipient for duty in threatened.obligations if duty.is_sent}
    assert told == {
        "psych_support_centre", "health_authority", "internal_affairs", "regional_child_rights_body",
        "regional_child_ombudsman", "local_exec_body", "child_rights_agency",
    }  # fmt: skip


def test_what_nobody_is_bound_to_act_on_asks_for_a_person() -> None:
    assert evaluated(concerns=["other"]).needs_a_person == "concern_not_named"
    assert evaluated(concerns=[]).needs_a_person == "no_concern"
    assert evaluated(concerns=["other", "violence"]).needs_a_person is None
    assert evaluated(concerns=["other"], direct_threat=True).needs_a_person is None


def test_a_threat_learned_later_opens_the_stricter_duties_from_then_on() -> None:
    before = some_facts(concerns=["suicidal_behaviour"])
    learned_at = local("2026-10-24 21:00:00")
    found = rerate(THE_LAW, before, replace(before, direct_threat=True), learned_at, the_lawbook().calendar)
    opened = {duty.rule: duty for duty in found.opened.obligations}
    assert {"R264-15b", "R264-16b", "R264-18a", "R264-18b", "R264-18c", "R264-22b"} <= set(opened)
    assert opened["R264-16b"].due_at == local("2026-10-24 23:59:59")  # the day of learning, a Saturday
    assert "R264-13" not in opened
    assert found.overtaken == ("R264-16a:psych_support_centre:-",)


def test_a_later_fact_opens_the_next_step_and_nothing_else() -> None:
    signed = Occurrence("assessment.signed", local("2026-10-27 12:00:00"))
    answer = follow(THE_LAW, some_facts(), signed, the_lawbook().calendar)
    assert rules(answer.obligations) == {"R136-22", "R136-A1.appr"}
    assert {(duty.state, duty.starts_at) for duty in answer.obligations} == {("open", signed.at)}
    unheard_of = replace(signed, fact="nothing")
    assert not follow(THE_LAW, some_facts(), unheard_of, the_lawbook().calendar).obligations
    assert not rules(evaluated().obligations) & {"R136-22", "R136-A1.appr"}


def test_every_fact_of_the_law_opens_or_meets_a_duty() -> None:
    used = {fact for rule in THE_LAW.rules for fact in (*rule.after, *rule.evidence)}
    periodic = [duty for edition in the_lawbook().editions for duty in edition.periodic]
    used |= {fact for duty in periodic for fact in duty.evidence}
    assert set(THE_LAW.facts) == used
    assert THE_LAW.met_by("case_manager.appointed") == ("R136-12.2",)
    assert THE_LAW.met_by("assessment.signed") == ("R136-21", "R136-A1.sign")


def test_a_person_of_the_coordinating_body_reports_for_whichever_body_that_is() -> None:
    assert evaluated(reporter="case_manager").first_holder == "regional_child_rights_body"
    assert evaluated(reporter="case_manager", regional_body=False).first_holder == "guardianship_body"


def test_bodies_outside_the_list_hold_what_they_report_as_paragraph_3_16() -> None:
    evaluation = evaluated(reporter="local_self_government")
    assert (evaluation.first_holder, evaluation.holder) == ("local_self_government", "reporter")


def test_the_stand_in_is_marked() -> None:
    assert not any(duty.stand_in for duty in evaluated().obligations)
    marked = {duty.obliged for duty in evaluated(regional_body=False).obligations if duty.stand_in}
    assert marked == {"guardianship_body"}


def test_urgency_follows_the_clock() -> None:
    by_clock = {duty.clock.code: duty.urgency for duty in evaluated().obligations}
    assert by_clock == {
        "immediately": "immediate",
        "1h": "urgent",
        "1wd_from_moment": "routine",
        "2wd_from_day": "routine",
        "3wd_from_day": "routine",
        "10wd_from_day": "routine",
        "none": "routine",
    }


def test_rows_have_the_fields_of_the_preview() -> None:
    rows = evaluated(concerns=["violence"], parents_may_be_informed=False).rows()
    fields = {
        "rule", "citation", "duty", "obliged", "recipient", "force", "starts_at", "due_at", "breach_at",
    }  # fmt: skip
    assert set(rows) == {"obligations", "advisories", "withheld"}
    assert all(set(row) == fields for row in rows["obligations"])
    assert [(row["rule"], row["reason"]) for row in rows["withheld"]] == [
        ("R136-11.1", "against_the_childs_interests")
    ]
    first = rows["obligations"][0]
    assert first["citation"] == {"kk": "Бірлескен бұйрық, 8-тармақ", "ru": "Совместный приказ, п. 8"}
    assert set(first["duty"]) == {"kk", "ru"}


def test_codes_of_the_published_vocabulary_are_understood() -> None:
    """Facts come with the enumerations of ``common.contracts``; the rules compare plain text."""
    facts = some_facts(
        concerns=[vocabulary.Concern.VIOLENCE],
        offender_relation=vocabulary.OffenderRelation.PARENT,
        reported_by=vocabulary.ReportedBy.STAFF,
    )
    lawbook = the_lawbook()
    evaluation = evaluate(THE_LAW, facts, lawbook.calendar)
    assert "R136-10" in rules(evaluation.obligations)
    assert [entry.reason for entry in evaluation.withheld] == ["do_not_notify_parents"]


def test_every_published_concern_is_known_to_the_rules() -> None:
    assert set(CONCERNS) == {concern.value for concern in vocabulary.Concern}


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        replace(some_facts(), received_at=some_facts().received_at.replace(tzinfo=None))

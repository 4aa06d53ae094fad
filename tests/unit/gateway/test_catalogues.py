"""No text is missing in any language, none is left over, and every code has a name."""

import re
from pathlib import Path

import pytest

import gateway.console
from common.contracts.vocabulary import AgeBand, Channel, Concern, Occasion, OffenderRelation, Urgency
from gateway.console.catalogue import DEFAULT, LANGUAGES, Catalogue, TextMissing, catalogue, choose
from gateway.console.duties import DONE, SHOWN
from gateway.console.failures import DONE as FAILURES_DONE
from gateway.console.forms import REFUSED
from gateway.domain.fanout import Outcome
from gateway.domain.identity import Role

HERE = Path(str(gateway.console.__file__)).parent
NOTIFIER = HERE.parents[1] / "notifier"
TEMPLATES = sorted((HERE / "templates").rglob("*.html"))
CODE = sorted(HERE.glob("*.py"))
STATES = ("waiting", "leased", "transmitted", "acknowledged", "rejected", "dead", "cancelled", "superseded")

FAMILIES = (
    "state",
    "reason",
    "urgency",
    "outcome",
    "mark",
    "count",
    "answer",
    "role",
    "office",
    "force",
    "field",
    "code",
    "group",
    "duty_state",
    "needs",
    "span",
    "clock",
    "refusal",
    "language",
    "act",
    "alarm",
    "rung",
    "step",
    "channel_kind",
    "change",
    "channel",
    "done",
    "fact",
    "pending",
    "refused",
    "trouble",
)
"""Beginnings of keys that are put together from a code."""


def used() -> set[str]:
    text = "\n".join(file.read_text() for file in (*TEMPLATES, *CODE))
    found = set(re.findall(r"""\b(?:t|n|text|count)\(\s*["']([a-z_.0-9]+[a-z0-9])["']""", text))
    found |= set(
        re.findall(
            r"""["']((?:sign_in|inbox|answer|form|duty_form|correction|conflict|rating|parents|failures|affair)\.[a-z_]+)["']""",
            text,
        )
    )
    return {key for key in found if not key.endswith(".html")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_key_that_a_page_names_is_there(language: str) -> None:
    words = Catalogue(language)
    known = set(words.texts) | set(words.plurals)
    whole = {
        f"{key}{part}"
        for key in ("inbox.content_refused", "inbox.must_sign", "inbox.answer_refused")
        for part in (".title", ".text")
    }
    missing = {key for key in used() | whole if key not in known and f"{key}.title" not in known}
    assert not missing


def test_the_three_languages_have_the_same_keys_and_no_empty_text() -> None:
    keys = {language: set(Catalogue(language).texts) for language in LANGUAGES}
    plurals = {language: set(Catalogue(language).plurals) for language in LANGUAGES}
    assert keys["kk"] == keys["ru"] == keys["en"]
    assert plurals["kk"] == plurals["ru"] == plurals["en"]
    for language in LANGUAGES:
        words = Catalogue(language)
        assert all(text.strip() for text in words.texts.values())
        assert all(form.strip() for forms in words.plurals.values() for form in forms)


def test_the_same_values_go_into_every_language() -> None:
    texts = {language: Catalogue(language).texts for language in LANGUAGES}
    for key in texts["en"]:
        holes = {frozenset(re.findall(r"%\((\w+)\)s", texts[language][key])) for language in LANGUAGES}
        assert len(holes) == 1, key


def test_no_text_is_left_over() -> None:
    found = used() | {"alarms.next"}  # put together from a code, as the families are
    spare = {
        key
        for key in Catalogue("en").texts
        if key not in found
        and key.split(".")[0] not in FAMILIES
        and not any(key.startswith(f"{named}.") for named in found)
    }
    assert not spare


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_house_has_a_name(language: str) -> None:
    words = catalogue(language)
    codes: dict[str, set[str]] = {
        "urgency": {str(code) for code in Urgency},
        "state": set(STATES),
        "count": set(STATES),
        "mark": {str(code) for code in Outcome} | {"transmitted", "opened", "acknowledged"},
        "office": {str(code) for code in Role},
        "code": {str(c) for kind in (Channel, Concern, Occasion, OffenderRelation) for c in kind},
        "answer": {"received", "accepted", "rejected"},
        "duty_state": {"pending", "open", "met", "waived", "cancelled"},
        "force": {"law", "joint order", "internal practice"},
        "needs": {"nobody_obliged", "clustered"},
        "act": {f"{act}{part}" for act in SHOWN for part in ("", ".meaning")},
        "done": {f"{done}.{part}" for done in (*DONE, *FAILURES_DONE) for part in ("title", "text")},
        "refused": {
            f"{kind.replace('-', '_')}.{part}" for kind in (*REFUSED, "other") for part in ("title", "text")
        },
        "pending": {"waiver", "unfounded", "lock_lifted", "conflict_lowered"},
        "trouble": {"dead", "blocked", "retrying"},
        "change": {"corrected", "withdrawn", "unfounded", "rerated"},
        "channel": {"webhook", "smtp", "sms", "voice", "amqp", "file"},
    }
    assert not {band for band in AgeBand if band is not AgeBand.UNKNOWN and not str(band)[0].isdigit()}
    missing = {
        f"{kind}.{code}"
        for kind, found in codes.items()
        for code in found
        if f"{kind}.{code}" not in words.texts
    }
    assert not missing


@pytest.mark.parametrize("language", LANGUAGES)
def test_notifiers_outcomes_reasons_and_roles_have_names(language: str) -> None:
    """Read as text: the gateway may not import another service, and neither does its test."""
    source = (NOTIFIER / "domain" / "delivery.py").read_text()
    words = catalogue(language).texts
    for kind, family in (("Outcome", "outcome"), ("Reason", "reason")):
        body = source.split(f"class {kind}(StrEnum):")[1].split("\nclass ")[0]
        for code in re.findall(r'^    [A-Z_]+ = "([^"]+)"', body, re.M):
            assert f"{family}.{code}" in words, code
    for role in re.findall(r"^  ([a-z_0-9]+):", (NOTIFIER / "law" / "roles.yaml").read_text(), re.M):
        assert f"role.{role}" in words, role
    stated = (NOTIFIER / "law" / "facts.yaml").read_text().partition("\n  agency:\n")[2]
    codes = re.findall(r"^    ([a-z_.]+):", stated, re.M)
    assert len(codes) > 10
    for code in codes:
        assert f"fact.{code}" in words, code


def test_what_notifier_says_needs_a_person_has_words() -> None:
    """The page once broke on a code that nobody had written a text for."""
    said = (NOTIFIER / "schemas" / "alerts.py").read_text()
    [codes] = re.findall(r"needs_a_person: Literal\[([^]]+)\]", said)
    for code in re.findall(r'"([a-z_]+)"', codes):
        for language in LANGUAGES:
            assert f"needs.{code}" in Catalogue(language).texts, code


def test_every_hole_of_a_text_is_one_that_is_filled() -> None:
    """``{at}`` would be shown as it stands; only ``%(at)s`` is filled in."""
    for language in LANGUAGES:
        words = Catalogue(language)
        forms = [form for found in words.plurals.values() for form in found]
        assert not [text for text in (*words.texts.values(), *forms) if re.search(r"\{[a-z_]+\}", text)]


def test_kazakh_texts_are_kazakh() -> None:
    """A text copied from Russian has no Kazakh letter; short words that are the same in both are named."""
    kazakh, russian = Catalogue("kk").texts, Catalogue("ru").texts
    same = {key for key, text in kazakh.items() if text == russian[key] and re.search("[а-яА-Я]", text)}
    shared = {
        "office.operator",
        "office.auditor",
        "office.agency",
        "code.messenger",
        "code.phone",
        "code.platform",
        "role.case_manager",
        "brand",
        "language.kk",
        "language.ru",
        "trace.picture",
        "span.milliseconds",
        "span.seconds",
        "span.minutes",
        "channel_kind.voice",
        "channel_kind.file",
        "rung.4",
    }
    assert same <= shared


def test_a_text_that_nobody_wrote_is_an_error_and_a_new_code_is_shown_as_it_is() -> None:
    with pytest.raises(TextMissing):
        catalogue("en").text("no.such")
    assert catalogue("en").label("state", "teleported") == "teleported"


def test_russian_counts_in_three_forms() -> None:
    words = catalogue("ru")
    assert [words.count("lane.attempts", n) for n in (1, 2, 5, 11, 21)] == [
        "1 попытка",
        "2 попытки",
        "5 попыток",
        "11 попыток",
        "21 попытка",
    ]


@pytest.mark.parametrize(
    ("cookie", "header", "language"),
    [
        (None, None, DEFAULT),
        (None, "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        (None, "de, en;q=0.3, kk;q=0.7", "kk"),
        ("en", "ru", "en"),
        ("xx", "ru", "ru"),
        (None, ";;;,,q=,en;q=zzz", "en"),
        (None, "*", DEFAULT),
    ],
)
def test_the_language_is_the_readers(cookie: str | None, header: str | None, language: str) -> None:
    assert choose(cookie, header) == language

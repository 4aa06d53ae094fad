"""A canary goes through the whole embedded house; afterwards it is nowhere but where it is meant to be."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from dabyl.calls import Calls
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Hit, Scanner, Surface
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.hostile import Hostile, alert_bodies, alert_headers, other_bodies
from tests.acceptance.inside import SERVICES, Inside, settled
from tests.acceptance.pages import Visit, visiting
from tests.acceptance.raw import ask
from tests.acceptance.recording import Agency, Recorder, notice_for, recording
from tests.acceptance.reporting import deliveries_of, until
from tests.acceptance.siege import Siege

CANARY = Canary.new()
SCANNER = Scanner(CANARY)
SCHOOL, POLICE, BODY = "education-org-kz-71", "internal-affairs-kz-71", "regional-child-rights-body-kz-71"
CHANGES: tuple[dict[str, Any], ...] = (
    {"territory": "KZ-75"},
    {"territory": "KZ-75", "alleged_offender": {"relation": "parent"}, "parents_may_be_informed": False},
    {"territory": "KZ-71", "concerns": ["cruelty", "crisis"], "direct_threat": True,
    "needs_medical_care": True},
    {"territory": "KZ-71", "concerns": ["bullying"], "cyber": True, "channel": "phone", "occasion": "media"},
    {"territory": "KZ-71", "concerns": ["suicidal_behaviour"],
    "alleged_offender": {"relation": "education_staff"}},
)  # fmt: skip


@dataclass
class Trail:
    """Everything that was said and shown while the canary went through."""

    house: EmbeddedHouse
    inside: Inside
    recorder: Recorder
    calls: Calls
    alerts: list[str] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    entitled: list[Surface] = field(default_factory=list)

    def note(self, label: str, data: bytes) -> None:
        self.surfaces.append(Surface(label, data))

    def get(self, who: str, token: str, target: str) -> bytes:
        answer = ask(self.calls.url, "GET", target, headers=[("Authorization", f"Bearer {token}")])
        self.note(f"{who} GET {target}", answer.everything())
        return answer.body


@pytest.fixture(scope="module")
def trail(house: EmbeddedHouse) -> Iterator[Trail]:
    calls = house.calls()
    with recording() as recorder:
        trail = Trail(house, Inside.of(house.pid, house.home), recorder, calls)
        # Another path for every test module: an endpoint that was registered before stays as it was.
        police = Agency(calls, POLICE, f"{recorder.url}/canary")
        body = Agency(calls, BODY)
        _report(trail)
        _go_through(trail, police, body)
        _provoke(trail)
        _look_around(trail, police, body)
        settled()
        yield trail


def _report(trail: Trail) -> None:
    for change in CHANGES:
        agency = SCHOOL if change["territory"] == "KZ-71" else "education-org-kz-75"
        answer = ask(
            trail.calls.url, "POST", "/v1/alerts", body=json.dumps(CANARY.alert(**change)).encode(),
            headers=[("Authorization", f"Bearer {trail.calls.token(agency=agency)}"),
                     ("Content-Type", "application/json"), ("Idempotency-Key",
                     f'"{CANARY.latin}{len(trail.alerts)}"'),
                     ("tracestate", f"vendor={CANARY.latin}"), ("baggage", f"child={quote(CANARY.phrase)}"),
                     ("traceparent", f"00-{'ab' * 15}{len(trail.alerts):02x}-00f067aa0ba902b7-01")],
        )  # fmt: skip
        assert answer.status == 201, answer
        trail.note("reporter POST /v1/alerts", answer.everything())
        trail.alerts.append(json.loads(answer.body)["id"])


def _go_through(trail: Trail, police: Agency, body: Agency) -> None:
    """The fan-out to its end: pushed, pulled, opened, answered; the dead one is tried again."""
    taken = notice_for(trail.recorder, "/canary")
    opened = police.open(taken.notice)
    assert opened.status == 200
    trail.entitled.append(Surface("content for the police", opened.body))
    assert police.answer(taken.notice, police.receipt(taken.notice, taken.digest)).status == 201
    for item in until(body.inbox, seconds=20):
        opened = body.open(item["notice"])
        trail.entitled.append(Surface("content for the regional body", opened.body))
        body.answer(item["notice"], body.receipt(item["notice"], item["notice_digest"], status="accepted"))
    until(lambda: _appoint(trail, body), seconds=20, every=0.5)

    def at_rest() -> bool:
        found = {one["role"]: one for one in deliveries_of(trail.calls, trail.alerts[0])}
        dead = found.get("psych_support_centre", {})
        done = ("internal_affairs", "regional_child_rights_body", "child_rights_authority")
        return len(dead.get("attempts", [])) >= 2 and all(
            found.get(role, {}).get("state") == "acknowledged" for role in done
        )

    until(at_rest, seconds=60, every=0.25)


def _appoint(trail: Trail, body: Agency) -> bool:
    """A case manager for the first case that has the duty to appoint one (bullying has none)."""
    told = json.dumps({"employee": {"name": "Маман Аты", "position": "маман"}}).encode()
    for case in json.loads(body.call("GET", "/v1/cases").body)["items"]:
        answer = body.call("POST", f"/v1/cases/{case['id']}/case-manager", body=told)
        trail.note("POST case manager", answer.everything())
        if answer.status == 201:
            return True
    return False


def _provoke(trail: Trail) -> None:
    """Bad input with the canary in every field, header, path and query, as values and as unknown keys."""
    siege = Siege(trail.calls, CANARY)
    for request in (*alert_bodies(CANARY), *alert_headers(CANARY), *other_bodies(CANARY), *_addresses()):
        siege.send(request)
    trail.surfaces += siege.heard


def _addresses() -> Iterator[Hostile]:
    for text in (CANARY.latin, quote(CANARY.kazakh), quote(CANARY.values["name"]), CANARY.values["iin"]):
        for path in ("/v1/alerts/{}", "/v1/deliveries/{}/content", "/v1/agencies/{}", "/{}", "/console/{}",
                     "/console/alerts/{}", "/v1/alerts?name={}", "/v1/deliveries?state={}",
                     "/v1/agencies?code={}",
                     "/v1/inbox?after={}", "/oauth/{}", "/console/sign-in?code={}"):  # fmt: skip
            yield Hostile(
                path, "GET", path.format(text), role="registrar" if "agencies" in path else "agency"
            )


def _look_around(trail: Trail, police: Agency, body: Agency) -> None:
    operator = trail.calls.token(role="operator")
    for alert in trail.alerts:
        for part in ("", "/obligations", "/deliveries", "/timeline"):
            trail.get("operator", operator, f"/v1/alerts/{alert}{part}")
            trail.get("reporter", trail.calls.token(agency=SCHOOL), f"/v1/alerts/{alert}{part}")
    listed = json.loads(trail.get("operator", operator, "/v1/deliveries?limit=200"))["items"]
    for one in listed[:40]:
        trail.get("operator", operator, f"/v1/deliveries/{one['id']}")
    trail.get("operator", operator, "/v1/alerts?limit=200")
    simulated = ("internal-affairs-kz-75", "child-rights-authority-kz", "national-child-ombudsman-kz")
    tokens = {"police": police.token, "body": body.token}
    tokens |= {code: trail.calls.token(agency=code) for code in (SCHOOL, "education-org-kz-75", *simulated)}
    for who, token in tokens.items():
        for target in ("/v1/alerts", "/v1/deliveries", "/v1/inbox", "/v1/cases", "/v1/tasks"):
            trail.get(who, token, target)
        for alert in json.loads(trail.get(who, token, "/v1/alerts"))["items"][:4]:
            for part in ("", "/obligations", "/deliveries", "/timeline", "/matches"):
                trail.get(who, token, f"/v1/alerts/{alert['id']}{part}")
    for one in json.loads(trail.get("body", body.token, "/v1/cases"))["items"][:4]:
        trail.get("body", body.token, f"/v1/cases/{one['id']}")
    for taken in trail.recorder.taken:
        trail.note(f"notice to {taken.path}", taken.everything())
    for service, told in trail.inside.metrics().items():
        trail.note(f"{service} /metrics", told)
    _walk_through_the_console(trail)


def _walk_through_the_console(trail: Trail) -> None:
    with visiting(trail.calls, role="operator") as operator:
        operator.wander("/console", avoid="/sign-out|/language/(?!kk)")
        for alert in trail.alerts:
            operator.read(f"/console/alerts/{alert}")
        operator.hear("/console/alerts/live")
        operator.hear(f"/console/alerts/{trail.alerts[0]}/live")
        _note_pages(trail, "operator", operator)
    with visiting(trail.calls, agency=POLICE) as police:
        police.wander("/console", avoid="/content|/sign-out|/language/")
        police.hear("/console/inbox/live")
        _note_pages(trail, "police", police)
        notices = [path for path in police.pages if path.count("/") == 3 and "/inbox/" in path]
        assert notices
        for path in notices[:3]:
            trail.entitled.append(Surface(f"{path}/content", police.read(f"{path}/content")))


def _note_pages(trail: Trail, who: str, visit: Visit) -> None:
    assert len(visit.pages) >= 3, sorted(visit.pages)
    for path, told in visit.pages.items():
        trail.note(f"page of {who} {path}", told)


def _told(hits: list[Hit]) -> str:
    return "\n".join(str(hit)[:400] for hit in hits[:40])


@pytest.mark.timeout(240)
def test_nothing_that_was_said_or_shown_holds_it(trail: Trail) -> None:
    assert len(trail.surfaces) > 500
    hits = SCANNER.scan(trail.surfaces)
    assert not hits, _told(hits)


@pytest.mark.timeout(120)
def test_no_file_of_the_house_holds_it(trail: Trail) -> None:
    """Databases and their logs, traces, output, keys, the simulators' journal: as they are on disk now."""
    files = {file.name for file in trail.house.home.rglob("*") if file.is_file()}
    assert {f"{service}.db" for service in SERVICES} <= files
    assert {"intake.db-wal", "traces.db", "simulators.jsonl", "bootstrap.json"} <= files
    assert trail.house.output.stat().st_size > 1000
    hits = SCANNER.scan_files(trail.house.home, trail.house.output)
    assert not hits, _told(hits)


@pytest.mark.timeout(60)
def test_no_process_holds_it_where_others_can_read(trail: Trail) -> None:
    """Command lines and environments of the house and of the simulated agencies."""
    root = psutil.Process(trail.house.pid)
    files = [
        Path(f"/proc/{process.pid}/{part}")
        for process in (root, *root.children(recursive=True))
        for part in ("cmdline", "environ")
    ]
    assert not SCANNER.scan(Surface(str(file), file.read_bytes()) for file in files)


@pytest.mark.timeout(60)
def test_those_it_is_meant_for_do_see_it(trail: Trail) -> None:
    """Twin: the canary did travel. The scanner finds it in every content that was opened."""
    contents = [one for one in trail.entitled if b"child" in one.data]
    assert len(contents) >= 2
    police = [one for one in trail.entitled if one.label == "content for the police"]
    assert {hit.encoding.split(",")[0] for hit in SCANNER.scan(police)} >= {"latin", "kazakh", "iin"}

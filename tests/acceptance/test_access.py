"""Who may see what, from outside: every route with every id by everybody, and what is taken back stays so."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.ids import pairwise
from common.keys import KeyRing
from dabyl.calls import Calls
from tests.acceptance.canary.needles import Canary
from tests.acceptance.canary.scanner import Scanner, Surface
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.pages import visiting
from tests.acceptance.raw import Answer, ask
from tests.acceptance.recording import Agency, Recorder, Taken, notice_for, path_of, recording
from tests.acceptance.reporting import deliveries_of, until

REGION = "kz-79"
CANARY = Canary.new()
SCANNER = Scanner(CANARY)


@dataclass
class Scene:
    """One alert about a canary in a region of its own, and everybody around it.

    Attributes:
        tokens: by caller; ``None`` carries no token.
        ids: by kind of thing, then by whose name for it.
    """

    calls: Calls
    house: EmbeddedHouse
    recorder: Recorder
    police: Agency
    body: Agency
    stranger: Agency
    taken: Taken
    tokens: dict[str, str | None]
    number: str
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def ask(self, who: str, method: str, target: str, **more: Any) -> Answer:
        """As that caller."""
        token = self.tokens[who]
        headers = [("Authorization", f"Bearer {token}")] if token else []
        return ask(self.calls.url, method, target, headers=[*headers, *more.pop("headers", ())], **more)


@pytest.fixture(scope="module")
def scene(house: EmbeddedHouse) -> Iterator[Scene]:
    calls = house.calls()
    with recording() as recorder:
        police = Agency(calls, f"internal-affairs-{REGION}", f"{recorder.url}/police")
        body = Agency(calls, f"regional-child-rights-body-{REGION}")
        stranger = Agency(calls, "prosecutor-kz-71")
        school = Agency(calls, f"education-org-{REGION}")
        sent = calls.post("/v1/alerts", CANARY.alert(territory=REGION.upper()), token=school.token)
        taken = notice_for(recorder, "/police")
        [pulled] = until(body.inbox, seconds=20)
        assert body.open(pulled["notice"]).status == 200  # who has opened an alert may ask for matches
        operator = calls.token(role="operator")
        internal = _internal_id(calls, sent["number"])
        deliveries = {one["role"]: one["id"] for one in deliveries_of(calls, internal)}
        cases = until(lambda: _items(body.call("GET", "/v1/cases")), seconds=20)
        retired = Agency(calls, f"internal-affairs-{REGION}")
        revoked = calls.post("/v1/tokens", {"agency": police.code}, token=calls.registrar())
        assert _status(calls, revoked["access_token"]) == 200
        calls.post("/v1/tokens/revocations", {"jti": revoked["jti"]}, token=calls.registrar())
        _delete_client(calls, retired)
        scene = Scene(
            calls, house, recorder, police, body, stranger, taken,
            tokens={
                "reporter": school.token, "police": police.token, "body": body.token,
                "stranger": stranger.token,
                "operator": operator, "registrar": calls.registrar(), "auditor": calls.token(role="auditor"),
                "nobody": None, "revoked": revoked["access_token"], "retired": retired.token,
            },
            number=sent["number"],
            ids={
                "alert": {
                    "internal": internal, "reporter": sent["id"], "police": taken.notice["alert"],
                    "body": pulled["notice"]["alert"],
                    "stranger": _handle_of(house, internal, stranger.id),
                },
                "delivery": {
                    "police": taken.notice["delivery"], "body": pulled["notice"]["delivery"],
                    "ombudsman": deliveries["regional_child_ombudsman"],
                },
                "case": {"body": cases[0]["id"]},
                "obligation": {"body": _waiting_for_release(calls, pulled["notice"]["alert"], body.token)},
            },
        )  # fmt: skip
        yield scene


def _internal_id(calls: Calls, number: str) -> str:
    def find() -> str | None:
        page = calls.get("/v1/alerts", token=calls.token(role="operator"), limit=200)
        return next((str(one["id"]) for one in page["items"] if one["number"] == number), None)

    return str(until(find, seconds=20))


def _handle_of(house: EmbeddedHouse, internal: str, agency: str) -> str:
    """The id under which an agency would know the alert, had it been told: only the key can say."""
    key = KeyRing(house.home / "keys").secret("pairwise")
    return str(pairwise(key, UUID(internal), UUID(agency)))


def _waiting_for_release(calls: Calls, alert: str, token: str) -> str:
    """A duty of this body whose notice it may let go."""
    page = calls.get(f"/v1/alerts/{alert}/obligations", token=token)
    return next(str(one["id"]) for one in page["items"] if "release" in one["may"])


def _items(answer: Answer) -> list[dict[str, Any]]:
    return list(json.loads(answer.body)["items"]) if answer.status == 200 else []


def _status(calls: Calls, token: str) -> int:
    return ask(calls.url, "GET", "/v1/inbox", headers=[("Authorization", f"Bearer {token}")]).status


def _delete_client(calls: Calls, agency: Agency) -> None:
    target = f"/v1/clients/{agency.connected.client_id}"
    headers = [("Authorization", f"Bearer {calls.registrar()}")]
    assert ask(calls.url, "DELETE", target, headers=headers).status == 204


# Who is let in: (route, whose name for the thing) → callers. Everything else looks like nothing at all.
ALLOWED: dict[tuple[str, str], frozenset[str]] = {}
for _route in (
    "/v1/alerts/{}",
    "/v1/alerts/{}/obligations",
    "/v1/alerts/{}/deliveries",
    "/v1/alerts/{}/timeline",
):
    for _whose in ("reporter", "police", "body"):
        ALLOWED[_route, _whose] = frozenset({_whose, "operator"})
    ALLOWED[_route, "internal"] = frozenset({"operator"})
ALLOWED["/v1/alerts/{}/matches", "body"] = frozenset({"body"})
ALLOWED["/v1/alerts/{}/joining", "body"] = frozenset({"body"})
# Who is suspected: the two that may lower a conflict together, and the operator.
for _whose in ("police", "body"):
    ALLOWED["/v1/alerts/{}/conflicts", _whose] = frozenset({_whose, "operator"})
for _whose in ("reporter", "internal"):
    ALLOWED["/v1/alerts/{}/conflicts", _whose] = frozenset({"operator"})
ALLOWED["/v1/deliveries/{}", "police"] = frozenset({"police", "operator", "reporter"})
ALLOWED["/v1/deliveries/{}", "body"] = frozenset({"body", "operator", "reporter"})
# Both owe this notice (¶8 and ¶12): each may see that its own duty was met.
ALLOWED["/v1/deliveries/{}", "ombudsman"] = frozenset({"operator", "reporter", "body"})

ROUTES = {
    "/v1/alerts/{}": "alert", "/v1/alerts/{}/obligations": "alert", "/v1/alerts/{}/deliveries": "alert",
    "/v1/alerts/{}/timeline": "alert", "/v1/alerts/{}/matches": "alert", "/v1/deliveries/{}": "delivery",
    "/v1/deliveries/{}/content": "delivery", "/v1/cases/{}": "case", "/v1/cases/{}/records": "case",
    "/v1/alerts/{}/conflicts": "alert", "/v1/alerts/{}/joining": "alert",
}  # fmt: skip


def _parties_of_the_case(scene: Scene) -> set[str]:
    """Who coordinates the case or has a task in it, by the lists of tasks (they grow as notices arrive)."""
    case = scene.ids["case"]["body"]
    agencies = ("reporter", "police", "body", "stranger")
    with_a_task = {
        who
        for who in agencies
        if any(one["case_id"] == case for one in _items(scene.ask(who, "GET", "/v1/tasks?limit=200")))
    }
    return {"body"} | (with_a_task - {"stranger"})


def _same(left: Answer, right: Answer) -> bool:
    counted = (
        "date",
        "ratelimit",
        "ratelimit-policy",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
    )
    told = [
        tuple(sorted((name.lower(), value) for name, value in one.headers if name.lower() not in counted))
        for one in (left, right)
    ]
    return left.status == right.status and left.body == right.body and told[0] == told[1]


@pytest.mark.timeout(180)
def test_what_is_not_yours_does_not_exist(scene: Scene) -> None:
    wrong = []
    asked = 0
    for route, kind in ROUTES.items():
        for who in scene.tokens:
            nothing = scene.ask(who, "GET", route.format(uuid4()))
            for whose, thing in scene.ids[kind].items():
                answer = scene.ask(who, "GET", route.format(thing))
                asked += 1
                allowed = who in ALLOWED.get((route, whose), frozenset()) or (
                    kind == "case" and who in _parties_of_the_case(scene)
                )
                if allowed and answer.status != 200:
                    wrong.append(f"{who} {route} as {whose}: refused {answer.status} {answer.body!r}")
                if not allowed and (answer.status < 400 or not _same(answer, nothing)):
                    wrong.append(f"{who} {route} as {whose}: {answer.status} {answer.body[:200]!r}")
    assert asked > 200
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(60)
def test_a_party_sees_its_own_part_only(scene: Scene) -> None:
    """Inside what it may see, an agency finds no name, receipt, duty or task of the others."""
    whole = json.loads(scene.ask("body", "GET", f"/v1/cases/{scene.ids['case']['body']}").body)
    own = json.loads(scene.ask("reporter", "GET", f"/v1/cases/{scene.ids['case']['body']}").body)
    assert own["tasks"]
    assert len(own["tasks"]) < len(whole["tasks"])
    assert {task["obliged"] for task in own["tasks"]} <= {
        "education_org",
        "education_org_head",
        "education_org_staff",
    }
    for who, whose in (("reporter", "police"), ("body", "ombudsman")):
        told = json.loads(scene.ask(who, "GET", f"/v1/deliveries/{scene.ids['delivery'][whose]}").body)
        assert told["content"] is None
        assert told["notice_digest"] is None
        assert told["alert"] == scene.ids["alert"][who]
        all_duties = json.loads(
            scene.ask("operator", "GET", f"/v1/deliveries/{scene.ids['delivery'][whose]}").body
        )["duties"]
        assert told["duties"]
        assert len(told["duties"]) <= len(all_duties)
    for who in ("reporter", "police", "body"):
        handle = scene.ids["alert"][who]
        for part in ("", "/obligations", "/deliveries", "/timeline"):
            told = scene.ask(who, "GET", f"/v1/alerts/{handle}{part}").body.decode()
            others = [name for whose, name in scene.ids["alert"].items() if whose != who]
            assert not [name for name in others if name in told], (who, part)
            if who != "reporter":
                assert scene.number not in told, (who, part)
            assert json.loads(told).get("trace_id") is None, (who, part)


@pytest.mark.timeout(60)
def test_every_route_of_the_document_is_in_the_sweep(scene: Scene) -> None:
    """A new route with an id must say who may ask it, here or among those that name no child."""
    document = json.loads(ask(scene.calls.url, "GET", "/openapi.json").body)
    with_ids = {
        "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
        for path, operations in document["paths"].items()
        if "{" in path and "get" in operations
    }
    assert with_ids - set(ROUTES) == {"/v1/agencies/{}", "/v1/periods/{}", "/v1/redrives/{}"}


@pytest.mark.timeout(60)
def test_other_ways_to_write_are_closed_too(scene: Scene) -> None:
    """POST and DELETE with the ids of others."""
    receipt = scene.police.receipt(scene.taken.notice, scene.taken.digest)
    signed = scene.police.signed(receipt)
    wrong = []
    for who in scene.tokens:
        for method, route, thing, body, media, right in (
            ("POST", "/v1/deliveries/{}/receipt", scene.ids["delivery"]["police"], signed, "application/jose",
             {"police"}),
            ("POST", "/v1/alerts/{}/conflicts", scene.ids["alert"]["police"],
             json.dumps({"agency": str(uuid4()), "reason": "x"}).encode(), "application/json", {"police"}),
            ("POST", "/v1/alerts/{}/parent-lock", scene.ids["alert"]["police"],
             b'{"locked": true, "reason": "x"}', "application/json", {"police"}),
            ("POST", "/v1/alerts/{}/joining", scene.ids["alert"]["body"],
             json.dumps({"other": str(uuid4()), "match": "A" * 40, "is_same": True}).encode(),
             "application/json", {"body"}),
            ("POST", "/v1/cases/{}/case-manager", scene.ids["case"]["body"],
             b'{"employee": {"name": "A B", "position": "C"}}', "application/json", {"body"}),
            ("POST", "/v1/cases/{}/records", scene.ids["case"]["body"],
             b'{"kind": "case.difficult", "happened_at": "2026-10-23T10:00:00Z",'
             b' "person": {"name": "A B", "position": "C"}}', "application/json", {"body"}),
            ("POST", "/v1/alerts/{}/corrections", scene.ids["alert"]["reporter"],
             json.dumps({"reason": "x", "report": CANARY.alert()}).encode(), "application/json",
             {"reporter"}),
            ("POST", "/v1/alerts/{}/withdrawal", scene.ids["alert"]["reporter"], b'{"reason": "x"}',
             "application/json", {"reporter"}),
            ("POST", "/v1/alerts/{}/rating", scene.ids["alert"]["body"], b'{"reason": "x"}',
             "application/json", {"body"}),
            ("POST", "/v1/alerts/{}/unfounded", scene.ids["alert"]["body"], b'{"reason": "x"}',
             "application/json", {"body"}),
            ("POST", "/v1/obligations/{}/release", scene.ids["obligation"]["body"], b"{}", "application/json",
             {"body"}),
            ("POST", "/v1/obligations/{}/evidence", scene.ids["obligation"]["body"],
             b'{"fact": "head.told", "happened_at": "2026-10-23T10:00:00Z", "reference": "a1"}',
             "application/json", {"body"}),
            ("POST", "/v1/obligations/{}/breach", scene.ids["obligation"]["body"], b'{"reason": "x"}',
             "application/json", {"body"}),
            ("POST", "/v1/alerts/{}/release", scene.ids["alert"]["body"], b"{}", "application/json", set()),
            ("POST", "/v1/obligations/{}/waiver", scene.ids["obligation"]["body"], b'{"reason": "x"}',
             "application/json", {"body"}),
            ("POST", "/v1/deliveries/{}/redrive", scene.ids["delivery"]["police"], b"{}", "application/json",
             {"operator"}),
            ("POST", "/v1/endpoints/{}/pause", scene.police.connected.endpoint_id, b"{}", "application/json",
             {"police", "operator"}),
            ("POST", "/v1/endpoints/{}/resume", scene.police.connected.endpoint_id, b"{}", "application/json",
             {"police", "operator"}),
        ):  # fmt: skip
            if who in right:
                continue
            headers = [("Content-Type", media)]
            nothing = scene.ask(who, method, route.format(uuid4()), body=body, headers=headers)
            answer = scene.ask(who, method, route.format(thing), body=body, headers=headers)
            knows_it = "cases" in route and who in _parties_of_the_case(scene) and answer.status == 403
            if answer.status < 400 or not (knows_it or _same(answer, nothing)):
                wrong.append(f"{who} {method} {route}: {answer.status} {answer.body[:200]!r}")
    assert not wrong, "\n".join(wrong)


REGISTRARS = (
    ("POST", "/v1/agencies"), ("POST", "/v1/endpoints"), ("POST", "/v1/absences"), ("POST", "/v1/clients"),
    ("POST", "/v1/tokens"), ("POST", "/v1/tokens/revocations"), ("POST", "/v1/console-codes"),
)  # fmt: skip


@pytest.mark.timeout(60)
def test_the_register_is_changed_by_registrars_only(scene: Scene) -> None:
    bodies = {"/v1/tokens": {"role": "registrar"}, "/v1/console-codes": {"role": "operator"}}
    bodies |= {"/v1/clients": {"role": "registrar"}, "/v1/tokens/revocations": {"jti": str(uuid4())}}
    endpoint = scene.police.connected.endpoint_id
    for who in scene.tokens:
        if who == "registrar":
            continue
        for method, target in (
            *REGISTRARS, ("DELETE", f"/v1/endpoints/{endpoint}"),
            ("POST", f"/v1/endpoints/{endpoint}/signing-key"),
            ("POST", f"/v1/endpoints/{endpoint}/test"), ("DELETE",
            f"/v1/clients/{scene.police.connected.client_id}"),
        ):  # fmt: skip
            body = json.dumps(bodies.get(target, {})).encode()
            answer = scene.ask(who, method, target, body=body, headers=[("Content-Type", "application/json")])
            right = (401,) if who in ("nobody", "revoked", "retired") else (403, 404)
            assert answer.status in right, (who, method, target, answer)
    assert _status(scene.calls, scene.police.token) == 200


@pytest.mark.timeout(60)
def test_what_fails_is_seen_and_sent_again_by_operators_only(scene: Scene) -> None:
    body = json.dumps({"filter": {"state": "dead"}, "dry_run": True}).encode()
    media = [("Content-Type", "application/json")]
    for who in scene.tokens:
        for method, target in (
            ("GET", "/v1/failures"), ("GET", "/v1/redrives"), ("GET", f"/v1/redrives/{uuid4()}"),
            ("POST", "/v1/redrives"),
        ):  # fmt: skip
            headers = media if method == "POST" else []
            answer = scene.ask(who, method, target, body=body if headers else None, headers=headers)
            right: tuple[int, ...] = (403,)
            if who in ("nobody", "revoked", "retired"):
                right = (401,)
            if who == "operator":
                right = (404,) if target.startswith("/v1/redrives/") else (200,)
            assert answer.status in right, (who, method, target, answer)


@pytest.mark.timeout(60)
def test_lists_hold_only_ones_own(scene: Scene) -> None:
    for who in ("stranger", "registrar", "auditor", "nobody", "revoked", "retired"):
        for target in (
            "/v1/alerts",
            "/v1/deliveries",
            "/v1/inbox",
            "/v1/cases",
            "/v1/tasks",
            "/v1/escalations",
        ):
            told = scene.ask(who, "GET", f"{target}?limit=200").everything().decode()
            for things in scene.ids.values():
                assert not [thing for thing in things.values() if thing in told], (who, target)
    for who in ("reporter", "police", "body"):
        told = scene.ask(who, "GET", "/v1/alerts?limit=200").body.decode()
        for whose, thing in scene.ids["alert"].items():
            assert (thing in told) == (whose == who), (who, whose)
    told = scene.ask("police", "GET", f"/v1/deliveries?agency={scene.body.id}").body.decode()
    assert scene.ids["delivery"]["body"] not in told


@pytest.mark.timeout(60)
def test_the_same_alert_has_another_name_for_everybody(scene: Scene) -> None:
    names = list(scene.ids["alert"].values())
    assert len(set(names)) == len(names)
    assert all(UUID(name).version == 4 for name in names)


@pytest.mark.timeout(60)
def test_the_operator_sees_states_and_nothing_else(scene: Scene) -> None:
    internal = scene.ids["alert"]["internal"]
    seen = [
        scene.ask("operator", "GET", target)
        for target in (
            "/v1/alerts", f"/v1/alerts/{internal}", f"/v1/alerts/{internal}/deliveries",
            f"/v1/alerts/{internal}/timeline", f"/v1/alerts/{internal}/obligations", "/v1/deliveries",
            "/v1/escalations", "/v1/escalations?state=closed",
            *(f"/v1/deliveries/{one}" for one in scene.ids["delivery"].values()),
        )
    ]  # fmt: skip
    assert {answer.status for answer in seen} == {200}
    assert not SCANNER.scan([Surface("operator", answer.everything()) for answer in seen])
    for answer in seen:
        keys = set(_keys(json.loads(answer.body)))
        facts = {
            "concerns", "territory", "kato", "child", "narrative", "alleged_offender", "reporter",
            "direct_threat",
            "occasion", "channel", "age_band", "grant", "person", "needs_medical_care",
        }  # fmt: skip
        assert not keys & facts, keys & facts
    for answer in (
        scene.ask("operator", "GET", f"/v1/deliveries/{scene.ids['delivery']['police']}/content"),
        scene.ask("operator", "GET", "/v1/inbox"),
        scene.ask("operator", "GET", "/v1/cases"),
        scene.ask("operator", "GET", "/v1/tasks"),
    ):
        assert answer.status in (403, 404), answer
    posted = scene.ask(
        "operator", "POST", "/v1/alerts", body=json.dumps(CANARY.alert()).encode(),
        headers=[("Content-Type", "application/json")],
    )  # fmt: skip
    assert posted.status == 403


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            if item is not None:
                yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


# --- pages -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_pages_show_only_ones_own(scene: Scene) -> None:
    other, own = scene.ids["delivery"]["body"], scene.ids["delivery"]["police"]
    internal = scene.ids["alert"]["internal"]
    with visiting(scene.calls, agency=scene.police.code) as police:
        assert police.http.get(f"/console/inbox/{own}").status_code == 200
        nothing = police.http.get(f"/console/inbox/{uuid4()}")
        for path in (f"/console/inbox/{other}", f"/console/inbox/{other}/content"):
            answer = police.http.get(path)
            assert (answer.status_code, answer.text) == (nothing.status_code, nothing.text)
            assert answer.status_code == 404
        for alert in (internal, scene.ids["alert"]["police"], str(uuid4())):
            assert police.http.get(f"/console/alerts/{alert}").status_code in (403, 404)
        assert internal not in police.http.get("/console/inbox").text
    with visiting(scene.calls, role="operator") as operator:
        page = operator.http.get(f"/console/alerts/{internal}")
        assert page.status_code == 200
        assert not SCANNER.scan([Surface("the operator's page", page.content)])
        for path in ("/console/inbox", f"/console/inbox/{own}", f"/console/inbox/{own}/content"):
            assert operator.http.get(path).status_code in (403, 404)
    with visiting(scene.calls, role="auditor") as auditor:
        for path in ("/console/alerts", f"/console/alerts/{internal}", f"/console/inbox/{own}"):
            assert auditor.http.get(path).status_code in (403, 404)


@pytest.mark.timeout(60)
def test_a_session_that_is_taken_back_ends_at_the_next_page(scene: Scene) -> None:
    code = f"minors-commission-{REGION}"
    with visiting(scene.calls, agency=code) as visitor:
        assert visitor.http.get("/console/inbox").status_code == 200
        scene.calls.post("/v1/tokens/revocations", {"agency": code}, token=scene.calls.registrar())
        answer = visitor.http.get("/console/inbox")
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/console/sign-in")


# --- grants -----------------------------------------------------------------------------------------------


def _open(scene: Scene, who: str, delivery: str, grant: str | None) -> Answer:
    headers = [("Dabyl-Grant", grant)] if grant is not None else []
    return scene.ask(who, "GET", f"/v1/deliveries/{delivery}/content", headers=headers)


@pytest.mark.timeout(60)
def test_the_content_opens_with_the_own_grant_only(scene: Scene) -> None:
    notice, delivery = scene.taken.notice, scene.ids["delivery"]["police"]
    grant = notice["content"]["grant"]
    opened = _open(scene, "police", delivery, grant)
    assert opened.status == 200
    assert SCANNER.scan([Surface("content", opened.body)]), "the canary came through to whom it is meant for"
    nothing = _open(scene, "police", str(uuid4()), grant)
    head, *rest = grant.split(".")
    tampered = [
        ".".join([head, *rest[:-1], _flipped(rest[-1])]),
        ".".join([head, *rest[:2], _flipped(rest[2]), *rest[3:]]),
        ".".join([head, *rest[:1], _flipped(rest[1]), *rest[2:]]),
        grant[:-1], grant + "A", grant + ".", grant.upper(),
        ".".join([_encoded({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}), *rest]),
        ".".join([_encoded({"alg": "none"}), *rest]),
        ".".join([_encoded({"alg": "RSA1_5", "enc": "A128CBC-HS256"}), *rest]),
    ]  # fmt: skip
    for other in tampered:
        answer = _open(scene, "police", delivery, other)
        assert answer.status == 404, answer
        assert _same(answer, nothing), answer
    for who in ("body", "stranger", "reporter"):
        assert _open(scene, who, delivery, grant).status == 404
    for who, status in (
        ("operator", 403),
        ("registrar", 403),
        ("auditor", 403),
        ("nobody", 401),
        ("retired", 401),
    ):
        assert _open(scene, who, delivery, grant).status == status
    other = _open(scene, "police", scene.ids["delivery"]["body"], grant)
    assert _same(other, nothing)
    assert _same(_open(scene, "police", delivery, None), nothing)


@pytest.mark.timeout(60)
def test_a_grant_that_has_ended_opens_nothing(scene: Scene) -> None:
    """Sealed again under the house's own key: everything right but the time, then everything right."""
    from joserfc import jwe  # noqa: PLC0415  # beside its use: the only forged grant here
    from joserfc.jwk import OctKey  # noqa: PLC0415  # see above

    key = OctKey.import_key(KeyRing(scene.house.home / "keys").secret("grant"))
    algorithms = ["dir", "A256GCM"]
    opened = jwe.decrypt_compact(scene.taken.notice["content"]["grant"], key, algorithms=algorithms)
    claims = json.loads(opened.plaintext or b"")
    delivery = scene.ids["delivery"]["police"]

    def forged(**changes: Any) -> str:
        text = json.dumps(claims | changes).encode()
        return str(jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, text, key, algorithms=algorithms))

    assert _open(scene, "police", delivery, forged()).status == 200
    changes: dict[str, Any]
    for changes in (
        {"exp": claims["iat"]}, {"exp": 0}, {"exp": "soon"}, {"exp": 1e400}, {"exp": -(10**30)},
        {"exp": None},
        {"delivery": str(uuid4())}, {"alert": str(uuid4())}, {"agency": scene.body.id}, {"bodies": None},
        {"bodies": []}, {"bodies": [7, {}]}, {"agency": 7},
    ):  # fmt: skip
        assert _open(scene, "police", delivery, forged(**changes)).status == 404, changes
    # A role that it does not hold shows nothing more, even under a grant that names it.
    wide = _open(scene, "police", delivery, forged(bodies=["unheard_of"]))
    assert wide.status == 404


def _flipped(part: str) -> str:
    raw = bytearray(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    raw[0] ^= 1
    return base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()


def _encoded(header: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()


# --- receipts ---------------------------------------------------------------------------------------------


def _state(scene: Scene) -> tuple[str, Any]:
    told = json.loads(scene.ask("operator", "GET", f"/v1/deliveries/{scene.ids['delivery']['police']}").body)
    return told["state"], told["acknowledged_at"]


@pytest.mark.timeout(90)
def test_only_the_right_receipt_counts_and_only_once(scene: Scene) -> None:
    police, notice, digest = scene.police, scene.taken.notice, scene.taken.digest
    good = police.receipt(notice, digest)
    before = _state(scene)
    assert before == ("transmitted", None)

    unsigned = police.answer(notice, good, sign=False)
    foreign_key = scene.stranger  # has no endpoint, so no key of its own: a fresh one signs
    assert foreign_key.connected.receipt_key is None
    attempts: dict[str, Callable[[], Answer]] = {
        "unsigned": lambda: unsigned,
        "wrong digest": lambda: police.answer(notice, good | {"notice_digest": "0" * 64}),
        "another delivery inside": lambda: police.answer(
            notice, good | {"delivery": scene.ids["delivery"]["body"]}
        ),
        "from the future": lambda: police.answer(notice, good | {"at": "2199-01-01T00:00:00Z"}),
        "before the notice": lambda: police.answer(notice, good | {"at": "2020-01-01T00:00:00Z"}),
        "another's key": lambda: _signed_by_another(scene, good),
        "no algorithm": lambda: _unsecured(scene, good),
        "altered after signing": lambda: _altered(scene, good),
        "signature only": lambda: police.call(
            "POST",
            path_of(notice["receipt"]["url"]),
            body=police.signed(good).split(b".")[2],
            media="application/jose",
        ),
        "as text": lambda: police.call(
            "POST", path_of(notice["receipt"]["url"]), body=police.signed(good), media="text/plain"
        ),
        "JSON under the name of JOSE": lambda: police.call(
            "POST",
            path_of(notice["receipt"]["url"]),
            body=json.dumps(good).encode(),
            media="application/jose",
        ),
        "without a person": lambda: police.answer(notice, {k: v for k, v in good.items() if k != "person"}),
    }
    for name, attempt in attempts.items():
        answer = attempt()
        assert 400 <= answer.status < 500, (name, answer)
        assert answer.media_type == "application/problem+json", (name, answer)
        assert _state(scene) == before, name

    first = police.answer(notice, good)
    assert first.status == 201, first
    acknowledged = _state(scene)
    assert acknowledged[0] == "acknowledged"
    again = police.answer(notice, good)
    assert (again.status, again.body) == (200, first.body)
    later = police.answer(notice, good | {"reference": "other", "person": {"name": "A", "position": "B"}})
    assert (later.status, later.body) == (200, first.body), "the stored receipt stands"
    other = police.answer(notice, good | {"status": "rejected", "reason": "no"})
    assert other.status == 409, other
    assert police.answer(notice, good | {"notice_digest": "0" * 64}).status >= 400
    assert _state(scene) == acknowledged


def _signed_by_another(scene: Scene, receipt: dict[str, Any]) -> Answer:
    from joserfc.jwk import OKPKey  # noqa: PLC0415  # beside its use

    key = dict(OKPKey.generate_key("Ed25519").as_dict(private=True))
    body = scene.police.signed(receipt, key)
    return scene.police.call(
        "POST", path_of(scene.taken.notice["receipt"]["url"]), body=body, media="application/jose"
    )


def _unsecured(scene: Scene, receipt: dict[str, Any]) -> Answer:
    claims = base64.urlsafe_b64encode(json.dumps(receipt).encode()).rstrip(b"=").decode()
    body = f"{_encoded({'alg': 'none'})}.{claims}.".encode()
    return scene.police.call(
        "POST", path_of(scene.taken.notice["receipt"]["url"]), body=body, media="application/jose"
    )


def _altered(scene: Scene, receipt: dict[str, Any]) -> Answer:
    head, _, signature = scene.police.signed(receipt).decode().split(".")
    claims = base64.urlsafe_b64encode(json.dumps(receipt | {"status": "accepted"}).encode()).rstrip(b"=")
    body = b".".join([head.encode(), claims, signature.encode()])
    return scene.police.call(
        "POST", path_of(scene.taken.notice["receipt"]["url"]), body=body, media="application/jose"
    )


# --- what is taken back -----------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_what_is_taken_back_stops_at_the_next_request(scene: Scene) -> None:
    calls, code = scene.calls, f"health-org-{REGION}"
    registrar = calls.registrar()
    by_token = calls.post("/v1/tokens", {"agency": code}, token=registrar)["access_token"]
    by_jti = calls.post("/v1/tokens", {"agency": code}, token=registrar)
    client = Agency(calls, code)
    for token in (by_token, by_jti["access_token"], client.token):
        assert _status(calls, token) == 200
    calls.post("/v1/tokens/revocations", {"token": by_token}, token=registrar)
    assert _status(calls, by_token) == 401
    assert _status(calls, by_jti["access_token"]) == 200
    calls.post("/v1/tokens/revocations", {"jti": by_jti["jti"]}, token=registrar)
    assert _status(calls, by_jti["access_token"]) == 401
    assert _status(calls, client.token) == 200
    calls.post("/v1/tokens/revocations", {"client": client.connected.client_id}, token=registrar)
    assert _status(calls, client.token) == 401
    form = f"grant_type=client_credentials&client_id={client.connected.client_id}&client_secret="
    answer = ask(
        calls.url, "POST", "/oauth/token", body=(form + client.connected.client_secret).encode(),
        headers=[("Content-Type", "application/x-www-form-urlencoded")],
    )  # fmt: skip
    assert answer.status == 401
    another = calls.post("/v1/tokens", {"agency": code}, token=registrar)["access_token"]
    assert _status(calls, another) == 200
    calls.post("/v1/tokens/revocations", {"agency": code}, token=registrar)
    assert _status(calls, another) == 401


@pytest.mark.timeout(60)
def test_refused_tokens_all_look_alike(scene: Scene) -> None:
    answers = [
        scene.ask("revoked", "GET", "/v1/inbox"),
        scene.ask("retired", "GET", "/v1/inbox"),
        ask(scene.calls.url, "GET", "/v1/inbox", headers=[("Authorization", "Bearer x.y.z")]),
        ask(scene.calls.url, "GET", "/v1/inbox", headers=[("Authorization", f"Bearer {_cut(scene)}")]),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1


def _cut(scene: Scene) -> str:
    return str(scene.tokens["police"])[:-4] + "AAAA"


@pytest.mark.timeout(60)
def test_a_revoked_endpoint_hears_nothing_more(scene: Scene) -> None:
    calls = scene.calls
    agency = Agency(calls, "internal-affairs-kz-10", f"{scene.recorder.url}/revoked")
    calls.post(f"/v1/endpoints/{agency.connected.endpoint_id}/test", {}, token=calls.registrar())
    until(lambda: [one for one in scene.recorder.taken if one.path == "/revoked"], seconds=20)
    target = f"/v1/endpoints/{agency.connected.endpoint_id}"
    assert scene.ask("registrar", "DELETE", target).status == 204
    heard = len([one for one in scene.recorder.taken if one.path == "/revoked"])
    body = CANARY.alert(territory="KZ-10")
    calls.post("/v1/alerts", body, token=calls.token(agency=f"education-org-{REGION}"))
    until(agency.inbox, seconds=20)  # it was planned, and waits in the inbox instead
    assert len([one for one in scene.recorder.taken if one.path == "/revoked"]) == heard

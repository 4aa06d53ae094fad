"""The stage of the two-world test: a house, and an agency with everything by which it can look."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from common.ids import pairwise
from common.keys import KeyRing
from dabyl.calls import Calls
from tests.acceptance.embedded import EmbeddedHouse
from tests.acceptance.pages import visiting
from tests.acceptance.raw import Answer, ask
from tests.acceptance.recording import Agency, Recorder, recording
from tests.acceptance.reporting import deliveries_of, until
from tests.acceptance.two_worlds.comparing import World, doors

PERSON = {"name": "Кезекші маман", "position": "кезекші"}
BODIES: dict[str, Sequence[dict[str, Any]]] = {
    "receipt": (
        {
            "delivery": str(UUID(int=7)),
            "notice_digest": "0" * 64,
            "status": "received",
            "person": PERSON,
            "at": "2026-10-23T10:00:00Z",
        },
    ),
    "conflicts": ({"agency": str(UUID(int=7)), "reason": "x"}, {"confirms": str(UUID(int=7))}),
    "joining": (
        {"other": str(UUID(int=7)), "match": "A" * 40, "is_same": True},
        {"other": str(UUID(int=7)), "reason": "x"},
        {"confirms": str(UUID(int=7))},
    ),
    "case-manager": ({"employee": PERSON},),
}
"""What a door is asked with beside nothing at all, by the last word of its path."""


@dataclass
class Hidden:
    """Ids of what must not exist for somebody, by the first word of a path."""

    alerts: list[str] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)
    obligations: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)

    @classmethod
    def nothing(cls, like: "Hidden") -> "Hidden":
        """As many ids that stand for nothing."""
        return cls(*([str(uuid4()) for _ in kind] for kind in like.all().values()))

    def all(self) -> dict[str, list[str]]:
        """By the first word of a path."""
        return {
            "alerts": self.alerts,
            "deliveries": self.deliveries,
            "obligations": self.obligations,
            "cases": self.cases,
        }


@dataclass
class Stage:
    """One world: the house, and an agency as it looks at it."""

    house: EmbeddedHouse
    calls: Calls
    recorder: Recorder
    agency: Agency
    own: list[str] = field(default_factory=list)

    def operator(self, target: str) -> Any:
        """What the operator sees there."""
        return self.calls.get(target, token=self.calls.token(role="operator"))

    def send(self, code: str, **changes: Any) -> dict[str, Any]:
        """An alert by that agency; fixed in everything that is not changed."""
        body = {
            "territory": "KZ-79",
            "concerns": ["violence"],
            "alleged_offender": {"relation": "other_adult"},
            "child": {"name": "Сынақ Бала", "birth_date": "2015-03-14"},
            "narrative": "Сынақ баяндамасы.",
        }
        answer: dict[str, Any] = self.calls.post(
            "/v1/alerts", body | changes, token=self.calls.token(agency=code)
        )
        return answer

    def internal(self, number: str) -> str:
        """The id of an alert inside the house, once it was planned."""

        def find() -> str | None:
            page = self.operator("/v1/alerts?limit=200")
            return next((str(one["id"]) for one in page["items"] if one["number"] == number), None)

        return str(until(find, seconds=60))

    def cases_of(self, code: str) -> set[str]:
        """The cases that another body sees."""
        page = self.calls.get("/v1/cases?limit=200", token=self.calls.token(agency=code))
        return {str(one["id"]) for one in page["items"]}

    def hidden(self, internals: Sequence[str], cases: Sequence[str]) -> Hidden:
        """Everything by which somebody could ask for these alerts."""
        key = KeyRing(self.house.home / "keys").secret("pairwise")
        found = Hidden(cases=list(cases))
        for internal in internals:
            found.alerts += [internal, str(pairwise(key, UUID(internal), UUID(self.agency.id)))]
            found.deliveries += [one["id"] for one in deliveries_of(self.calls, internal)][:3]
            page = self.operator(f"/v1/alerts/{internal}/obligations")
            found.obligations += [one["id"] for one in page["items"]][:3]
        return found

    def settle(self) -> None:
        """Wait until casework has made of the agency's own duties what it makes of them."""
        token = self.agency.token

        def is_settled() -> bool:
            owed = 0
            for alert in self.own:
                page = self.calls.get(f"/v1/alerts/{alert}/obligations", token=token)
                owed += sum(
                    one["kind"] == "act" and one["obliged_agency"] == self.agency.id for one in page["items"]
                )
            tasks = self.calls.get("/v1/tasks?limit=200", token=token)["items"]
            return owed > 0 and len(tasks) == owed

        until(is_settled, seconds=60)


@contextmanager
def staging(home: Path, code: str) -> Iterator[Stage]:
    """A house without simulators: nothing happens in it that the test does not do."""
    house = EmbeddedHouse(home, simulators=False)
    try:
        house.start()
        calls = house.calls()
        with recording() as recorder:
            yield Stage(house, calls, recorder, Agency(calls, code, f"{recorder.url}/agency"))
    finally:
        house.stop()


def look_everywhere(stage: Stage, hidden: Hidden, *, own: Sequence[str] = ()) -> World:
    """Ask every door as every account of the agency, and hear what comes by itself.

    Args:
        own: ids of alerts that both worlds know by one name.
    """
    world = World(names={alert.encode(): f"<own {at}>".encode() for at, alert in enumerate(own)})
    world.names[stage.agency.id.encode()] = b"<agency>"
    document = json.loads(ask(stage.calls.url, "GET", "/openapi.json").body)
    accounts = {
        "client": stage.agency.token,
        "token": stage.calls.token(agency=stage.agency.code),
        "nobody": None,
    }
    for who, token in accounts.items():
        _read_doors(_Account(stage.calls.url, who, token), document, hidden, own, world)
        _write_doors(_Account(stage.calls.url, who, token), document, hidden, world)
    facts = {"territory": "KZ-79", "concerns": ["violence"], "reporter": "education_org",
             "received_at": "2026-10-23T10:00:00Z"}  # fmt: skip
    client = _Account(stage.calls.url, "client", stage.agency.token)
    world.hear("client POST /v1/obligations/preview", client.ask("POST", "/v1/obligations/preview", facts))
    _look_at_pages(stage, hidden, world)
    for at, taken in enumerate(stage.recorder.taken):
        world.hear_bytes(f"notice {at}", taken.body)
    return world


@dataclass(frozen=True)
class _Account:
    """A token of the agency, or none."""

    url: str
    who: str
    token: str | None

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        headers = [("Authorization", f"Bearer {self.token}")] if self.token else []
        if body is None:
            return ask(self.url, method, target, headers=headers)
        headers.append(("Content-Type", "application/json"))
        return ask(self.url, method, target, headers=headers, body=json.dumps(body).encode())


QUERIES = {
    "/v1/statistics/alerts": ("?year=2026&month=10", "?year=2026&month=11", "?year=2025", "?year=2026"),
    "/v1/escalations": ("?state=closed", "?limit=200&urgency=immediate", f"?agency={UUID(int=7)}"),
}
"""With what else a door is asked that takes no id."""


def _read_doors(account: _Account, document: Any, hidden: Hidden, own: Sequence[str], world: World) -> None:
    for path in doors(document, "get"):
        if "{" not in path:
            queries = ("", "?limit=1") if account.token else ("",)
            for query in (*queries, *QUERIES.get(path, ())):
                # Tasks without a limit, and of one limit, lie in the order of their random ids.
                ties = ("due_at", "rule", "starts_at") if path == "/v1/tasks" and not query else ()
                world.hear(f"{account.who} GET {path}{query}", account.ask("GET", path + query), ties=ties)
            continue
        for label, thing in _things(path, hidden, own):
            world.hear(f"{account.who} GET {path} of {label}", account.ask("GET", _filled(path, thing)))


def _write_doors(account: _Account, document: Any, hidden: Hidden, world: World) -> None:
    for path in doors(document, "post"):
        bodies = ({}, {"reason": "x"}, *BODIES.get(path.rsplit("/", 1)[-1], ()))
        for label, thing in _things(path, hidden, ()):
            for at, body in enumerate(bodies):
                door = f"{account.who} POST {path} of {label} {at}"
                world.hear(door, account.ask("POST", _filled(path, thing), body))


def _look_at_pages(stage: Stage, hidden: Hidden, world: World) -> None:
    with visiting(stage.calls, agency=stage.agency.code) as visit:
        visit.wander("/console", avoid="sign-out|/content$|language")
        visit.hear("/console/inbox/live")
        read = dict(visit.pages)
        for path in ("/console/alarms", "/console/alarms/live"):
            read[path] = visit.read(path)
        for at, thing in enumerate(hidden.deliveries):
            for part in ("", "/content"):
                read[f"/console/inbox/<hidden {at}>{part}"] = visit.read(
                    f"/console/inbox/{thing}{part}"
                ).replace(thing.encode(), b"<asked>")
        for at, thing in enumerate(hidden.alerts):
            read[f"/console/alerts/<hidden {at}>"] = visit.read(f"/console/alerts/{thing}").replace(
                thing.encode(), b"<asked>"
            )
    host = stage.calls.url.encode()
    for path, told in read.items():
        # The port of the house stands in the address of a page, and its length with it.
        kept = b"\n".join(
            line for line in told.replace(host, b"<house>").split(b"\n")
            if not line.lower().startswith((b"date:", b"content-length:", b"set-cookie:"))
        )  # fmt: skip
        world.hear_bytes(f"page {world.nameless(path)}", kept)


def _things(path: str, hidden: Hidden, own: Sequence[str]) -> Iterator[tuple[str, str]]:
    kind = path.split("/")[2]
    for at, thing in enumerate(hidden.all().get(kind, ())):
        yield f"hidden {at}", thing
    if kind == "alerts":
        for at, thing in enumerate(own):
            yield f"own {at}", thing


def _filled(path: str, thing: str) -> str:
    return "/".join(thing if part.startswith("{") else part for part in path.split("/"))

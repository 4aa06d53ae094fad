"""The gateway before four stand-ins, and what they show."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from inspect import isawaitable
from typing import Any
from uuid import UUID, uuid4

import httpx2
from aiohttp import web
from aiohttp.test_utils import TestServer

from common.identity import Principal, ServiceTokens
from common.keys import KeyRing
from common.parts import Parts, Service
from common.timing import Now
from gateway.adapters.services import HttpServices
from gateway.domain.identity import Bearer, Role
from gateway.domain.routes import Upstream
from gateway.router.parts import Desk
from gateway.service import sessions
from gateway.settings import Settings

POLICE = UUID("11111111-1111-4111-8111-111111111111")
BASE = "http://gateway.test"


@dataclass
class Heard:
    """A request that reached a service."""

    service: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    principal: Principal


@dataclass
class Upstreams:
    """Four services in one: each path answers what the test put there."""

    keys: KeyRing
    now: Now
    heard: list[Heard] = field(default_factory=list)
    standing: list[Heard] = field(default_factory=list)
    """The gateway's own questions what an agency holds: kept apart, they come when it likes."""
    answers: dict[tuple[str, str, str], Callable[[web.Request], Any]] = field(default_factory=dict)
    servers: dict[str, TestServer] = field(default_factory=dict)

    def put(self, service: str, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """From now on this is the answer."""
        self.answers[service, method, path] = lambda _request: web.json_response(
            body, status=status, headers=headers
        )

    async def start(self) -> None:
        for service in ("intake", "notifier", "casework", "registry"):
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", self._answerer(service))
            self.servers[service] = TestServer(app)
            await self.servers[service].start_server()

    async def stop(self) -> None:
        for server in self.servers.values():
            await server.close()

    def urls(self) -> dict[str, Any]:
        return {f"{name}_url": str(server.make_url("")).rstrip("/") for name, server in self.servers.items()}

    def _answerer(self, service: str) -> Callable[[web.Request], Any]:
        tokens = ServiceTokens(self.keys, service, self.now)

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path == "/readyz":
                return web.json_response({"status": "ok"})
            token = request.headers["Authorization"].removeprefix("Bearer ")
            heard = Heard(
                service,
                request.method,
                request.raw_path,
                {name.lower(): value for name, value in request.headers.items()},
                await request.read(),
                tokens.verify(token),
            )
            is_own = service == "registry" and heard.principal.role == "service"
            (self.standing if is_own else self.heard).append(heard)
            found = self.answers.get((service, request.method, request.path))
            if found is None:
                return web.json_response(
                    {"type": "https://dabyl.kz/problems/unknown", "title": "Nothing", "status": 404},
                    status=404,
                    content_type="application/problem+json",
                )
            told = found(request)
            answered: web.StreamResponse = await told if isawaitable(told) else told
            return answered

        return answer


@dataclass
class House:
    """The gateway, its outside and its inside."""

    service: Service
    parts: Parts
    settings: Settings
    upstreams: Upstreams
    http: httpx2.AsyncClient
    now: Any

    @property
    def desk(self) -> Desk:
        desk: Desk = self.service.app.state.desk
        return desk

    def token(
        self, role: str = "agency", *, agency: UUID = POLICE, minutes: int = 10, subject: str = "c-1"
    ) -> str:
        """A valid token of the embedded issuer."""
        bearer = (
            Bearer(subject, Role.AGENCY, agency, ("internal_affairs",), "KZ-75")
            if role == "agency"
            else Bearer(subject, Role(role))
        )
        return self.desk.issuer().issue(bearer, client=subject, lifetime=timedelta(minutes=minutes)).token

    def headers(self, role: str = "agency", **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(role, **more)}"}


@asynccontextmanager
async def a_stand_in(
    house: House, service: Upstream, path: str, answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> AsyncIterator[None]:
    """In place of one service; what it does is cancelled when its caller goes (a test server's default)."""
    services = house.desk.services
    assert isinstance(services, HttpServices)
    app = web.Application()
    app.router.add_route("*", path, answer)
    server = TestServer(app)
    await server.start_server(shutdown_timeout=0.1)
    before = services._urls[service]
    services._urls[service] = str(server.make_url("")).rstrip("/")
    try:
        yield
    finally:
        services._urls[service] = before
        await server.close()


AGENCY: dict[str, Any] = {
    "id": str(POLICE),
    "code": "internal-affairs-kz-75",
    "name": {
        "kk": "Алматы қаласының Полиция департаменті",
        "ru": "Департамент полиции города Алматы",
        "en": "Almaty police",
    },
    "mandates": [{"role": "internal_affairs", "territory": "KZ-75"}],
}


ALERT, DELIVERY, HANDLE = (UUID(f"{n}2222222-2222-4222-8222-222222222222") for n in "234")
CHILD = "Қанарейка Әлия"


async def a_session(house: House, role: Role = Role.OPERATOR) -> str:
    """A cookie of somebody who has signed in."""
    bearer = (
        Bearer(f"agency:{POLICE}", role, POLICE, ("internal_affairs",), "KZ-75", dict(AGENCY["name"]))
        if role is Role.AGENCY
        else Bearer(f"role:{role}", role)
    )
    async with house.parts.db.transaction() as session:
        return await sessions.open_session(session, bearer, lifetime=timedelta(hours=1), now=house.now())


def show_alert(house: House, **more: Any) -> None:
    at = house.now().isoformat()
    alert = {
        "id": str(ALERT),
        "number": "7K4M-Q2XP-9",
        "received_at": at,
        "planned_at": at,
        "urgency": "immediate",
        "edition": "e",
        "states": {"transmitted": 1, "dead": 1},
        "escalation_level": 0,
        "oldest_unanswered_at": at,
        "trace_id": "a" * 32,
    }
    house.upstreams.put("notifier", "GET", "/v1/alerts", {"items": [alert], "next": "cursor=="})
    house.upstreams.put("notifier", "GET", f"/v1/alerts/{ALERT}", alert)
    house.upstreams.put(
        "notifier",
        "GET",
        f"/v1/alerts/{ALERT}/deliveries",
        {"items": [a_delivery(house, **more)], "next": None},
    )
    house.upstreams.put("notifier", "GET", f"/v1/alerts/{ALERT}/obligations", {"items": [a_duty(house)]})


def a_duty(house: House, **more: Any) -> dict[str, Any]:
    at = house.now()
    return {
        "rule": "R136-15a",
        "citation": {"kk": "15-тармақ", "ru": "п. 15"},
        "duty": {"kk": "Қарау", "ru": "Рассмотреть"},
        "obliged": "internal_affairs",
        "recipient": None,
        "state": "open",
        "force": "joint order",
        "due_at": (at + timedelta(hours=20)).isoformat(),
        "breach_at": None,
        "breached_at": None,
        "obliged_agency": str(POLICE),
        "explanation": {
            "kk": ["R136-15a · 15-тармақ", "Мәтінде мерзім жоқ"],
            "ru": ["R136-15a · п. 15", "Срока в тексте нет"],
            "en": ["R136-15a · para. 15", "The text gives no limit"],
        },
        **more,
    }


def a_delivery(house: House, **more: Any) -> dict[str, Any]:
    at = house.now().isoformat()
    return {
        "id": str(DELIVERY),
        "alert": str(HANDLE),
        "agency": str(POLICE),
        "role": "internal_affairs",
        "notice": 1,
        "state": "transmitted",
        "reason": None,
        "urgency": "immediate",
        "duties": [
            {
                "obligation": str(UUID(int=1)),
                "rule": "R136-8a",
                "citation": {"kk": "8-тармақ", "ru": "п. 8"},
                "text": {"kk": "Дереу хабарлау", "ru": "Немедленно сообщить"},
                "due_at": at,
                "force": "joint order",
            }
        ],
        "attempts": [{"no": 1, "started_at": at, "ended_at": at, "outcome": "accepted", "status": 200}],
        "planned_at": at,
        "deadline_at": at,
        "next_attempt_at": at,
        "transmitted_at": at,
        "opened_at": None,
        "acknowledged_at": None,
        "ack_due_at": at,
        "escalation_level": 1,
        "notice_digest": "d" * 64,
        "content": None,
        "receipt": None,
        "test": False,
        **more,
    }


def show_notice(house: House, **more: Any) -> None:
    at = house.now().isoformat()
    notice = {
        "delivery": str(DELIVERY),
        "notice": 1,
        "alert": str(HANDLE),
        "urgency": "immediate",
        "duties": [{"rule": "R136-8a", "citation": "п. 8", "text": {}, "due_at": at, "force": "joint order"}],
        "content": {"url": "x", "grant": "ey.grant"},
        "receipt": {"url": "x"},
        "sent_at": at,
        "test": False,
    }
    delivery = a_delivery(house, content=notice, **more)
    house.upstreams.put("notifier", "GET", "/v1/inbox", {"items": [], "next": None})
    house.upstreams.put("notifier", "GET", "/v1/deliveries", {"items": [delivery], "next": None})
    house.upstreams.put("notifier", "GET", f"/v1/deliveries/{DELIVERY}", delivery)
    duty = a_duty(house, rule="R136-15", due_at=at)
    other = {**duty, "rule": "R136-9", "obliged_agency": None}
    house.upstreams.put("notifier", "GET", f"/v1/alerts/{HANDLE}/obligations", {"items": [other, duty]})
    house.upstreams.put(
        "intake",
        "GET",
        f"/v1/deliveries/{DELIVERY}/content",
        {
            "child": {"name": CHILD, "iin": None, "doubts": []},
            "facts": {"concerns": ["violence"], "direct_threat": True},
            "narrative": "<script>alert(1)</script>",
            "alert": str(HANDLE),
        },
    )


DUTY, OTHER_DUTY, PROPOSAL, CONFLICT, SCHOOL, ENDPOINT = (
    UUID(f"{n}3333333-3333-4333-8333-333333333333") for n in "123456"
)
WHY = "Мать работает в этой школе"
EVERY_ACT = (
    "release", "correction", "withdrawal", "rating", "unfounded", "conflict", "conflict_lowered",
    "lock_lifted",
)  # fmt: skip


def a_proposal(house: House, kind: str, **more: Any) -> dict[str, Any]:
    at = house.now()
    return {
        "proposal": str(PROPOSAL),
        "kind": kind,
        "proposed_at": at.isoformat(),
        "expires_at": (at + timedelta(hours=23)).isoformat(),
        "reason": WHY,
        "mine": False,
        **more,
    }


def show_affair(house: House, *, duties: list[dict[str, Any]] | None = None, **more: Any) -> None:
    """An alert before an agency that owes something for it."""
    at = house.now()
    affair = {
        "id": str(HANDLE),
        "number": None,
        "received_at": at.isoformat(),
        "planned_at": at.isoformat(),
        "urgency": "immediate",
        "is_reporter": False,
        "own_open": 2,
        "own_due_at": (at + timedelta(hours=2)).isoformat(),
        "may": list(EVERY_ACT),
        "proposals": [],
        "parents_locked": True,
        "held": "hub",
        "held_until": (at + timedelta(minutes=12)).isoformat(),
        "released_at": None,
        "needs_a_person": None,
        "changes": [{"change": "rerated", "no": 1, "at": at.isoformat(), "told": 3, "confirmed": 1}],
        **more,
    }
    if duties is None:
        duties = [
            own_duty(house),
            own_duty(house, id=str(OTHER_DUTY), rule="R136-12.6", facts=[], may=["release"]),
        ]
    put = house.upstreams.put
    put("notifier", "GET", "/v1/alerts", {"items": [affair], "next": None})
    put("notifier", "GET", f"/v1/alerts/{HANDLE}", affair)
    put("notifier", "GET", f"/v1/alerts/{HANDLE}/obligations", {"items": duties, "next": None})
    put("notifier", "GET", f"/v1/alerts/{HANDLE}/deliveries", {"items": [a_delivery(house)], "next": None})
    conflict = {
        "id": str(CONFLICT), "state": "in_force", "since": at.isoformat(), "raised_by": "internal_affairs",
        "agency": None, "role": "education_org", "known": [],
    }  # fmt: skip
    put("notifier", "GET", f"/v1/alerts/{HANDLE}/conflicts", {"items": [conflict], "next": None})


def own_duty(house: House, **more: Any) -> dict[str, Any]:
    """A duty of the agency that looks, with everything that may be done."""
    may = {
        "id": str(DUTY),
        "may": ["release", "evidence", "waiver"],
        "facts": ["report.registered", "offence_check.recorded"],
        "proposals": [],
        "dispatch_at": (house.now() + timedelta(hours=4)).isoformat(),
        "delivery": None,
        "met_at": None,
        "released_at": None,
        "waived_at": None,
    }
    return a_duty(house, recipient="minors_commission", **(may | more))


def a_group(house: House, **more: Any) -> dict[str, Any]:
    return {
        "state": "dead",
        "reason": None,
        "outcome": "refused",
        "status_class": 5,
        "agency": str(POLICE),
        "count": 12,
        "oldest_at": house.now().isoformat(),
        "urgency": "immediate",
        "ways": [{"endpoint": str(ENDPOINT), "kind": "webhook", "rung": 0, "paused_at": None}],
        **more,
    }


def show_failures(house: House, *, is_own: bool = False, **more: Any) -> None:
    """What fails, a redrive that waits for another operator, and one that ran."""
    at = house.now()
    chosen = {"state": "dead", "outcome": "refused", "status_class": 5, "agency": str(POLICE)}
    proposed = {
        "proposal": str(PROPOSAL), "expires_at": (at + timedelta(hours=23)).isoformat(), "is_own": is_own,
        "reason": "Их система снова работает", "filter": chosen, "count": 12, "sample": [str(DELIVERY)],
    }  # fmt: skip
    run = {
        "id": str(UUID(int=9)), "filter": chosen, "started_at": at.isoformat(), "finished_at": None,
        "total": 12, "redriven": 5, "skipped": 1,
    }  # fmt: skip
    put = house.upstreams.put
    nobody = a_group(
        house,
        state="waiting",
        reason="blocked:no_route",
        outcome=None,
        status_class=None,
        agency=None,
        ways=[],
    )
    put("notifier", "GET", "/v1/failures", {"items": [a_group(house, **more), nobody], "next": None})
    failing = {
        "endpoint": str(ENDPOINT), "agency": str(POLICE), "kind": "webhook", "rung": 0, "state": "failing",
        "cause": "no_receipt", "failing_since": at.isoformat(), "proven_at": at.isoformat(),
    }  # fmt: skip
    put("notifier", "GET", "/v1/endpoints/tests", {"items": [failing], "next": None})
    put("notifier", "GET", "/v1/redrives", {"proposed": [proposed], "items": [run], "next": None})
    put("notifier", "POST", "/v1/redrives", {"count": 12, "sample": [str(DELIVERY)]})
    put("registry", "GET", f"/v1/agencies/{POLICE}", AGENCY)


def a_rung(house: House, rung: int, minutes: float, **more: Any) -> dict[str, Any]:
    at = (house.now() - timedelta(minutes=minutes)).isoformat()
    fields: dict[str, Any] = {
        "rung": rung, "reason": None if rung == 0 else "silence", "at": at, "last_at": at, "times": 1,
        "delivery": str(uuid4()), "agency": str(POLICE), "role": "internal_affairs", "channel": "webhook",
        "state": "transmitted", "transmitted_at": at, "acknowledged_at": None,
    }  # fmt: skip
    return fields | more


def an_alarm(house: House, *ladder: dict[str, Any], **more: Any) -> dict[str, Any]:
    now = house.now()
    fields: dict[str, Any] = {
        "id": str(uuid4()), "kind": "silence", "state": "open", "alert": str(ALERT), "number": "7K4M-Q2XP-9",
        "agency": str(POLICE), "role": "internal_affairs", "urgency": "immediate", "reason": "silence",
        "since": (now - timedelta(minutes=6)).isoformat(), "deadline_at": now.isoformat(),
        "delivery": str(DELIVERY), "duties": [], "ladder": list(ladder),
        "next": {"rung": 3, "at": (now + timedelta(minutes=4)).isoformat()},
    }  # fmt: skip
    return fields | more


def show_alarms(house: House, *alarms: dict[str, Any]) -> None:
    """A silence that climbs, one at the operator, a refusal, a missing holder, a breach; or those given."""
    person = {"delivery": None, "agency": None, "role": "operator", "channel": "person", "state": None}
    duty = {
        "obligation": str(uuid4()), "rule": "R136-12.2", "state": "open", "citation": {}, "force": "law",
        "text": {"kk": "Кейс-менеджер тағайындау", "ru": "Назначить кейс-менеджера"},
        "due_at": house.now().isoformat(), "breach_at": house.now().isoformat(), "breach": None,
    }  # fmt: skip
    shown = alarms or (
        an_alarm(house, a_rung(house, 0, 20), a_rung(house, 2, 15, channel="sms"),
                 a_rung(house, 3, 10, role="prosecutor", state="acknowledged"),
                 a_rung(house, 4, 5, times=3, **person), next={"rung": 4, "at": house.now().isoformat()},
                 duties=[duty]),
        an_alarm(house, a_rung(house, 0, 6, state="waiting"), a_rung(house, 1, 4), urgency="urgent",
                 role="regional_child_rights_body"),
        an_alarm(house, a_rung(house, 0, 6, state="rejected"), reason="rejected", next=None),
        an_alarm(house, a_rung(house, 0, 6, agency=None, channel=None, state="waiting"),
                 a_rung(house, 4, 5, **person), agency=None, role="minors_commission", reason="no_route"),
        an_alarm(house, a_rung(house, 3, 6, role="child_rights_authority"), kind="breach", reason="breach",
                 role="regional_child_rights_body", urgency="urgent", duties=[duty],
                 next={"rung": 4, "at": (house.now() + timedelta(hours=6)).isoformat()}),
    )  # fmt: skip
    house.upstreams.put("notifier", "GET", "/v1/escalations", {"items": list(shown), "next": None})

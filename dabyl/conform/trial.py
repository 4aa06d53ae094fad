"""The trial: notices, right and wrong ones, one after another, and what the endpoint made of them.

Everything is sent by the code that sends in production: the same bytes, headers and signatures.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx

from common.timing import utc_now
from dabyl.conform.door import Door, Expected
from dabyl.conform.kit import Kit
from dabyl.conform.wire import Reply, break_off, post
from notifier.adapters.webhook import signed_headers
from notifier.domain.channel import ASYMMETRIC, Parcel
from notifier.domain.notice import Notice, NoticeDuty, render_notice
from notifier.domain.schedule import Urgency

Scheme = Literal["v1", "v1a"]

ANSWER_SECONDS = 5.0
"""An immediate notice is given up after ten; half of it is what a good receiver needs under load."""
QUICK_SECONDS = 2.0
HOLD_SECONDS = 4.0
SAME_TIME = 5
HUGE_BYTES = 1_000_000
AWAY = 4
"""With the pauses of the how-to it is 23 seconds at each of two doors."""
AGAIN_SECONDS = 4.0
TOO_OLD = timedelta(minutes=10)


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        name: which; ``words.yaml`` has the sentences.
        passed: ``None`` when it could not be tried because something before it failed.
        got: what the endpoint did, in a form that every language reads: ``200``, ``no answer``, …
    """

    name: str
    passed: bool | None
    got: str = ""


@dataclass
class Trial:
    """One endpoint on trial.

    Args:
        patience: seconds to wait for what the receiver does after its answer.
        away: tries in a row that find the doors for content and receipts shut; for these six times as long.
    """

    url: str
    kit: Kit
    door: Door
    scheme: Scheme = "v1"
    patience: float = 10.0
    away: int = AWAY
    findings: list[Finding] = field(default_factory=list)

    async def run(self) -> Sequence[Finding]:
        """Try everything; what cannot be tried is said to be so."""
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(
            timeout=ANSWER_SECONDS, follow_redirects=False, trust_env=False, limits=limits
        ) as self._http:
            if await self._answers():
                for step in self._steps():
                    await step()
                for step in self._later_steps() if self._is_answering else ():
                    await step()
        tried = {finding.name for finding in self.findings}
        self.findings += [Finding(name, None) for name in CHECKS if name not in tried]
        self.findings.sort(key=lambda finding: CHECKS.index(finding.name))
        return self.findings

    def _steps(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return (
            self._signatures,
            self._times,
            self._rotation,
            self._unknown_field,
            self._strangers,
            self._whole_way,
            self._duplicates,
            self._slow_work,
        )

    def _later_steps(self) -> Sequence[Callable[[], Awaitable[None]]]:
        return (self._test_notice, self._busy_door, self._shut_doors, self._no_content, self._other_answer)

    # What is tried

    async def _answers(self) -> bool:
        """A test notice: signed, in time, and nothing wrong with it."""
        reply = await self._send(self._notice(is_test=True))
        if reply.status is not None and 300 <= reply.status < 400:
            self._note("redirect", passed=False, got=str(reply))
            return False
        self._note("answers", passed=reply.is_taken, got=str(reply))
        if reply.is_taken:
            self._note("redirect", passed=True)
            self._note("in_time", passed=reply.seconds <= QUICK_SECONDS, got=f"{reply.seconds:.1f} s")
        return reply.is_taken

    async def _signatures(self) -> None:
        notice = self._notice(is_test=True)
        await self._refused("wrong_signature", notice, self._headers(notice, key=self._stranger()))
        headers = self._headers(notice)
        bare = {name: value for name, value in headers.items() if not name.startswith("webhook-")}
        await self._refused("no_signature", notice, bare)
        altered = Sent(notice.id, notice.body.replace(b'"routine"', b'"urgent"'))
        await self._refused("altered_body", altered, headers)
        await self._refused("other_id", notice, {**headers, "webhook-id": str(uuid4())})

    async def _times(self) -> None:
        notice = self._notice(is_test=True)
        await self._refused("old_timestamp", notice, self._headers(notice, at=utc_now() - TOO_OLD))
        await self._refused("future_timestamp", notice, self._headers(notice, at=utc_now() + TOO_OLD))

    async def _rotation(self) -> None:
        """While a key is being replaced there are two signatures, and one that fits is enough."""
        notice = self._notice(is_test=True)
        right, wrong = self._headers(notice), self._headers(notice, key=self._stranger())
        both = f"{wrong['webhook-signature']} v9,AAAA {right['webhook-signature']}"
        reply = await self._send(notice, {**right, "webhook-signature": both})
        self._note("rotation", passed=reply.is_taken, got=str(reply))

    async def _unknown_field(self) -> None:
        notice = self._notice(is_test=True, more={"later": {"added": True}})
        reply = await self._send(notice)
        self._note("unknown_field", passed=reply.is_taken, got=str(reply))

    async def _strangers(self) -> None:
        """Anybody can reach an endpoint; none of them may bring it down."""
        notice = self._notice(is_test=True)
        for name, body in (("huge_body", b"x" * HUGE_BYTES), ("garbage", b"\x00\xff{[")):
            reply = await self._post(body, self._headers(notice, key=self._stranger()))
            # Closing the door while a flood still comes in is an answer too.
            refused = reply.is_refused or (name == "huge_body" and reply.trouble == "closed")
            alive = await self._send(self._notice(is_test=True))
            self._note(name, passed=refused and alive.is_taken, got=f"{reply}, {alive}")
        unreadable = Sent(uuid4(), b"not json")
        reply = await self._send(unreadable)
        alive = await self._send(self._notice(is_test=True))
        self._note("unreadable", passed=reply.is_refused and alive.is_taken, got=f"{reply}, {alive}")
        # More than once: who goes down by it may still answer the one that came meanwhile.
        for _ in range(SAME_TIME):
            await break_off(self._http, self.url, self._headers(notice, key=self._stranger()))
            alive = await self._send(self._notice(is_test=True))
            if not alive.is_taken:
                break
        self._note("broken_off", passed=alive.is_taken, got=str(alive))

    async def _whole_way(self) -> None:
        """A notice as it is meant: taken, content read, answered."""
        sent, expected = self._expect()
        reply = await self._send(sent)
        if not reply.is_taken:
            self._note("content", passed=False, got=str(reply))
            return
        await self.door.wait(
            lambda: bool(expected.receipts or expected.flaws or self.door.flaws), self.patience
        )
        flaws = {*self.door.flaws, *expected.flaws}
        for name in flaws:
            self._note(name, passed=False)
        if expected.opened:
            for name in {"token", "content"} - flaws:
                self._note(name, passed=True)
        elif not flaws:
            self._note("content", passed=False, got="nothing")
        if expected.receipts:
            for name in {"receipt", "receipt_signature", "receipt_shape", "receipt_digest"} - flaws:
                self._note(name, passed=True)
        elif not flaws:
            self._note("receipt", passed=False, got="nothing")

    async def _duplicates(self) -> None:
        sent, expected = self._expect()
        first = await self._send(sent)
        if self._is_answering:
            await self._answered(expected)
        again = [await self._send(sent), *await asyncio.gather(*(self._send(sent) for _ in range(SAME_TIME)))]
        wrong = [reply for reply in (first, *again) if not reply.is_taken]
        self._note("duplicate", passed=not wrong, got=str(wrong[0]) if wrong else "")
        together, theirs = self._expect()
        await asyncio.gather(*(self._send(together) for _ in range(SAME_TIME)))
        if not self._is_answering:
            return
        await self._answered(theirs)
        # Whoever does it twice does it now: a second effect needs no longer than the first one took.
        await self.door.wait(lambda: max(expected.opened, theirs.opened) > 1, min(1.5, self.patience))
        effects = max(_effects(expected), _effects(theirs))
        self._note("one_effect", passed=effects == 1, got=str(effects))

    async def _slow_work(self) -> None:
        """The answer says "stored"; work that waits for others must not hold it up."""
        sent, _ = self._expect(holds_content=HOLD_SECONDS)
        reply = await self._send(sent)
        passed = reply.is_taken and reply.seconds <= QUICK_SECONDS
        self._note("answers_first", passed=passed, got=f"{reply}, {reply.seconds:.1f} s")

    async def _test_notice(self) -> None:
        """Every endpoint is tested by time, and its test ends with a receipt as an alert does."""
        sent = self._notice(is_test=True)
        expected = self.door.expected[str(sent.id)]
        await self._send(sent)
        came = await self._answered(expected)
        self._note("test_answered", passed=came and not expected.flaws, got="" if came else "nothing")

    async def _busy_door(self) -> None:
        sent, expected = self._expect(refusals=1)
        await self._send(sent)
        came = await self._answered(expected)
        self._note("receipt_again", passed=came, got="" if came else "nothing")

    async def _shut_doors(self) -> None:
        """We may be away for hours. Nobody may answer for content that nobody read meanwhile."""
        sent, expected = self._expect(unread=self.away, refusals=self.away)
        await self._send(sent)
        came = await self._answered(expected, 6)
        got = f"content {expected.turned_away} + {expected.opened}, "
        got += f"receipt {expected.refused} + {len(expected.receipts)}"
        self._note("receipt_later", passed=came and not expected.flaws, got=got)

    async def _no_content(self) -> None:
        """Notices about a body below: they have duties, and nothing behind them to read."""
        for about in ("silent", "breached"):
            sent, expected = self._expect(about={about: "guardianship_body"}, has_content=False)
            await self._send(sent)
            if not await self._answered(expected):
                self._note("no_content", passed=False, got=about)
                return
        self._note("no_content", passed=True)

    async def _other_answer(self) -> None:
        """Another of their machines was first and said something else: trying again is of no use."""
        sent, expected = self._expect(is_answered=True)
        await self._send(sent)
        await self.door.wait(lambda: expected.refused > 0, self.patience)
        await self.door.wait(lambda: expected.refused > 1, min(AGAIN_SECONDS, self.patience))
        self._note("other_answer", passed=expected.refused == 1, got=str(expected.refused))

    # How it is sent

    @property
    def _is_answering(self) -> bool:
        return any(finding.name == "receipt" and finding.passed for finding in self.findings)

    async def _answered(self, expected: Expected, times: int = 1) -> bool:
        return await self.door.wait(lambda: bool(expected.receipts), times * self.patience)

    def _note(self, name: str, *, passed: bool, got: str = "") -> None:
        self.findings.append(Finding(name, passed, got))

    async def _refused(self, name: str, sent: "Sent", headers: dict[str, str]) -> None:
        reply = await self._send(sent, headers)
        self._note(name, passed=reply.is_refused, got=str(reply))

    def _expect(self, about: dict[str, Any] | None = None, **more: Any) -> tuple["Sent", Expected]:
        sent = self._notice(**about or {})
        grant = str(json.loads(sent.body)["content"]["grant"])
        expected = Expected(sent.body, grant, **more)
        self.door.expected[str(sent.id)] = expected
        return sent, expected

    def _notice(self, *, is_test: bool = False, more: dict[str, Any] | None = None, **about: str) -> "Sent":
        delivery, now = uuid4(), utc_now()
        base = f"{self.door.url}/v1/deliveries/{delivery}"
        text = {"kk": "Сынақ хабарламасы", "ru": "Пробное извещение"}
        duty = NoticeDuty("R136-12.1", "п. 12 (1)", text, now + timedelta(hours=1), "joint order")
        body = render_notice(
            Notice(
                delivery_id=delivery,
                number=1,
                handle=uuid4(),
                urgency=Urgency.ROUTINE,
                duties=() if is_test else (duty,),
                content_url=f"{base}/content",
                grant="" if is_test else f"grant-{uuid4()}",
                receipt_url=f"{base}/receipt",
                sent_at=now,
                is_test=is_test,
                **about,
            )
        )
        if more:
            body = json.dumps({**json.loads(body), **more}, ensure_ascii=False).encode()
        if is_test:  # each is answered
            self.door.expected[str(delivery)] = Expected(body, "", has_content=False)
        return Sent(delivery, body)

    def _stranger(self) -> bytes:
        """A key of the same scheme that is not ours."""
        return ASYMMETRIC + bytes(range(32)) if self.scheme == "v1a" else bytes(range(32))

    def _headers(
        self, sent: "Sent", *, key: bytes | None = None, at: datetime | None = None
    ) -> dict[str, str]:
        ours = self.kit.asymmetric if self.scheme == "v1a" else self.kit.symmetric
        parcel = Parcel(sent.id, self.url, sent.body, (key or ours,), timedelta(seconds=ANSWER_SECONDS))
        return signed_headers(parcel, now=at or utc_now())

    async def _send(self, sent: "Sent", headers: dict[str, str] | None = None) -> Reply:
        return await self._post(sent.body, headers or self._headers(sent))

    async def _post(self, body: bytes, headers: dict[str, str]) -> Reply:
        return await post(self._http, self.url, body, headers)


@dataclass(frozen=True)
class Sent:
    """A notice as it goes out."""

    id: UUID
    body: bytes


async def try_endpoint(
    url: str, kit: Kit, *, port: int, scheme: Scheme = "v1", patience: float = 10.0, away: int = AWAY
) -> Sequence[Finding]:
    """Open our doors on loopback and put the endpoint on trial.

    Raises:
        OSError: the port is taken.
    """
    door = Door(kit, port)
    await door.open()
    try:
        return await Trial(url, kit, door, scheme, patience, away).run()
    finally:
        await door.close()


def _effects(expected: Expected) -> int:
    """How often it was worked on, as far as we can see: contents read, or receipts that differ."""
    differing = {json.dumps(receipt, sort_keys=True) for receipt in expected.receipts}
    return max(expected.opened, len(differing))


CHECKS = (
    "redirect", "answers", "in_time", "wrong_signature", "no_signature", "altered_body", "other_id",
    "old_timestamp", "future_timestamp", "rotation", "unknown_field", "huge_body", "garbage", "unreadable",
    "broken_off", "token", "content", "receipt", "receipt_signature", "receipt_shape", "receipt_digest",
    "duplicate", "one_effect", "answers_first", "test_answered", "receipt_again", "receipt_later",
    "no_content", "other_answer",
)  # fmt: skip
"""Everything that is tried, in the order in which it is told."""

"""The engine of a worker: lanes with bulkheads, claims in bulk, results in bulk.

One lane per endpoint. A lane sends at most ``concurrency`` notices at the same time and keeps some of
these places for immediate ones, so neither a hanging endpoint nor a heap of routine notices holds up
anything else. The table is the truth: whatever this object forgets, the overdue scan finds again.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from uuid import UUID

from common.db import Database
from common.ids import new_id
from common.sealing import SealBroken, aead_open
from common.telemetry import Telemetry, log
from common.timing import Now
from common.waiting import is_cancelled
from notifier.domain.breaker import Rules
from notifier.domain.channel import WEBHOOK, Answer, Channel, Parcel
from notifier.domain.delivery import Outcome, State
from notifier.domain.schedule import Urgency
from notifier.errors import EndpointWithoutKey
from notifier.repository import claims, directory, held
from notifier.repository.claims import Claimed, Result
from notifier.service.addresses import open_address, open_keys
from notifier.service.desk import Desk
from notifier.service.fences import Fences
from notifier.service.grants import key_aad
from notifier.service.lane import UNKNOWN, Lane, rank_of
from notifier.service.results import judge, record
from notifier.service.scan import scan
from notifier.service.spares import Spares
from notifier.service.writing import Ended, ResultWriter

SCAN_EVERY = timedelta(seconds=1)
CLAIM_ROWS = 200
LOOK_ROWS = 400
TOKEN_SECONDS = 0.01
LOOK_AGAIN_AFTER = timedelta(seconds=1)
PAUSE_SECONDS = 0.5
NEAR_SECONDS = 60.0
LATE = timedelta(seconds=1)
"""An adapter ends its attempt within its time; one that does not is stopped so much later."""


class Dispatcher:
    """Sends what is due. ``run`` starts it; ``start`` and ``wake`` may be called from any commit hook."""

    def __init__(
        self,
        db: Database,
        channel: Channel,
        telemetry: Telemetry,
        now: Now,
        *,
        grace: timedelta = timedelta(seconds=10),
        rules: Rules | None = None,
    ) -> None:
        self._db = db
        self._channel = channel
        self._telemetry = telemetry
        self._now = now
        self._grace = grace
        self._rules = rules or Rules()
        self._desk: Desk | None = None
        self._lanes: dict[UUID, Lane] = {}
        self._spares = Spares()
        self._watched: set[UUID] = set()
        self._in_hand: set[UUID] = set()
        self._dropped: set[UUID] = set()
        self._order = count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer = ResultWriter(
            db, now, self._rules, is_idle=lambda: not self._tasks, forget=self._forget, written=self._remember
        )
        self._hungry = asyncio.Event()
        self._is_running = False
        self._keys: dict[bytes, bytes] = {}
        self._fences = Fences(db)

    def attach(self, desk: Desk) -> None:
        """Give it the desk; the two know each other."""
        self._desk = desk

    @property
    def desk(self) -> Desk:
        """The law, the keys and the pace."""
        if self._desk is None:
            raise RuntimeError("a dispatcher works for a desk")
        return self._desk

    # What a transaction may ask for

    def has_room(self, endpoint_id: UUID, concurrency: int, urgency: Urgency, *, promised: int = 0) -> bool:
        """Whether a claim makes sense here and now, or the row had better wait in the table.

        Args:
            promised: claims that the asking transaction has made for this lane already.
        """
        if not self._is_running:
            return False
        lane = self._lane(endpoint_id, concurrency)
        return lane.admits(urgency, promised=promised, now=self._now())

    def start(self, claimed: Sequence[Claimed]) -> None:
        """Send what was claimed by a transaction that has committed."""
        for one in claimed:
            self._in_hand.add(one.delivery_id)
            lane = self._lane(one.endpoint_id, one.concurrency)
            lane.push(one, next(self._order))
            self._fill(lane)

    def wake(self, waiting: Mapping[UUID, Sequence[UUID]]) -> None:
        """Know of deliveries that wait, by endpoint; doubled, stale or foreign ids do no harm."""
        for endpoint_id, ids in waiting.items():
            lane = self._lane(endpoint_id)
            # Whoever wakes does not say how urgent it is: looked at first, then claimed in the true order.
            lane.hints.update((one, UNKNOWN) for one in ids if one not in self._in_hand)
        self._hungry.set()

    def drop(self, delivery_ids: Collection[UUID]) -> None:
        """Let none of these leave any more: what is claimed here stays where it is, the rest is forgotten.

        Workers of other processes see it at their second look, taken when a notice waited for a place.
        """
        for lane in self._lanes.values():
            for one in delivery_ids:
                lane.hints.pop(one, None)
        self._dropped.update(self._in_hand.intersection(delivery_ids))

    # The work

    async def run(self, stop: asyncio.Event) -> None:
        """Claim, send and write until stopped; then finish what is in flight, up to the grace time."""
        self._is_running = True
        writing = asyncio.create_task(self._writer.run(self.desk, stop))
        scanning = asyncio.create_task(self._scan(stop))
        claiming = asyncio.create_task(self._claim(stop))
        await stop.wait()
        self._is_running = False
        self._hungry.set()
        await asyncio.gather(scanning, claiming)
        for lane in self._lanes.values():
            lane.clear()  # claimed but not begun: the lease brings them back
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._grace.total_seconds())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._writer.look()
        await writing

    def _lane(self, endpoint_id: UUID, concurrency: int | None = None) -> Lane:
        lane = self._lanes.get(endpoint_id)
        if lane is None:
            lane = self._lanes[endpoint_id] = Lane.open(
                endpoint_id, concurrency or 1, self._rules, self._spares
            )
        if concurrency is not None:
            lane.resize(concurrency)
        return lane

    async def _scan(self, stop: asyncio.Event) -> None:
        """Look for due rows every second, whatever happened to their wake-ups."""
        while not stop.is_set():
            try:
                await self.find_due()
            except Exception as error:  # noqa: BLE001  # the database may be away; rows stay due, so look again
                log.warning("scan_failed", error_type=type(error).__name__)
            await _sleep(stop, SCAN_EVERY.total_seconds())

    async def find_due(self) -> int:
        """One look at the table, lane concurrencies included; returns how many due rows it named."""
        async with self._db.reading() as session:
            for route in await directory.list_routes(session):
                self._lane(route.endpoint_id, route.concurrency)
            found = await scan(session, self._lanes, self._lane, now=self._now, but=self._in_hand)
        if found:
            self._hungry.set()
        return found

    async def _claim(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._hungry.wait()
            self._hungry.clear()
            try:
                more = await self._claim_once()
            except Exception as error:  # noqa: BLE001  # the database may be away; the scan names the rows again
                log.warning("claim_failed", error_type=type(error).__name__)
                await _sleep(stop, PAUSE_SECONDS)
                continue
            if more:
                self._hungry.set()

    async def _claim_once(self) -> bool:
        """One round for all lanes; returns whether there may be more to claim."""
        now = self._now()
        unclear = {id_: lane for lane in self._lanes.values() for id_ in lane.unclear(now)}
        if unclear:
            await self._choose(dict(list(unclear.items())[:LOOK_ROWS]))
        wanted = self._wanted()
        if wanted:
            self.start(await self._claim_rows(wanted))
        self._wake_for_tokens()
        return len(wanted) >= CLAIM_ROWS or len(unclear) > LOOK_ROWS

    async def _choose(self, unclear: Mapping[UUID, Lane]) -> None:
        """Look at due rows of lanes that cannot take all: learn urgencies, hold back behind open breakers.

        One look and one update for all lanes together; lanes that run freely never come here.
        """
        now = self._now()
        async with self._db.reading() as session:
            due = await held.look(session, list(unclear), now=now)
        for id_, lane in unclear.items():
            lane.forget([id_])
        until: dict[UUID, datetime] = {}
        through: dict[UUID, Lane] = {}
        for row in due:
            lane = self._lane(row.endpoint_id)
            if not lane.breaker.is_open:
                lane.hints[row.delivery_id] = rank_of(row.urgency, attempts=row.attempts)
                continue
            wakeup = lane.hold_until(row, tier=self.desk.tiers[row.urgency], now=now)
            if wakeup is not None:
                until[row.delivery_id] = wakeup
            elif lane.passes(row, promised=sum(one is lane for one in through.values()), now=now):
                lane.let_through(row.delivery_id)
                through[row.delivery_id] = lane
            # else: its lane is full; it stays due, and the scan names it again
        claimed: list[Claimed] = []
        try:
            async with self._db.transaction() as session:
                await held.hold(session, until, now=now)
                if through:
                    claimed = await claims.claim(
                        session, list(through), new_id(), now=now, leases=self._leases()
                    )
        finally:
            # A probe that was not ours to make must not keep the next one out.
            for lost in through.keys() - {one.delivery_id for one in claimed}:
                through[lost].came_back(lost)
        self.start(claimed)

    def _wanted(self) -> list[UUID]:
        """Hints that their lanes have an appetite for; hints are spent by being named."""
        wanted: list[UUID] = []
        now = self._now()
        for lane in self._lanes.values():
            wanted += [
                one for one in lane.choose(CLAIM_ROWS - len(wanted), now=now) if one not in self._in_hand
            ]
        return wanted

    def _wake_for_tokens(self) -> None:
        """Come back when the next token is there, for lanes whose bucket is empty."""
        waits = [lane.bucket.wait().total_seconds() for lane in self._lanes.values() if lane.lacks_tokens()]
        if waits:
            asyncio.get_running_loop().call_later(max(min(waits), TOKEN_SECONDS), self._hungry.set)

    async def _claim_rows(self, wanted: Collection[UUID]) -> list[Claimed]:
        async with self._db.transaction() as session:
            return await claims.claim(session, wanted, new_id(), now=self._now(), leases=self._leases())

    def _leases(self) -> dict[Urgency, datetime]:
        now = self._now()
        return {urgency: now + tier.lease for urgency, tier in self.desk.tiers.items()}

    def _fill(self, lane: Lane) -> None:
        """Give free places to what waits in the lane, the most urgent first."""
        while (one := lane.pop(self._now())) is not None:
            task = asyncio.create_task(self._attempt(lane, one))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        wait = lane.patience(self._now())
        if wait is not None and lane.endpoint_id not in self._watched:
            self._watched.add(lane.endpoint_id)
            asyncio.get_running_loop().call_later(wait, self._fill_again, lane)

    def _fill_again(self, lane: Lane) -> None:
        """What hangs has had its time alone: a first attempt passes it now."""
        self._watched.discard(lane.endpoint_id)
        self._fill(lane)
        if lane.hints:
            self._hungry.set()

    async def _attempt(self, lane: Lane, one: Claimed) -> None:
        began, began_ns = time.perf_counter(), time.time_ns()
        ended: tuple[Answer, Result] | None = None
        try:
            ended = await self._try(one)
        finally:
            if ended is None:  # cut short: nothing to be written, and its lease brings it back
                self._in_hand.discard(one.delivery_id)
                self._dropped.discard(one.delivery_id)
            outcome = Outcome.UNSENDABLE if ended is None else ended[0].outcome
            if lane.finish(one, outcome, seconds=time.perf_counter() - began, at=self._now()):
                self._writer.closed(lane.endpoint_id)
            if ended is not None:
                self._writer.add(one, ended[1])
            self._fill(lane)
            if lane.hints:
                self._hungry.set()
        record(self._telemetry, one, ended[0], began_ns)

    async def _try(self, one: Claimed) -> tuple[Answer, Result]:
        """Send it once; an adapter's defect costs this attempt, not the lane."""
        parcel: Parcel | None = None
        try:
            parcel = await self._pack(one)
            answer = Answer(Outcome.UNSENDABLE)
            if parcel is not None:
                async with asyncio.timeout((parcel.timeout + LATE).total_seconds()):
                    answer = await self._channel.send(parcel, now=self._now())
            return answer, judge(self.desk, one, answer, ended_at=self._now())
        except (SealBroken, EndpointWithoutKey):
            answer = Answer(Outcome.NO_KEY)
            return answer, judge(self.desk, one, answer, ended_at=self._now())
        except (Exception, asyncio.CancelledError) as error:
            # Libraries end what waits on a lost connection as cancelled, though nobody cancelled us.
            if isinstance(error, asyncio.CancelledError) and is_cancelled():
                raise
            log.warning("attempt_broken", delivery_id=str(one.delivery_id), error_type=type(error).__name__)
            # The database may have been away for the second look: what was not packed was not sent.
            answer = Answer(Outcome.UNSENDABLE if parcel is None else Outcome.NO_ANSWER)
            return answer, judge(self.desk, one, answer, ended_at=self._now())

    async def _pack(self, one: Claimed) -> Parcel | None:
        """What is to be sent; ``None`` when it cannot or must not leave any more.

        Raises:
            SealBroken: our vault opens neither a key of it nor its address.
            EndpointWithoutKey: as it says.
        """
        timeout = self.desk.tiers[one.urgency].timeout
        if one.url is None or one.body is None or one.leased_until - self._now() < timeout:
            return None
        if not await self._is_still_ours(one):
            return None
        if one.delivery_id in self._dropped or one.leased_until - self._now() < timeout:
            return None  # looking again may have taken long
        keys = open_keys(partial(self._open, one.endpoint_id), one.endpoint_id, one.sealed_keys)
        if not keys and one.kind == WEBHOOK:
            raise EndpointWithoutKey
        url = open_address(self.desk.keys, one.endpoint_id, one.url)
        return Parcel(one.delivery_id, url, one.body, keys, timeout, one.kind)

    async def _is_still_ours(self, one: Claimed) -> bool:
        """Look again when the row waited for a place: its endpoint may have been revoked meanwhile."""
        lease = self.desk.tiers[one.urgency].lease
        if self._now() - (one.leased_until - lease) < LOOK_AGAIN_AFTER:
            return True
        return await self._fences.stands(one)

    def _open(self, endpoint_id: UUID, no: int, sealed: bytes) -> bytes:
        """A signing key; remembered by its sealed form, so that a changed one is never mistaken."""
        known = self._keys.get(sealed)
        if known is None:
            known = aead_open(self.desk.keys.secret("vault"), sealed, key_aad(endpoint_id, no))
            self._keys[sealed] = known
        return known

    def _forget(self, ended: Ended) -> None:
        self._in_hand.discard(ended[0].delivery_id)
        self._dropped.discard(ended[0].delivery_id)

    def _remember(self, ended: Ended) -> None:
        """Wake up for a retry that is near; the scan finds all others, and this one too."""
        one, result = ended
        if result.state is not State.WAITING or result.next_wakeup_at is None or not self._is_running:
            return
        seconds = (result.next_wakeup_at - self._now()).total_seconds()
        if seconds <= NEAR_SECONDS:
            waiting = {one.endpoint_id: [one.delivery_id]}
            asyncio.get_running_loop().call_later(max(0.0, seconds) + 0.002, self.wake, waiting)


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return

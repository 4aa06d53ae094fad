"""Every fault that is made on real processes: its numbers, how it is made, what else must hold."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.faults import backup, broker, liars, machines, store
from tests.faults.proxy import Mode, Weather
from tests.faults.scene import Scene

Act = Callable[[Scene], None]
SETTLE_SECONDS = 420.0
"""An urgent notice that failed five times waits five minutes for its sixth try."""


@dataclass(frozen=True)
class Fault:
    """One story.

    Attributes:
        numbers: of the design's list.
        name: for the table.
        how: how it is made.
        act: makes it and lifts it again.
        alerts: reported meanwhile in the short form.
        full: as many, and how often, in the full form.
        allowed: sorts of findings that the fault brings by itself, and that the house can only name.
        within: most seconds from the answer to the reporter until the police had the notice; ``None`` where
            the fault is in the way itself.
        settle: longest time, in seconds, that everything may take to come when the fault is over.
    """

    numbers: str
    name: str
    how: str
    act: Act
    alerts: int = 12
    full: tuple[int, float] = (80, 0.3)
    allowed: frozenset[str] = frozenset()
    within: float | None = None
    settle: float = SETTLE_SECONDS


def _weather(wire: str, weather: Weather, short: float, full: float) -> Act:
    def act(scene: Scene) -> None:
        with getattr(scene, wire).under(weather):
            scene.pause(short, full)

    return act


_on_rabbit = partial(_weather, "rabbit")
_on_postgres = partial(_weather, "postgres")
_on_agencies = partial(_weather, "agencies")
URGENT = 20.0
"""Seconds within which an immediate notice leaves whatever the broker does, on a machine that is shared."""

FAULTS = [
    Fault(
        "F5",
        "broker away",
        "kill -9; started again after 10 min (short form: 18 s)",
        broker.away,
        within=URGENT,
        full=(400, 1.5),
    ),
    Fault("F8", "broker stands still", "SIGSTOP 60 s (8 s), SIGCONT", broker.stands_still, within=URGENT),
    Fault(
        "F9",
        "broker out of memory",
        "rabbitmqctl: memory alarm 60 s (8 s)",
        broker.out_of_memory,
        within=URGENT,
    ),
    Fault(
        "F7",
        "queues purged",
        "every queue, again and again for 30 s (5 s)",
        broker.queues_purged,
        within=URGENT,
    ),
    Fault("F7", "queues deleted", "every event queue and lane", broker.queues_deleted, within=URGENT),
    Fault("F7", "bindings deleted", "every binding of an event queue", broker.bindings_deleted, within=None),
    Fault(
        "F7",
        "connections closed",
        "by the broker's admin, five times (twice)",
        broker.connections_closed,
        within=URGENT,
    ),
    Fault(
        "F20",
        "rubbish in the queues",
        "malformed, unknown, old, huge, doubled",
        broker.rubbish,
        within=URGENT,
    ),
    Fault(
        "F8",
        "broker: half-open",
        "proxy: black hole 60 s (8 s)",
        _on_rabbit(Weather(Mode.BLACK_HOLE), 8, 60),
        within=URGENT,
    ),
    Fault(
        "F8",
        "broker: reset",
        "proxy: every connection reset 20 s (5 s)",
        _on_rabbit(Weather(Mode.RESET), 5, 20),
        within=URGENT,
    ),
    Fault(
        "F8",
        "broker: slow wire",
        "proxy: 500 ms later, 30 s (5 s)",
        _on_rabbit(Weather(Mode.DELAY, 0.5), 5, 30),
        within=URGENT,
    ),
    Fault(
        "F8",
        "broker: drip",
        "proxy: 64 bytes each 0.2 s, 30 s (5 s)",
        _on_rabbit(Weather(Mode.DRIP, 0.2), 5, 30),
        within=URGENT,
    ),
    Fault("F11", "database restarted", "orderly, three times (once)", store.restarted),
    Fault("F11", "database takes no new connections", "SIGSTOP 20 s (3 s)", store.stands_still),
    Fault("F11", "backends ended", "pg_terminate_backend of all, ten times (three)", store.backends_ended),
    Fault("F11", "connections exhausted", "all 300 taken for 30 s (5 s)", store.connections_exhausted),
    Fault(
        "F11",
        "tables locked",
        "a transaction holds deliveries, alerts, outbox 60 s (6 s)",
        store.tables_locked,
    ),
    Fault("F11", "statements time out", "statement_timeout 3 ms for 30 s (6 s)", store.statements_time_out),
    Fault("F11", "database read-only", "as after a failover, 30 s (6 s)", store.read_only),
    Fault("F11", "disk full", "inserts fail with SQLSTATE 53100 for 30 s (6 s)", store.disk_full),
    Fault(
        "F12",
        "old snapshot held",
        "REPEATABLE READ open for 120 s (5 s)",
        store.old_snapshot_held,
        within=URGENT,
    ),
    Fault(
        "F11",
        "database: half-open",
        "proxy: black hole 20 s (5 s)",
        _on_postgres(Weather(Mode.BLACK_HOLE), 5, 20),
    ),
    Fault(
        "F11",
        "database: reset",
        "proxy: every connection reset 20 s (5 s)",
        _on_postgres(Weather(Mode.RESET), 5, 20),
    ),
    Fault(
        "F11",
        "database: slow wire",
        "proxy: 50 ms later, 30 s (5 s)",
        _on_postgres(Weather(Mode.DELAY, 0.05), 5, 30),
    ),
    Fault(
        "F11",
        "database: refused",
        "proxy: nobody listens 20 s (5 s)",
        _on_postgres(Weather(Mode.REFUSE), 5, 20),
    ),
    Fault(
        "F14",
        "agencies: refused",
        "proxy: nobody listens 20 s (5 s)",
        _on_agencies(Weather(Mode.REFUSE), 5, 20),
    ),
    Fault(
        "F14",
        "agencies: reset",
        "proxy: every connection reset 20 s (5 s)",
        _on_agencies(Weather(Mode.RESET), 5, 20),
    ),
    Fault(
        "F14",
        "agencies: half-open",
        "proxy: black hole 30 s (5 s)",
        _on_agencies(Weather(Mode.BLACK_HOLE), 5, 30),
    ),
    Fault(
        "F14",
        "agencies: cut",
        "proxy: reset after 9 bytes of answer, 20 s (5 s)",
        _on_agencies(Weather(Mode.CUT, size=9), 5, 20),
    ),
    Fault(
        "F14",
        "agencies: drip",
        "proxy: 16 bytes each 0.1 s, 30 s (5 s)",
        _on_agencies(Weather(Mode.DRIP, 0.1, 16), 5, 30),
    ),
    Fault(
        "F19",
        "all agencies down, then up",
        "proxy: refused 120 s (8 s), 200 (20) alerts meanwhile",
        _on_agencies(Weather(Mode.REFUSE), 8, 120),
        alerts=20,
        full=(200, 0.5),
        # One agency fails each notice twice on purpose: then an urgent one is at its steps of 15 minutes.
        settle=2400.0,
    ),
    Fault(
        "F4",
        "worker stands still",
        "SIGSTOP 38 s, longer than a lease; a second worker goes on",
        machines.worker_stands_still,
    ),
    Fault(
        "F4", "everything stands still", "SIGSTOP of each process in turn", machines.everything_stands_still
    ),
    Fault(
        "F13",
        "clocks an hour wrong",
        "intake and three notifiers restarted an hour fast or slow",
        machines.clocks_wrong,
    ),
    Fault(
        "F3", "workers killed while they send", "kill -9 of both, five times (twice)", machines.workers_killed
    ),
    Fault(
        "F14-F17, F30",
        "agencies that lie",
        "eighteen ways to answer a notice, seven ways to acknowledge one",
        liars.lie_in_eighteen_ways,
        full=(12, 0.3),
    ),
    Fault(
        "F33",
        "database restored from an older backup",
        "notifier's; alerts of 20 s (10 s) are in none of its rows",
        backup.restored,
        full=(60, 0.5),
        # What was told in the gap is told again, under new ids: nobody here knows that it was told.
        allowed=frozenset({"changed_id", "unanswered", "unplanned", "unrecorded"}),
    ),
]

SHORT = (
    "broker away", "queues deleted", "connections closed", "rubbish in the queues", "backends ended",
    "read-only", "disk full", "agencies: cut", "clocks an hour wrong",
)  # fmt: skip
"""What `make test` plays, in scaled time."""

"""Roles of a process: ``api`` (HTTP and relay), ``worker`` (events, time, relay), ``migrate``, ``topology``.

As many of each as the database has connections for may run side by side. SIGTERM drains: stop taking,
finish, leave. ``kill -9`` is survived by the tables.
"""

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import uvicorn
import uvloop
from fastapi import FastAPI

from common.bus import Queue
from common.bus.canary import QueueWatch
from common.bus.management import Unseen
from common.bus.provisioning import BrokerAway, apply, apply_report, check, check_report, keep
from common.bus.rabbit import RabbitBus
from common.bus.topology import event_queue, fixed_queues
from common.cancelling import is_asked
from common.contracts import REGISTRY
from common.db import is_away
from common.health import database_answers, health_router, holds_keys
from common.inbox import Inbox
from common.keys import KeyRing
from common.outbox import Relay
from common.parts import Job, Parts, Service
from common.reconciling import EVERY, Reconciler
from common.settings import ServiceSettings
from common.telemetry import configure_logging, log
from common.weighing import OutboxBoard, weighing_outbox

Settings = TypeVar("Settings", bound=ServiceSettings)
ROLES = ("api", "worker", "migrate", "migrate post", "topology apply", "topology check", "topology keep")
DRAIN_SECONDS = 10
BACKLOG = 2048
AWAY_SECONDS = 0.3
"""Pause before a database that was away when the process started is asked again."""
EVENTS_IN_HAND = 64
"""As many as share a transaction. Not more: a process that dies again and again spends their limit."""
COLLECT_AFTER = (10_000, 20, 20)
"""Python's own 700 lets the collector look at the rows of every batch while they are in use."""


class EndedTooSoon(Exception):
    """A part of the process ended although nobody had asked it to stop."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: one ``stop`` drains the whole process in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: FastAPI, stop: asyncio.Event, sockets: Sequence[socket.socket]) -> None:
    """Answer HTTP on these sockets until stopped."""
    app.state.stopping = stop  # streams of events end when the process is asked to stop
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # it prints addresses and queries
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=30,
        loop="none",
        lifespan="off",  # parts are opened and closed by the role, not by the app
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=list(sockets)))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    is_too_soon = not stop.is_set()
    server.should_exit = True
    stopping.cancel()
    stop.set()
    await serving
    if is_too_soon:
        raise EndedTooSoon


def settle_heap() -> None:
    """Leave out of garbage collection what was built so far: it lives as long as the process.

    A full collection stops everything, also what a child waits for, while it looks at a hundred thousand
    modules, models and statements (measured: up to 80 ms on a quiet machine).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def listen(host: str, port: int) -> socket.socket:
    """A socket whose callers wait from now on until they are served; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def relay_of(service: Service, parts: Parts) -> Relay:
    """The relay of this process."""
    doors = {reader: parts.doors.to(reader) for reader in _readers_of(service.name)}
    return Relay(service.name, parts.db, parts.bus, parts.telemetry, parts.now, doors)


def reconciler_of(service: Service, parts: Parts) -> Reconciler:
    """Asks the readers of this service's events what they never took."""
    asking = {reader: parts.doors.asking(reader) for reader in _readers_of(service.name)}
    return Reconciler(service.name, parts.db, asking, parts.now)


def _readers_of(service: str) -> set[str]:
    return {reader for event in REGISTRY.values() if event.publisher == service for reader in event.consumers}


async def run_api(
    service: Service, parts: Parts, stop: asyncio.Event, sockets: Sequence[socket.socket]
) -> None:
    """HTTP, and the relay that brings away what HTTP wrote."""
    relay = relay_of(service, parts)
    service.app.state.stopping = stop  # long polls and streams end with it instead of holding the drain up
    watching = [_by_time(job, stop) for job in watches_of(service, parts)]
    await _together(stop, serve(service.app, stop, sockets), relay.run(stop), *watching)


def watches_of(service: Service, parts: Parts) -> list[Job]:
    """What looks and tells in every role."""
    board = OutboxBoard(parts.telemetry.meter)
    return [*service.watches, weighing_outbox(service.name, parts.db, parts.now, board)]


async def run_worker(service: Service, parts: Parts, stop: asyncio.Event) -> None:
    """Events, jobs, the service's own long work, and a relay."""
    await _work(service, parts, stop, relay_of(service, parts))


async def run_both(
    service: Service, parts: Parts, stop: asyncio.Event, sockets: Sequence[socket.socket]
) -> None:
    """Both roles in one process, with one relay: what the embedded house runs."""
    service.app.state.stopping = stop
    relay = relay_of(service, parts)
    await _together(stop, serve(service.app, stop, sockets), _work(service, parts, stop, relay))


async def _work(service: Service, parts: Parts, stop: asyncio.Event, relay: Relay) -> None:
    inbox: Inbox = service.app.state.inbox
    subscription = None
    watched: list[Queue] = []
    if service.effects:
        watched = [event_queue(service.name)]
        is_kept = isinstance(parts.bus, RabbitBus)
        consume = inbox.consume_at_leisure if is_kept else inbox.consume
        subscription = await parts.bus.subscribe(event_queue(service.name), consume, prefetch=EVENTS_IN_HAND)

    async def queues() -> Sequence[Queue]:
        return [*watched, *(await service.lanes() if service.lanes else ())]

    watch = QueueWatch(parts.bus, queues, meter=parts.telemetry.meter)
    jobs = [
        *service.jobs,
        *watches_of(service, parts),
        Job("probe_queues", timedelta(minutes=1), watch.pass_once),
        Job("forget_old_events", timedelta(hours=6), relay.forget_old),
        Job("forget_old_marks", timedelta(hours=6), inbox.forget_old),
        Job("reconcile_events", EVERY, reconciler_of(service, parts).pass_once),
    ]
    work = [_by_time(job, stop) for job in jobs] + [long(stop) for long in service.background]
    await _together(stop, relay.run(stop), *work)
    if subscription is not None:
        await subscription.cancel()


async def _by_time(job: Job, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await job.run()
        except (Exception, asyncio.CancelledError) as error:  # one that fails once must come back next time
            if isinstance(error, asyncio.CancelledError) and is_asked():
                raise
            log.warning("job_failed", job=job.name, error_type=type(error).__name__)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(job.every.total_seconds()):
                await stop.wait()


async def _together(stop: asyncio.Event, *work: object) -> None:
    """Run side by side; when one ends or fails, the others are asked to stop too.

    Raises:
        EndedTooSoon: one ended, or was cancelled, that nobody had asked to.
    """
    tasks = [asyncio.ensure_future(one) for one in work]  # type: ignore[call-overload]  # coroutines and futures alike
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        is_too_soon = not stop.is_set()
    finally:
        stop.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, Exception):
            log.error("part_failed", error_type=type(outcome).__name__)
            raise outcome
    # Quietly, the process would leave with 0: it would look as if it had been asked to.
    if is_too_soon:
        log.error("part_failed", error_type=EndedTooSoon.__name__)
        raise EndedTooSoon


def worker_health(parts: Parts) -> FastAPI:
    """The worker's health pages, for the container's health check."""
    app = FastAPI(openapi_url=None)
    app.state.parts = parts
    app.state.checks = {
        "database": lambda: database_answers(parts.db),
        "keys": lambda: holds_keys(parts.keys, parts.service),
    }
    app.include_router(health_router)
    return app


async def _learn_time(parts: Parts, stop: asyncio.Event) -> None:
    """Nothing is due, and no lease is given, by a clock that nobody compared with the store's."""
    failures = 0
    while not stop.is_set():
        try:
            await parts.db.learn_time()
        except Exception as error:
            if not is_away(error):
                raise
            failures += 1
            if failures in (1, 10, 100):
                log.warning("database_away", error_type=type(error).__name__, count=failures)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AWAY_SECONDS):
                    await stop.wait()
        else:
            return


async def _topology(
    word: str, service: Service, settings: ServiceSettings, parts: Parts, stop: asyncio.Event
) -> int:
    """Make, check or keep what the broker must hold; the exit code."""

    async def queues() -> Sequence[Queue]:
        return [*fixed_queues(), *(await service.lanes() if service.lanes else ())]

    url = settings.bus_url.get_secret_value()
    if not isinstance(parts.bus, RabbitBus):
        sys.stdout.write("this process has no broker: nothing to make\n")
        return 0
    if word == "keep":
        bus = RabbitBus(url)
        await bus.start()
        sockets = [listen(settings.host, settings.port)]
        try:
            await _together(stop, keep(bus, queues, stop), serve(worker_health(parts), stop, sockets))
        finally:
            await bus.close()
        return 0
    try:
        if word == "apply":
            lines, code = apply_report(await apply(url, await queues(), api=settings.bus_api))
        else:
            lines, code = check_report(await check(url, await queues(), api=settings.bus_api))
    except (BrokerAway, Unseen) as why:
        lines, code = [f"the broker could not be asked: {why}"], 1
    sys.stdout.write("\n".join(lines) + "\n")
    return code


async def _main(
    role: str, name: str, settings: Settings, build: Callable[[Settings, Parts], Service], migrations: Path
) -> int:
    parts = Parts.open(name, settings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    service: Service | None = None
    try:
        await _learn_time(parts, stop)
        if role.startswith("migrate"):
            from common.migrating import upgrade  # noqa: PLC0415  # for this role alone: 7 MB in every other

            await upgrade(parts.db, migrations, is_whole=role == "migrate post")
            service = build(settings, parts)
            for prepare in service.prepare:
                await prepare()
            log.info("migrated", service=name)
            return 0
        service = build(settings, parts)
        if role.startswith("topology "):
            return await _topology(role.removeprefix("topology "), service, settings, parts, stop)
        settle_heap()
        await parts.bus.start()
        sockets = [listen(settings.host, settings.port)]
        log.info("started", service=name, role=role, port=sockets[0].getsockname()[1])
        if role == "api":
            await run_api(service, parts, stop, sockets)
        else:
            await _together(
                stop, run_worker(service, parts, stop), serve(worker_health(parts), stop, sockets)
            )
        return 0
    finally:
        for close in service.close if service else ():
            await close()
        await parts.close()
        log.info("stopped", service=name, role=role.partition(" ")[0])


def allow_files(number: int) -> None:
    """Let this process have so many files and sockets open, as far as the machine allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main(
    name: str, settings_class: type[Settings], build: Callable[[Settings, Parts], Service], migrations: Path
) -> None:
    """``python -m <service> api|worker|migrate|topology …``; settings come from the environment."""
    role = " ".join(sys.argv[1:])
    if role not in ROLES:
        sys.exit(f"usage: python -m {name} api|worker|migrate [post]|topology (apply|check|keep)")
    settings = settings_class()
    configure_logging(settings.log_level)
    # ``migrate`` too: an upgrade without its new keys must end while the old version still runs.
    if missing := KeyRing(settings.keys_dir).list_missing(name):
        log.error("keys_missing", service=name, reason=", ".join(missing))
        sys.exit(
            f"{name}: not in {settings.keys_dir}, or no such keys: {', '.join(missing)}; run `make secrets`"
        )
    code = uvloop.run(_main(role, name, settings, build, migrations))
    if code:
        sys.exit(code)

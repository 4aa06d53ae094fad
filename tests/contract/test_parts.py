"""The real parts of the suite: shared, isolated, ended by the last who uses them, never skipped."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import packages, postgres, rabbit, sharing
from tests.parts.process import PartFailed, Running, reachable_folder
from tests.parts.rabbit import Rabbit, VirtualHosts

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of its own, so that the parts of this very run are not touched."""
    folder = reachable_folder("test")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    for name in ("DABYL_TEST_POSTGRES", "DABYL_TEST_RABBITMQ"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DABYL_TEST_ENGINE", "no")
    yield folder
    sharing.take_down()
    shutil.rmtree(folder, ignore_errors=True)


USER = """
import sys
from tests.parts import sharing
lease = sharing.postgres()
print(lease.part.processes[0].pid, lease.part.processes[0].started, flush=True)
sys.stdin.readline()
lease.leave()
"""


def _user() -> tuple[subprocess.Popen[str], Running]:
    user = subprocess.Popen(
        [sys.executable, "-c", USER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout
    pid, started = user.stdout.readline().split()
    return user, Running(int(pid), float(started))


def _leave(user: subprocess.Popen[str]) -> None:
    user.communicate("\n", timeout=30)


@pytest.mark.real
def test_two_processes_share_one_server_and_the_last_one_ends_it(elsewhere: Path) -> None:
    first, server = _user()
    second, same = _user()
    assert same == server
    _leave(first)
    assert server.alive()
    _leave(second)
    assert not server.alive()


@pytest.mark.real
def test_a_user_that_was_killed_leaves_nothing_behind_for_long(elsewhere: Path) -> None:
    user, server = _user()
    os.kill(user.pid, signal.SIGKILL)
    user.communicate()
    assert server.alive()
    lease = sharing.postgres()  # the next one to come clears up and starts afresh
    assert not server.alive()
    lease.leave()


@pytest.mark.real
def test_data_survive_kill_9_of_postgresql(elsewhere: Path) -> None:
    server = postgres.Postgres(elsewhere / "mine").start()
    try:
        postgres.create_database(server.url_for(), "kept")
        server.restart()
        assert postgres.server_version(server.url_for("kept"))
    finally:
        server.stop()


@pytest.mark.real
def test_the_wheel_serves_where_debian_has_no_postgresql(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_debian_binaries", lambda: None)
    lease = sharing.postgres()
    assert postgres.server_version(lease.part.url).startswith("1")
    lease.leave()


@pytest.mark.real
def test_virtual_hosts_survive_kill_9_of_rabbitmq(elsewhere: Path) -> None:
    node = Rabbit(elsewhere / "node").start()
    try:
        hosts = VirtualHosts(node.url, node.api)
        hosts.create("kept")
        node.restart()
        hosts.delete("kept")
        with pytest.raises(PartFailed):
            hosts.delete("kept")
    finally:
        node.stop()
    assert not any(one.alive() for one in node.processes())


def test_addresses_in_the_environment_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DABYL_TEST_POSTGRES", "postgres://me:secret@db.internal/tests")
    monkeypatch.setenv("DABYL_TEST_RABBITMQ", "amqp://me:secret@mq.internal:5673/")
    assert sharing.postgres().part.url == "postgresql+asyncpg://me:secret@db.internal/tests"
    assert sharing.rabbit().part.api == "http://mq.internal:15672"


def test_what_cannot_be_had_fails_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbit, "available", lambda: False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(PartFailed, match=r"apt-get install --no-install-recommends rabbitmq-server"):
        packages.ensure_rabbit()

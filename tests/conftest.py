"""What every test may ask for: databases, buses, a clock, keys, callers.

``--db`` and ``--bus`` choose the columns of architecture §5; ``make test`` runs both. A test that asks for
``db_url`` or ``bus_url`` runs once per column, with an empty store or broker of its own.
"""

import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import UUID

import pytest
from hypothesis import settings

from common.identity import Principal, ServiceTokens
from common.keys import KeyRing
from common.testing import FrozenNow
from tests.parts import migrations, postgres, sharing
from tests.parts.rabbit import VirtualHosts

# A shared machine is slow now and then: no case fails for its own duration. `make check` tries fewer.
settings.register_profile("whole", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("whole")

DATABASES = {"sqlite": ["sqlite"], "postgres": ["postgres"], "both": ["sqlite", "postgres"]}
BUSES = {"memory": ["memory"], "rabbit": ["rabbit"], "both": ["memory", "rabbit"]}
SERVICES = ("intake", "notifier", "casework", "registry", "gateway")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--db", choices=sorted(DATABASES), default="sqlite", help="which databases (make test: both)"
    )
    parser.addoption("--bus", choices=sorted(BUSES), default="memory", help="which buses (make test: both)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    real = {"postgres", "rabbit"}
    for kind, choices in (("db", DATABASES), ("bus", BUSES)):
        if f"{kind}_kind" in metafunc.fixturenames:
            chosen = choices[metafunc.config.getoption(f"--{kind}")]
            marked = [pytest.param(one, marks=pytest.mark.real if one in real else ()) for one in chosen]
            metafunc.parametrize(f"{kind}_kind", marked, indirect=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the real parts side by side while the first tests run; RabbitMQ takes some seconds."""
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.getoption("--collect-only"):
        return
    if session.config.getoption("--db") != "sqlite" and "db_kind" in asked:
        REAL.start("postgres", sharing.postgres)
    if session.config.getoption("--bus") != "memory" and "bus_kind" in asked:
        REAL.start("rabbit", sharing.rabbit)


def pytest_unconfigure(config: pytest.Config) -> None:
    REAL.leave()


class _RealParts:
    """The leases of this process."""

    def __init__(self) -> None:
        self._starters = ThreadPoolExecutor(2, "real-part")
        self._leases: dict[str, Future[sharing.Lease]] = {}

    def start(self, name: str, start: Callable[[], sharing.Lease]) -> None:
        if name not in self._leases:
            self._leases[name] = self._starters.submit(start)

    def postgres(self) -> sharing.Part:
        self.start("postgres", sharing.postgres)
        return self._leases["postgres"].result().part

    def rabbit(self) -> sharing.Part:
        self.start("rabbit", sharing.rabbit)
        return self._leases["rabbit"].result().part

    def leave(self) -> None:
        for lease in self._leases.values():
            with suppress(Exception):  # it failed to start: the tests that needed it have said so
                lease.result().leave()
        self._leases.clear()


REAL = _RealParts()


@pytest.fixture(scope="session")
def db_kind(request: pytest.FixtureRequest) -> str:
    """``sqlite`` or ``postgres``."""
    return str(request.param)


@pytest.fixture(scope="session")
def bus_kind(request: pytest.FixtureRequest) -> str:
    """``memory`` or ``rabbit``."""
    return str(request.param)


class DatabaseUrls(Protocol):
    def __call__(self, service: str | None = None) -> str: ...


class _Templates:
    """One migrated, empty database per service and dialect; every test gets a copy (40 ms)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sqlite: dict[str, Path] = {}
        self._postgres: dict[str, str] = {}

    def sqlite(self, service: str) -> Path:
        if service not in self._sqlite:
            file = self._folder / f"{service}.template.db"
            migrations.migrate(service, f"sqlite+aiosqlite:///{file}")
            self._sqlite[service] = file
        return self._sqlite[service]

    def postgres(self, service: str, server: str) -> str:
        if service not in self._postgres:
            name = f"template_{service}_{uuid.uuid4().hex[:12]}"
            migrations.migrate(service, postgres.create_database(server, name))
            self._postgres[service] = name
        return self._postgres[service]

    def drop(self) -> None:
        for name in self._postgres.values():
            postgres.drop_database(REAL.postgres().url, name)


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Templates]:
    templates = _Templates(tmp_path_factory.mktemp("templates"))
    yield templates
    templates.drop()


@pytest.fixture
def db_url(db_kind: str, _templates: _Templates, tmp_path: Path) -> Iterator[DatabaseUrls]:
    """``db_url("intake")``: URL of a migrated, empty database of this test; without a name: no tables."""
    made: list[str] = []

    def one(service: str | None = None) -> str:
        name = f"{service or 'blank'}_{uuid.uuid4().hex[:12]}"
        if db_kind == "sqlite":
            file = tmp_path / f"{name}.db"
            if service:
                shutil.copyfile(_templates.sqlite(service), file)
            return f"sqlite+aiosqlite:///{file}"
        server = REAL.postgres().url
        made.append(name)
        template = _templates.postgres(service, server) if service else None
        return postgres.create_database(server, name, template=template)

    yield one
    for name in made:
        postgres.drop_database(REAL.postgres().url, name)


@pytest.fixture
def bus_url(bus_kind: str) -> Iterator[str]:
    """``memory:`` or a virtual host of this test alone."""
    if bus_kind == "memory":
        yield "memory:"
        return
    yield from _virtual_host()


@pytest.fixture
def broker_url() -> Iterator[str]:
    """A virtual host of a real broker, whatever ``--bus`` says: an agency's own one."""
    yield from _virtual_host()


def _virtual_host() -> Iterator[str]:
    part = REAL.rabbit()
    assert part.api
    hosts = VirtualHosts(part.url, part.api)
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield hosts.create(name)
    hosts.delete(name)


@pytest.fixture
def now() -> FrozenNow:
    """A clock that stands still until the test moves it: Friday 23 October 2026, 15:00 in Almaty."""
    return FrozenNow()


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    """A ring with every key."""
    return KeyRing.create(tmp_path_factory.mktemp("keys"))


class Callers(Protocol):
    def __call__(
        self,
        service: str,
        role: str = "agency",
        *,
        agency: UUID | None = None,
        bodies: tuple[str, ...] = (),
        territory: str | None = "KZ-75",
        subject: str = "client-1",
        is_person: bool = True,
    ) -> dict[str, str]: ...


@pytest.fixture
def caller(keys: KeyRing, now: FrozenNow) -> Callers:
    """``caller("intake", agency=…, bodies=("school",))``: headers as the gateway sends them at ``now``."""

    def headers(
        service: str,
        role: str = "agency",
        *,
        agency: UUID | None = None,
        bodies: tuple[str, ...] = (),
        territory: str | None = "KZ-75",
        subject: str = "client-1",
        is_person: bool = True,
    ) -> dict[str, str]:
        person = f"{agency or role}:{subject}" if is_person else None
        principal = Principal(subject, role, agency, bodies, territory, person)
        token = ServiceTokens(keys, "gateway", now).mint(service, principal)
        return {"Authorization": f"Bearer {token}"}

    return headers

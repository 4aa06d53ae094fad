"""The only place where the gateway's parts meet."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any, get_args

from common.health import Check
from common.http import create_app
from common.parts import Job, Parts, Service
from common.runtime import allow_files
from gateway.adapters.affairs import AgencyAffairs
from gateway.adapters.document import PublicDocument
from gateway.adapters.failures import OperatorFailures
from gateway.adapters.intake import AgencyInbox
from gateway.adapters.jwks import RemoteKeys
from gateway.adapters.notifier import NotifierDesk
from gateway.adapters.registry import RegistryDirectory
from gateway.adapters.services import HttpServices
from gateway.adapters.traces import JaegerTraces, LocalTraces, RecentTraces
from gateway.console import routers as console_routers
from gateway.console.parts import Console
from gateway.domain.routes import Bucket, Upstream
from gateway.jobs import forgetting
from gateway.router import routers
from gateway.router.front import Front
from gateway.router.parts import Desk
from gateway.service.allowance import Allowances
from gateway.service.bootstrap import ensure_registrar
from gateway.service.doorman import Doorman
from gateway.service.gatekeeper import Gatekeeper
from gateway.service.secrets import SecretChecker
from gateway.service.sources import Sources
from gateway.service.standing import Standings
from gateway.service.tokens import ALGORITHM, Issuer, Trusted, Verifier
from gateway.service.waits import Waits
from gateway.settings import Settings

MAX_BODY_BYTES = 1024 * 1024
FILES = 16_384
"""A caller that waits is two open sockets, and systemd allows 1,024 unless asked."""
SERVICES: tuple[Upstream, ...] = get_args(Upstream)


def build(settings: Settings, parts: Parts) -> Service:
    """Put the gateway together."""
    allow_files(FILES)
    services = HttpServices(
        {service: settings.url_of(service) for service in SERVICES}, parts.tokens, parts.telemetry, parts.now
    )
    document = PublicDocument(services, server=settings.public_url, now=parts.now)
    issuer = _issuer(settings, parts)
    secrets = SecretChecker(now=parts.now)
    directory = RegistryDirectory(services)
    standings = Standings(parts.db, directory, now=parts.now)
    verifier = Verifier(_trusted(settings, parts, issuer), now=parts.now)
    desk = Desk(
        db=parts.db,
        now=parts.now,
        issuer=issuer,
        gatekeeper=Gatekeeper(parts.db, verifier, standings),
        secrets=secrets,
        services=services,
        directory=directory,
        standings=standings,
        allowances=Allowances(
            {
                Bucket.ALERTS: settings.rate_alerts,
                Bucket.THREATS: settings.rate_alerts,
                Bucket.DELIVERIES: settings.rate_deliveries,
                Bucket.REPORTS: settings.rate_reports,
                Bucket.DEFAULT: settings.rate_default,
            }
        ),
        waits=Waits(settings.inbox_waits),
        doorman=Doorman(parts.db, secrets),
        document=document,
        public_url=settings.public_url,
        token_lifetime=timedelta(seconds=settings.token_seconds),
        security_contact=settings.security_contact,
    )
    is_secure = settings.public_url.startswith("https://")
    console = Console(
        db=parts.db,
        now=parts.now,
        doorman=desk.doorman,
        standings=standings,
        alerts=NotifierDesk(services),
        inbox=AgencyInbox(services),
        affairs=AgencyAffairs(services),
        failures=OperatorFailures(services),
        directory=desk.directory,
        traces=_traces(settings, parts),
        session_lifetime=timedelta(seconds=settings.session_seconds),
        is_secure=is_secure,
    )
    app = create_app(
        parts,
        title="Dabyl gateway",
        routers=(*console_routers, *routers),
        # Without the others alerts are taken all the same: a balancer must not send those away.
        checks={"intake": _ready(services, "intake")},
        named={service: _ready(services, service) for service in SERVICES if service != "intake"},
        state={"desk": desk, "console": console},
        max_body_bytes=MAX_BODY_BYTES,
    )
    app.add_middleware(Front, is_secure=is_secure, sources=Sources(settings.trusted_proxies))
    document.own = app.openapi
    # Ours describes all five services; the framework's would describe this one alone.
    app.router.routes[:] = [
        route
        for route in app.router.routes
        if getattr(route, "path", "") != "/openapi.json" or getattr(route, "name", "") != "openapi"
    ]

    async def make_registrar() -> None:
        if settings.bootstrap_file is not None:
            await ensure_registrar(
                parts.db,
                secrets,
                file=settings.bootstrap_file,
                token_url=f"{settings.public_url}/oauth/token",
                now=parts.now,
            )

    return Service(
        name="gateway",
        app=app,
        jobs=[
            Job("forget_expired", timedelta(hours=1), forgetting(parts.db, parts.now)),
            Job("look_at_agencies", timedelta(minutes=5), standings.look_at_all),
        ],
        prepare=[make_registrar],
        close=[services.close],
    )


def _issuer(settings: Settings, parts: Parts) -> Callable[[], Issuer]:
    @cache
    def issuer() -> Issuer:  # made at the first use
        return Issuer(
            parts.keys.signing("issuer"), url=settings.public_url, audience=settings.audience, now=parts.now
        )

    return issuer


class _OwnKeys:
    """The embedded issuer as a key source."""

    def __init__(self, issuer: Callable[[], Issuer]) -> None:
        self._issuer = issuer

    async def find_jwk(self, kid: str) -> dict[str, Any] | None:
        """Its one key, when it is asked for."""
        return self._issuer().jwk if kid == self._issuer().kid else None


def _trusted(settings: Settings, parts: Parts, issuer: Callable[[], Issuer]) -> list[Trusted]:
    trusted = []
    if settings.own_issuer:
        trusted.append(Trusted(settings.public_url, settings.audience, (ALGORITHM,), _OwnKeys(issuer)))
    if settings.external_issuer and settings.external_jwks_url:
        keys = RemoteKeys(settings.external_jwks_url, now=parts.now)
        trusted.append(
            Trusted(settings.external_issuer, settings.audience, settings.external_algorithms, keys)
        )
    return trusted


def _traces(settings: Settings, parts: Parts) -> RecentTraces | None:
    if settings.traces_url is None:
        return None
    is_jaeger = settings.traces_kind == "jaeger"
    store = JaegerTraces(settings.traces_url) if is_jaeger else LocalTraces(settings.traces_url)
    return RecentTraces(store, now=parts.now)


def _ready(services: HttpServices, service: Upstream) -> Check:
    async def check() -> bool:
        return await services.is_ready(service)

    return check

"""What an agency cannot see: the sockets of the services inside a running embedded house."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import psutil

from common.identity import Principal, ServiceTokens
from common.keys import KeyRing
from common.timing import utc_now

SERVICES = ("gateway", "intake", "notifier", "casework", "registry")


@dataclass(frozen=True)
class Inside:
    """Base URL by service."""

    urls: dict[str, str]
    keys: KeyRing

    @classmethod
    def of(cls, pid: int, home: Path) -> "Inside":
        """Find the services by asking every listening socket of the process who it is."""
        process = psutil.Process(pid)
        urls: dict[str, str] = {}
        for connection in process.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN:
                continue
            url = f"http://127.0.0.1:{connection.laddr.port}"
            with suppress(httpx.HTTPError, ValueError, KeyError):
                title = str(
                    httpx.get(f"{url}/openapi.json", timeout=30, trust_env=False).json()["info"]["title"]
                )
                name = title.removeprefix("Dabyl").strip().lower() or "gateway"
                urls[name] = url
        assert set(urls) >= set(SERVICES), urls
        return cls(urls, KeyRing(home / "keys"))

    def bearer(
        self,
        service: str,
        role: str,
        *,
        agency: UUID | None = None,
        bodies: tuple[str, ...] = (),
        territory: str | None = None,
    ) -> str:
        """An internal token as the gateway mints it; good for a minute."""
        principal = Principal(f"test:{role}", role, agency, bodies, territory)
        return ServiceTokens(self.keys, "gateway", utc_now).mint(service, principal)

    def metrics(self) -> dict[str, bytes]:
        """``/metrics`` of every service."""
        return {
            name: httpx.get(f"{url}/metrics", timeout=5, trust_env=False).content
            for name, url in self.urls.items()
            if name in SERVICES
        }


def settled(seconds: float = 1.5) -> None:
    """Let exporters flush: spans leave in batches twice a second, and nothing says when they have."""
    time.sleep(seconds)

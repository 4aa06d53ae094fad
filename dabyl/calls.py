"""The command's own way through the public surface: a small client with the bootstrap credentials."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

HOUSE_FILE = "house.json"
"""Where a running house says its address."""


class CallRefused(Exception):
    """The house answered with a problem."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('title', '')} {problem.get('detail', '')}".strip())
        self.status = status
        self.problem = problem


class HouseAway(OSError):
    """Nobody answers there."""


class Calls:
    """Synchronous calls as registrar, and as whoever a token was made for.

    Args:
        url: the gateway.
        home: ``DABYL_HOME``; holds ``bootstrap.json``, written by the gateway at its first start.
        patience: seconds without a byte after which nobody answers there; longer than the gateway waits.
    """

    def __init__(self, url: str, home: Path, *, patience: float = 35) -> None:
        self.url = url.rstrip("/")
        self._home = home
        self._http = httpx.Client(base_url=self.url, timeout=patience, trust_env=False)
        self._tokens: dict[str, tuple[float, str]] = {}

    def registrar(self) -> str:
        """A registrar's token from the bootstrap credentials."""
        held_until, token = self._tokens.get("registrar", (0.0, ""))
        if held_until < time.monotonic():
            credentials = json.loads((self._home / "bootstrap.json").read_text())
            form = {
                "grant_type": "client_credentials",
                "client_id": credentials["client_id"],
                "client_secret": credentials["client_secret"],
            }
            granted = self._send("POST", "/oauth/token", data=form)
            token = str(granted["access_token"])
            self._tokens["registrar"] = (time.monotonic() + granted["expires_in"] / 2, token)
        return token

    def token(self, *, agency: str | None = None, role: str | None = None, person: str | None = None) -> str:
        """An access token for an agency (code or id) or for a platform role; for one person of it."""
        name = f"{agency or role}/{person or ''}"
        held_until, token = self._tokens.get(name, (0.0, ""))
        if held_until < time.monotonic():
            asked = {"agency": agency} if agency else {"role": role}
            if person is not None:
                asked["person"] = person
            granted = self.post("/v1/tokens", asked, token=self.registrar())
            token = str(granted["access_token"])
            self._tokens[name] = (time.monotonic() + granted["expires_in"] / 2, token)
        return token

    def get(self, path: str, *, token: str, patience: float | None = None, **query: Any) -> Any:
        """GET; raises ``CallRefused`` on a problem."""
        given = {key: value for key, value in query.items() if value is not None}
        more = {} if patience is None else {"timeout": patience}
        return self._send("GET", path, params=given, headers=_bearer(token), **more)

    def every(self, path: str, *, token: str, **query: Any) -> Iterator[Any]:
        """The items of a list, page by page."""
        after: str | None = None
        while True:
            page = self.get(path, token=token, after=after, limit=200, **query)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def post(self, path: str, body: Any, *, token: str, headers: dict[str, str] | None = None) -> Any:
        """POST JSON; raises ``CallRefused`` on a problem."""
        return self._send("POST", path, json=body, headers={**_bearer(token), **(headers or {})})

    def is_ready(self) -> bool:
        """Whether ``/readyz`` answers 200."""
        try:
            return self._http.get("/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def _send(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise HouseAway(type(error).__name__) from error
        if answer.status_code >= 400:
            try:
                problem = answer.json()
            except ValueError:
                problem = {"title": "no answer that we can read"}
            raise CallRefused(answer.status_code, problem)
        return answer.json() if answer.content else None


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def home() -> Path:
    """Where the house on this machine keeps its things, and the command its credentials."""
    return Path(os.environ.get("DABYL_HOME", "./var")).resolve()


def calls_here() -> Calls:
    """Calls to the house that the environment names; otherwise to the one that runs here."""
    url = os.environ.get("DABYL_URL")
    if url is None and "PORT" not in os.environ and (home() / HOUSE_FILE).exists():
        url = json.loads((home() / HOUSE_FILE).read_text())["url"]
    return Calls(url or f"http://127.0.0.1:{os.environ.get('PORT', '8000')}", home())

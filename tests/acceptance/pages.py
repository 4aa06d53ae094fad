"""Reads the console as a person's browser would: signs in, follows links, hears the live parts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from dabyl.calls import Calls

_LINK = re.compile(r"""(?:href|src|action)=["'](/console[^"'#]*)""")
_MOST_PAGES = 120


@dataclass
class Visit:
    """A signed-in browser and every page it read, by address."""

    http: httpx.Client
    pages: dict[str, bytes] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """One page, whole: status line, headers and body."""
        answer = self.http.get(path, follow_redirects=True)
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        self.pages[path] = f"{answer.status_code} {answer.url}\n{head}\n\n".encode() + answer.content
        return self.pages[path]

    def hear(self, path: str, *, bytes_at_most: int = 200_000) -> bytes:
        """The first whole event of a live part."""
        heard = b""
        with self.http.stream("GET", path) as answer:
            for chunk in answer.iter_bytes():
                heard += chunk
                if (b"event: page" in heard and heard.endswith(b"\n\n")) or len(heard) > bytes_at_most:
                    break
        self.pages[path] = heard
        return heard

    def wander(self, start: str, *, avoid: str = "$^") -> None:
        """Read every page that can be reached by links, in the order in which they are met."""
        waiting = [start]
        while waiting and len(self.pages) < _MOST_PAGES:
            path = waiting.pop(0)
            if path in self.pages or re.search(avoid, path):
                continue
            waiting += [found.replace("&amp;", "&") for found in _LINK.findall(self.read(path).decode())]


@contextmanager
def visiting(calls: Calls, **whom: str) -> Iterator[Visit]:
    """A browser that signed in by a one-time link for an agency or a role."""
    code = calls.post("/v1/console-codes", whom, token=calls.registrar())["code"]
    with httpx.Client(base_url=calls.url, timeout=20, trust_env=False) as http:
        answer = http.get("/console/sign-in", params={"code": code}, follow_redirects=True)
        assert answer.status_code == 200, answer
        yield Visit(http)

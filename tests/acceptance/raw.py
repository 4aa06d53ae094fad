"""A client without manners: sends bytes as they are, as no library would."""

import select
import socket
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from urllib.parse import urlsplit

SECONDS = 20
Headers = Sequence[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back; ``status`` 0 when the connection was closed without a word."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def media_type(self) -> str:
        return self.header("content-type").split(";")[0].strip().lower()

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name), "")

    def everything(self) -> bytes:
        """Status, headers and body, to be searched."""
        head = "\n".join(f"{name}: {value}" for name, value in self.headers)
        # http.client reads header bytes as Latin-1; written back so, they are the bytes that came.
        return f"{self.status}\n".encode() + head.encode("latin-1", "replace") + b"\n\n" + self.body


def ask(
    url: str,
    method: str,
    target: str | bytes,
    *,
    headers: Headers = (),
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
) -> Answer:
    """One request on a connection of its own.

    Args:
        url: scheme, host and port.
        target: what stands between method and version, byte for byte.
        body: sent with its length, unless ``headers`` names one.
        chunks: sent chunked instead, until they end or the other side has answered.
    """
    address = urlsplit(url)
    named = {_bytes(name).lower() for name, _ in headers}
    lines = [_bytes(method) + b" " + _bytes(target) + b" HTTP/1.1"]
    if b"host" not in named:
        lines.append(f"Host: {address.netloc}".encode())
    lines += [_bytes(name) + b": " + _bytes(value) for name, value in headers]
    if body is not None and b"content-length" not in named and b"transfer-encoding" not in named:
        lines.append(b"Content-Length: %d" % len(body))
    if chunks is not None:
        lines.append(b"Transfer-Encoding: chunked")
    lines.append(b"Connection: close")
    with socket.create_connection((address.hostname, address.port), timeout=SECONDS) as connection:
        # The other side may refuse and close while we still talk: what it said counts all the same.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))
            for chunk in chunks or ():
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
            else:
                if chunks is not None:
                    connection.sendall(b"0\r\n\r\n")
        return _read(connection, method)


def _read(connection: socket.socket, method: str) -> Answer:
    with closing(HTTPResponse(connection, method=method.upper())) as answer:
        try:
            answer.begin()
            body = answer.read()
        except (HTTPException, ConnectionResetError):
            return Answer(0, (), b"")
        return Answer(answer.status, tuple(answer.getheaders()), body)


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value

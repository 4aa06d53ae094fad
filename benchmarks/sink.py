"""Where every contestant's notices go: nginx that answers 200 and writes one line a notice.

Not installed: a sink of our own on httptools, slower, the same for all.
"""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httptools

from tests.parts.process import free_ports, listening, wait_until

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_body_buffer_size 64k;
  keepalive_timeout 600; keepalive_requests 100000000;
  log_format notice '$msec $http_webhook_id $uri';
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location /bare {{ return 200; }}
    location / {{ access_log {folder}/notices.log notice buffer=32k flush=100ms; return 200; }}
  }}
}}
"""


class Sink:
    """Starts it, reads what it wrote down."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # nginx's worker gives up root
        self._log = folder / "notices.log"
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._read = 0
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        self.kind = "nginx" if nginx else "own"
        if nginx:
            config = folder / "nginx.conf"
            config.write_text(_NGINX.format(folder=folder, port=self.port))
            command = [nginx, "-p", str(folder), "-c", str(config)]
        else:
            command = [sys.executable, "-m", "benchmarks.sink", str(self.port), str(self._log)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(lambda: listening(self.port), within=10, or_else=lambda: "the sink did not start")

    @property
    def pid(self) -> int:
        return self._process.pid

    def fresh(self) -> list[tuple[float, str, str]]:
        """Notices since the last look: when (epoch seconds), webhook-id, path."""
        if not self._log.exists():
            return []
        with self._log.open("rb") as log:
            log.seek(self._read)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = (line.split(" ", 2) for line in whole.decode().splitlines())
        return [(float(at), notice, path) for at, notice, path in lines]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)


class _Own(asyncio.Protocol):
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._new()

    def _new(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._notice, self._path = "-", ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self._notice = value.decode()

    def on_message_complete(self) -> None:
        if self._path != "/bare":
            self._lines.append(f"{time.time():.3f} {self._notice} {self._path}\n")
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self._new()


async def _serve_own(port: int, log: Path) -> None:
    lines: list[str] = []
    await asyncio.get_running_loop().create_server(lambda: _Own(lines), "127.0.0.1", port, backlog=4096)
    with log.open("a") as stream:
        while True:
            await asyncio.sleep(0.1)
            stream.writelines(lines)
            lines.clear()
            stream.flush()


class Mute(asyncio.Protocol):
    """Accepts, reads, and never answers; keeps when each notice was first heard (seconds since 1970)."""

    def __init__(self, heard: dict[str, float]) -> None:
        self._heard = heard

    def data_received(self, data: bytes) -> None:
        if named := re.search(rb"(?im)^webhook-id: *([0-9a-f-]{36})", data):
            self._heard.setdefault(named[1].decode(), time.time())


async def hang(port: int, heard: dict[str, float] | None = None) -> asyncio.Server:
    """A server that accepts, reads, and never answers; ``heard`` takes what it was told, and when."""
    kept = {} if heard is None else heard
    return await asyncio.get_running_loop().create_server(lambda: Mute(kept), "127.0.0.1", port, backlog=4096)


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve_own(int(sys.argv[1]), Path(sys.argv[2])))

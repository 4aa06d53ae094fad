"""The proxy spoils what it is told to spoil: else a green fault suite means nothing."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.faults.proxy import CALM, Mode, Proxy, Weather


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """In front of a server that answers each connection's bytes with the same bytes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def echo(connection: socket.socket) -> None:
        with closing(connection):
            try:
                while piece := connection.recv(4096):
                    connection.sendall(piece)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    proxy = Proxy(listening.getsockname()[1]).start()
    yield proxy
    proxy.stop()
    listening.close()


def ask(proxy: Proxy, *, size: int = 10, wait: float = 5.0) -> bytes:
    """Send so many bytes and read until the end, or as many as were sent."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=wait) as connection:
        connection.sendall(b"x" * size)
        got = b""
        while len(got) < size:
            piece = connection.recv(4096)
            if not piece:
                break
            got += piece
        return got


def test_calm_weather_changes_nothing(proxy: Proxy) -> None:
    assert ask(proxy, size=200_000) == b"x" * 200_000


def test_delay_and_drip_take_their_time(proxy: Proxy) -> None:
    for weather, least in ((Weather(Mode.DELAY, 0.2), 0.4), (Weather(Mode.DRIP, 0.1, 3), 0.3)):
        with proxy.under(weather):
            began = time.monotonic()
            assert ask(proxy) == b"x" * 10
            assert time.monotonic() - began >= least


def test_a_cut_comes_after_so_many_bytes(proxy: Proxy) -> None:
    with proxy.under(Weather(Mode.CUT, size=4)), socket.create_connection(("127.0.0.1", proxy.port)) as one:
        one.sendall(b"x" * 10)
        got = b""
        with pytest.raises(ConnectionResetError):
            while piece := one.recv(4096):
                got += piece
        assert got in (b"xxxx", b"")  # a reset may overtake what was on its way


def test_reset_and_refuse_end_standing_connections_and_new_ones(proxy: Proxy) -> None:
    for mode in (Mode.RESET, Mode.REFUSE):
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as standing:
            standing.sendall(b"x")
            assert standing.recv(1) == b"x"
            with proxy.under(Weather(mode)):
                with pytest.raises(ConnectionResetError):
                    standing.recv(1)
                with pytest.raises(OSError):  # noqa: PT011 - refused, reset, or reset while connecting
                    assert ask(proxy)
                    raise OSError("the end came without an answer")
        assert ask(proxy) == b"x" * 10


def test_a_black_hole_takes_connections_and_gives_nothing_until_it_is_gone(proxy: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.5) as standing:
        standing.sendall(b"x")
        assert standing.recv(1) == b"x"
        proxy.turn(Weather(Mode.BLACK_HOLE))
        standing.sendall(b"y")
        with pytest.raises(TimeoutError):
            standing.recv(1)
        with pytest.raises(TimeoutError):
            ask(proxy, wait=0.5)
        proxy.turn(CALM)
        assert standing.recv(1) == b"y"

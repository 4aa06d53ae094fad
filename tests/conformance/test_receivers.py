"""``dabyl conform``: the receivers of the how-to pass; each wrong one is told what is wrong, by name."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web
from joserfc import jws
from joserfc.jwk import OKPKey

from dabyl.conform.door import Door
from dabyl.conform.kit import CONNECTED, Kit, make_kit, read_kit, write_kit
from dabyl.conform.report import Language, document, is_right, lines, words
from dabyl.conform.trial import CHECKS, Finding, Trial
from tests.parts.packages import ensure_node
from tests.parts.process import free_ports, listening, wait_until

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
LANGUAGES: tuple[Language, ...] = ("kk", "ru", "en")


class Wrong:
    """A receiver with one mistake; without any it is right."""

    def __init__(self, kit: Kit, gateway: str, mistake: str) -> None:
        self.kit, self.gateway, self.mistake = kit, gateway, mistake
        self.known: set[str] = set()
        self.is_down = False
        self.work: set[asyncio.Task[None]] = set()

    # Every mistake is a branch of its own: that is what this class is.
    async def take(self, request: web.Request) -> web.Response:  # noqa: C901, PLR0911, PLR0912  # see above
        body = b""
        if self.is_down:
            return web.Response(status=503)
        self.is_down = self.mistake == "broken_off"  # until all of it is there
        async for part in request.content.iter_any():
            body += part
            if len(body) > 16_384 and self.mistake != "huge_body":
                return web.Response(status=413)
        self.is_down = False
        if self.mistake == "huge_body" and len(body) > 500_000:
            raise MemoryError
        if self.mistake == "garbage":
            body.decode("utf-8")
        if not self.is_ours(request, body):
            return web.Response(status=401)
        if self.mistake == "redirect":
            return web.Response(status=307, headers={"Location": "/dabyl"})
        if self.mistake == "answers":
            return web.Response(status=500)
        if self.mistake == "in_time":
            await asyncio.sleep(2.3)
        try:
            notice = json.loads(body)
        except ValueError:
            return web.Response(status=500 if self.mistake == "unreadable" else 400)
        if self.mistake == "unknown_field" and "later" in notice:
            return web.Response(status=422)
        delivery = request.headers["webhook-id"]
        if delivery in self.known and self.mistake == "duplicate":
            return web.Response(status=409)
        if delivery not in self.known or self.mistake == "one_effect":
            self.known.add(delivery)
            work = asyncio.create_task(self.answer(notice, body))
            if self.mistake == "answers_first":
                await work
            self.work.add(work)
        return web.Response()

    def is_ours(self, request: web.Request, body: bytes) -> bool:
        given = request.headers.get("webhook-signature")
        if given is None:
            return self.mistake == "no_signature"
        stamp, now = int(request.headers["webhook-timestamp"]), datetime.now(UTC).timestamp()
        if stamp < now - 300 and self.mistake != "old_timestamp":
            return False
        if stamp > now + 300 and self.mistake != "future_timestamp":
            return False
        if self.mistake == "altered_body":
            return b"urgent" in body or self.fits(request, given, body)
        if self.mistake == "wrong_signature":
            return True
        if self.mistake == "rotation":
            given = given.split(" ")[0]
        return self.fits(request, given, body)

    def fits(self, request: web.Request, given: str, body: bytes) -> bool:
        id_ = request.headers["webhook-id"]
        if self.mistake == "other_id" and body.startswith(b'{"delivery"'):
            id_ = json.loads(body)["delivery"]
        content = f"{id_}.{request.headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.digest(self.kit.symmetric, content, "sha256")).decode()
        return f"v1,{right}" in given.split(" ")

    async def answer(self, notice: dict[str, Any], body: bytes) -> None:
        if notice["test"] and self.mistake == "test_answered":
            return
        async with aiohttp.ClientSession() as http:
            form = {
                "grant_type": "client_credentials",
                "client_id": self.kit.connected["client_id"],
                "client_secret": "guessed"
                if self.mistake == "token"
                else self.kit.connected["client_secret"],
            }
            async with http.post(f"{self.gateway}/oauth/token", data=form) as answer:
                if answer.status != 200:
                    return
                bearer = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
            grant = {} if self.mistake == "content" else {"Dabyl-Grant": notice["content"]["grant"]}
            url = notice["content"]["url"]
            is_above = self.mistake != "no_content" and not {"silent", "breached"}.isdisjoint(notice)
            while not is_above and not notice["test"]:
                async with http.get(url, headers={**bearer, **grant}) as answer:
                    await answer.read()
                if answer.status == 200 or self.mistake in ("content", "receipt_later"):
                    break
                await asyncio.sleep(0.05)
            if self.mistake == "receipt":
                return
            told = json.dumps(notice).encode() if self.mistake == "receipt_digest" else body
            receipt = {
                "delivery": notice["delivery"],
                "notice_digest": hashlib.sha256(told).hexdigest(),
                "status": "taken" if self.mistake == "receipt_shape" else "received",
                "person": {"name": "Кезекші", "position": "кезекші"},
                "at": datetime.now(UTC).isoformat(),
            }
            key = (
                OKPKey.generate_key("Ed25519")
                if self.mistake == "receipt_signature"
                else self.kit.receipt_key
            )
            signed = jws.serialize_compact(
                {"alg": "Ed25519"}, json.dumps(receipt), key, algorithms=["Ed25519"]
            )
            headers = {**bearer, "Content-Type": "application/jose"}
            for _ in range(1 if self.mistake == "receipt_again" else 20):
                async with http.post(notice["receipt"]["url"], data=signed, headers=headers) as answer:
                    if answer.status < 500 and (answer.status, self.mistake) != (409, "other_answer"):
                        return
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def on_trial(mistake: str) -> AsyncIterator[Trial]:
    kit = make_kit("")
    door = Door(kit, 0)
    await door.open()
    receiver = Wrong(kit, door.url, mistake)
    app = web.Application(client_max_size=2_000_000)
    app.router.add_post("/dabyl", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Trial(f"http://127.0.0.1:{runner.addresses[0][1]}/dabyl", kit, door, patience=1.0)
    finally:
        for work in receiver.work:
            work.cancel()
        await asyncio.gather(*receiver.work, return_exceptions=True)
        await runner.cleanup()
        await door.close()


async def test_a_right_receiver_passes_everything() -> None:
    async with on_trial("none") as trial:
        findings = await trial.run()
    assert [finding.name for finding in findings] == list(CHECKS)
    assert is_right(findings), [finding for finding in findings if not finding.passed]


@pytest.mark.parametrize("mistake", CHECKS)
async def test_a_mistake_is_reported_by_its_name(mistake: str) -> None:
    async with on_trial(mistake) as trial:
        findings = await trial.run()
    assert mistake in {finding.name for finding in findings if finding.passed is False}
    assert not is_right(findings)
    for language in LANGUAGES:
        text = "\n".join(lines(findings, language))
        about = words()["checks"][mistake][language]
        assert f"✗  {mistake}: {about['title']}" in text
        assert about["expected"] in text


async def test_nobody_there_is_said_so() -> None:
    kit = make_kit("")
    door = Door(kit, 0)
    await door.open()
    [port] = free_ports(1)
    findings = await Trial(f"http://127.0.0.1:{port}/dabyl", kit, door, patience=0.2).run()
    await door.close()
    assert findings[1] == Finding("answers", passed=False, got="no connection")
    assert all(finding.passed is None for finding in findings if finding.name != "answers")


def test_every_check_has_its_sentences_and_leads_to_a_page() -> None:
    assert set(words()["checks"]) == set(CHECKS)
    page = (HOW_TO / "connect-an-agency.md").read_text("utf-8")
    for about in words()["checks"].values():
        assert set(about) == {"read", *LANGUAGES}
        assert all(set(about[language]) == {"title", "sent", "expected"} for language in LANGUAGES)
        title = about["read"].lstrip("0123456789-").replace("-", " ")
        assert f" {title}\n" in page.lower()
    said = words()["said"]
    assert set(said["kk"]) == set(said["ru"]) == set(said["en"])


def test_the_findings_are_told_to_machines_too() -> None:
    told = document([Finding("answers", passed=True), Finding("rotation", passed=False, got="401")], "ru")
    assert (told["right"], told["passed"], told["failed"], told["untried"]) == (False, 1, 1, 0)
    assert [check["name"] for check in told["checks"]] == ["answers", "rotation"]
    assert json.loads(json.dumps(told)) == told


# --- the receivers of the how-to, as an agency's developer would start them, and the command itself


QUICK = {**os.environ, "PAUSES": "0.05,0.1"}
"""The receivers' ladder, so short that a test sees them beyond its end."""


@contextlib.contextmanager
def started(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        running = subprocess.Popen(command, stdout=out, stderr=out, env=QUICK)
    try:
        wait_until(lambda: listening(port), within=20, or_else=lambda: log.read_text("utf-8"))
        yield
    finally:
        running.terminate()
        running.wait(10)


def conform(url: str, folder: Path, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "dabyl",
        "conform",
        url,
        "--kit",
        str(folder),
        "--port",
        str(port),
        *more,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize("language", ["python", "node"])
def test_the_receivers_of_the_how_to_conform(language: str, tmp_path: Path) -> None:
    program = (
        [sys.executable, "receiver.py"] if language == "python" else [str(ensure_node()), "receiver.mjs"]
    )
    port, door = free_ports(2)
    url, folder = f"http://127.0.0.1:{port}/dabyl", tmp_path / "kit"
    first = conform(url, folder, door, "--lang", "kk")
    assert (first.returncode, first.stdout) == (2, "")
    assert str(door) in first.stderr
    connected = folder / CONNECTED
    assert connected.stat().st_mode & 0o077 == 0
    command = [program[0], str(HOW_TO / program[1]), str(connected), f"http://127.0.0.1:{door}", str(port)]
    with started(command, port, tmp_path / "log"):
        done = conform(url, folder, door, "--json", "--away", "9")
        assert done.returncode == 0, done.stdout + (tmp_path / "log").read_text("utf-8")
        assert json.loads(done.stdout)["right"]
        if language == "node":  # it knows both schemes
            assert conform(url, folder, door, "--scheme", "v1a").returncode == 0


def test_the_node_receiver_is_short_and_needs_no_package() -> None:
    text = (HOW_TO / "receiver.mjs").read_text("utf-8")
    assert len(text.splitlines()) <= 60
    assert all("node:" in line for line in text.splitlines() if line.startswith("import"))


@contextlib.contextmanager
def receiving(language: str, folder: Path, gateway: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    program = [str(ensure_node()), "receiver.mjs"] if language == "node" else [sys.executable, "receiver.py"]
    command = [program[0], str(HOW_TO / program[1]), str(folder / CONNECTED), gateway, str(port)]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=QUICK)
    try:
        wait_until(lambda: listening(port), within=20, or_else=lambda: f"{language} did not start")
        yield running
    finally:
        running.kill()  # the hard way, always: nothing may depend on an orderly end
        running.wait(10)


@pytest.mark.parametrize("language", ["python", "node"])
def test_a_receiver_answers_after_a_crash_what_it_had_taken(language: str, tmp_path: Path) -> None:
    """Ended with kill -9 between its 200 and its receipt: the receipt comes from the next start.

    Before, its disk is full in the middle of an entry: what it could not store it has not taken.
    """
    port, door_port = free_ports(2)
    gateway = f"http://127.0.0.1:{door_port}"
    kit = make_kit(gateway)
    write_kit(tmp_path, kit)
    assert read_kit(tmp_path) == kit
    journal = tmp_path / f"{CONNECTED}.journal"

    async def crash() -> tuple[list[int | None], bool, bool]:
        door = Door(kit, door_port)
        trial = Trial(f"http://127.0.0.1:{port}/dabyl", kit, door)
        first, second = trial._expect(), trial._expect()
        answers = []
        async with httpx.AsyncClient() as trial._http:
            with receiving(language, tmp_path, gateway, port) as running:  # nobody at our doors
                _, hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (journal.stat().st_size + 100, hard))
                answers.append((await trial._send(first[0])).status)
                assert journal.stat().st_size == 100  # torn
                resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (hard, hard))
                answers += [(await trial._send(sent)).status for sent in (first[0], second[0])]
            await door.open()
            with receiving(language, tmp_path, gateway, port):
                came = await door.wait(lambda: bool(first[1].receipts and second[1].receipts), 15)
                # What was answered before the next crash is not begun anew after it.
                await asyncio.to_thread(
                    wait_until,
                    lambda: journal.read_text().count(" done ") == 2,
                    within=10,
                    or_else=lambda: "what was answered is not noted",
                )
            seen = first[1].opened + second[1].opened
            with receiving(language, tmp_path, gateway, port):
                answers.append((await trial._send(first[0])).status)
                again = await door.wait(lambda: first[1].opened + second[1].opened > seen, 1)
        await door.close()
        return answers, came, again

    assert asyncio.run(crash()) == ([500, 200, 200, 200], True, False)


@pytest.mark.parametrize("language", ["python", "node"])
def test_an_entry_that_a_power_cut_tore_swallows_no_other(language: str, tmp_path: Path) -> None:
    port, door_port = free_ports(2)
    gateway = f"http://127.0.0.1:{door_port}"
    kit = make_kit(gateway)
    write_kit(tmp_path, kit)
    journal = tmp_path / f"{CONNECTED}.journal"

    async def tear() -> bool:
        door = Door(kit, door_port)
        trial = Trial(f"http://127.0.0.1:{port}/dabyl", kit, door)
        (torn, again), (kept, expected) = trial._expect(), trial._expect()
        journal.write_text(f"{torn.id} {base64.b64encode(torn.body).decode()[:50]}")
        async with httpx.AsyncClient() as trial._http:
            with receiving(language, tmp_path, gateway, port):
                assert (await trial._send(kept)).is_taken
                assert (await trial._send(torn)).is_taken  # nobody got a 200 for it: it comes again
            await door.open()
            with receiving(language, tmp_path, gateway, port):
                came = await door.wait(lambda: bool(expected.receipts and again.receipts), 15)
        await door.close()
        return came

    assert asyncio.run(tear())

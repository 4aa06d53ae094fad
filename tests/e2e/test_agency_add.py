"""``dabyl agency add`` for every kind, at a terminal: a house in its own process, real counterparts."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.acceptance.embedded import ROOT, EmbeddedHouse
from tests.acceptance.raw import ask
from tests.acceptance.recording import Recorder, recording
from tests.conftest import REAL
from tests.parts.process import free_ports

pytestmark = pytest.mark.timeout(240)

SECRET = "hunter2-never-printed"


class Mailbox:
    """Keeps what a real SMTP server took."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], Message]] = []

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.mails.append((list(envelope.rcpt_tos), message_from_bytes(envelope.original_content or b"")))
        return "250 kept"


@pytest.fixture(scope="module")
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box, [port] = Mailbox(), free_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drop")


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory, mailbox: tuple[Mailbox, int], drop: Path
) -> Iterator[EmbeddedHouse]:
    environment = pytest.MonkeyPatch()
    environment.setenv("NOTIFIER_SMTP_HOST", "127.0.0.1")
    environment.setenv("NOTIFIER_SMTP_PORT", str(mailbox[1]))
    environment.setenv("NOTIFIER_SMTP_TLS", "none")
    environment.setenv("NOTIFIER_DROP_FOLDER", str(drop))
    running = EmbeddedHouse(tmp_path_factory.mktemp("agencies") / "var", simulators=False)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        environment.undo()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


def add(house: EmbeddedHouse, region: str, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    whose = ("--role", "internal_affairs", "--territory", region)
    return _dabyl(house, "agency", "add", *whose, *words, typed=typed)


def _dabyl(house: EmbeddedHouse, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(one) for one in (ROOT, ROOT / "libs", ROOT / "services"))
    environment = {**os.environ, "PYTHONPATH": path, "DABYL_URL": house.url, "DABYL_HOME": str(house.home)}
    return subprocess.run(
        [sys.executable, "-m", "dabyl", *words],
        env=environment, input=typed, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def added(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def ways(house: EmbeddedHouse, agency: str) -> list[tuple[str, int]]:
    calls = house.calls()
    page = calls.get("/v1/endpoints", token=calls.registrar(), agency=agency)
    return [(one["kind"], one["rung"]) for one in page["items"]]


def test_a_webhook_gets_a_signed_test_notice(house: EmbeddedHouse, receiver: Recorder) -> None:
    done = add(house, "KZ-10", "--url", f"{receiver.url}/police")
    given = added(done)
    assert (given["kind"], given["rung"]) == ("webhook", 0)
    assert given["webhook_secret"].startswith("whsec_")
    assert given["client_secret"]
    assert given["test"]["outcome"] == "accepted"
    assert "test notice: accepted" in done.stderr
    assert given["client_secret"] not in done.stderr


def test_a_body_that_pulls_gets_credentials_and_no_endpoint(house: EmbeddedHouse) -> None:
    given = added(add(house, "KZ-11", "--kind", "inbox"))
    assert (given["kind"], given["endpoint_id"], given["test"]) == ("inbox", None, None)
    assert given["client_secret"]
    assert ways(house, given["agency_id"]) == []


def test_mail_says_that_something_waits(house: EmbeddedHouse, mailbox: tuple[Mailbox, int]) -> None:
    done = add(house, "KZ-15", "--kind", "smtp", "--url", "mailto:duty@police.example")
    given = added(done)
    assert given["test"]["outcome"] == "accepted"
    assert given["webhook_secret"] is None
    assert given["receipt_key"] is None, "people answer in the console, and sign nothing"
    assert [to for to, _ in mailbox[0].mails] == [["duty@police.example"]]
    assert "in the console" in done.stderr
    assert "duty@police.example" not in done.stderr


def test_a_folder_gets_the_test_notice_as_a_file(house: EmbeddedHouse, drop: Path) -> None:
    (drop / "police").mkdir()
    given = added(add(house, "KZ-19", "--kind", "file", "--url", "folder:police"))
    assert given["test"]["outcome"] == "accepted"
    assert given["receipt_key"]["d"], "a system reads it, and signs its receipts"
    [file] = [one for one in (drop / "police").rglob("*") if one.is_file()]
    assert json.loads(file.read_text())["test"] is True


@pytest.mark.real
async def test_a_queue_of_their_own_gets_it_and_its_password_is_nowhere(
    house: EmbeddedHouse, broker_url: str
) -> None:
    connection = await aio_pika.connect(broker_url)
    async with connection:
        queue = await (await connection.channel()).declare_queue("notices", durable=True)
        done = add(house, "KZ-23", "--kind", "amqp", "--url", "-", typed=f"{broker_url}?queue=notices\n")
        given = added(done)
        assert given["test"]["outcome"] == "accepted"
        message = await queue.get(timeout=10)
        assert json.loads(message.body)["test"] is True
        await message.ack()
    password = broker_url.split(":")[2].split("@", maxsplit=1)[0]
    assert password not in done.stdout + done.stderr


def test_a_duty_phone_is_the_third_rung_and_says_what_this_house_lacks(house: EmbeddedHouse) -> None:
    first = added(add(house, "KZ-27", "--kind", "inbox"))
    done = add(house, "KZ-27", "--kind", "voice", "--url", "tel:+77010000000", "--no-client")
    given = added(done)
    assert given["agency_id"] == first["agency_id"]
    assert given["client_secret"] == ""
    assert ways(house, given["agency_id"]) == [("voice", 2)]
    assert given["test"]["outcome"] == "no_adapter"
    assert "NOTIFIER_VOICE_URL" in done.stderr


@pytest.mark.real
async def test_the_lane_of_a_new_endpoint_is_made_by_the_command_that_asks_the_house(
    house: EmbeddedHouse, broker_url: str
) -> None:
    given = added(add(house, "KZ-35", "--kind", "file", "--url", "folder:elsewhere", "--no-test"))
    gone = added(add(house, "KZ-39", "--kind", "file", "--url", "folder:closed", "--no-test"))
    calls = house.calls()
    bearer = (("Authorization", f"Bearer {calls.registrar()}"),)
    answer = ask(house.url, "DELETE", f"/v1/endpoints/{gone['endpoint_id']}", headers=bearer)
    assert answer.status == 204

    def topology(word: str) -> subprocess.CompletedProcess[str]:
        return _dabyl(house, "topology", word, "--bus", broker_url, "--api", str(REAL.rabbit().api))

    made = await asyncio.to_thread(topology, "apply")
    assert made.returncode == 0, made.stderr
    assert f"made: queue dlv.lane.{given['endpoint_id']}\n" in made.stdout
    assert gone["endpoint_id"] not in made.stdout
    connection = await aio_pika.connect(broker_url)
    async with connection:
        await (await connection.channel()).queue_delete(f"dlv.lane.{given['endpoint_id']}")
    missing = await asyncio.to_thread(topology, "check")
    assert missing.returncode == 1
    assert f"queue dlv.lane.{given['endpoint_id']}: missing" in missing.stdout


@pytest.mark.parametrize(
    ("kind", "url", "form"),
    [
        ("webhook", "mailto:duty@police.example", "https://host/path"),
        ("smtp", f"duty-{SECRET}@police.example", "mailto:"),
        ("sms", "tel:8701", "tel:+7"),
        ("voice", "https://voice.example/", "tel:+7"),
        ("amqp", f"amqp://u:{SECRET}@broker.example/v?queue=q", "amqps://"),
        ("file", "folder:../../etc", "folder:name"),
    ],
)
def test_an_address_of_another_form_is_refused_with_the_right_one_and_leaves_nothing(
    house: EmbeddedHouse, kind: str, url: str, form: str
) -> None:
    done = add(house, "KZ-31", "--kind", kind, "--url", url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Refused: 422" in done.stderr
    assert form in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr
    assert ways(house, "internal-affairs-kz-31") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kind", "pigeon", "--url", "x:y"], "webhook"),
        (["--kind", "smtp"], "mailto:"),
        (["--kind", "inbox", "--url", "https://police.example/"], "pulls"),
        (["--kind", "sms", "--url", "tel:+77010000000", "--rung", "3"], "rung"),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_asked(
    house: EmbeddedHouse, words: list[str], said: str
) -> None:
    done = add(house, "KZ-31", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""

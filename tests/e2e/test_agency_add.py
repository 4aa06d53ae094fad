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

from dabyl.casting import cast
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


def endpoints(house: EmbeddedHouse, agency: str) -> list[dict[str, Any]]:
    calls = house.calls()
    return list(calls.every("/v1/endpoints", token=calls.registrar(), agency=agency))


def ways(house: EmbeddedHouse, agency: str) -> list[tuple[str, int]]:
    return [(one["kind"], one["rung"]) for one in endpoints(house, agency)]


def register(house: EmbeddedHouse, code: str, name: str, role: str, territory: str) -> None:
    calls = house.calls()
    names = {"kk": name, "ru": name, "en": name}
    body = {"code": code, "name": names, "mandates": [{"role": role, "territory": territory}]}
    calls.post("/v1/agencies", body, token=calls.registrar())


def is_registered(house: EmbeddedHouse, code: str) -> bool:
    calls = house.calls()
    return bool(calls.get("/v1/agencies", token=calls.registrar(), code=code)["items"])


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


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


def test_a_rung_that_is_taken_is_not_given_twice(house: EmbeddedHouse, drop: Path) -> None:
    (drop / "first").mkdir()
    (drop / "moved").mkdir()
    first = added(add(house, "KZ-43", "--kind", "file", "--url", "folder:first", "--no-test"))
    second = ("--kind", "smtp", "--url", "mailto:duty@police.example")
    said = refused(add(house, "KZ-43", *second))
    assert {"--replace", first["endpoint_id"]} <= set(said.replace(")", " ").replace(",", " ").split())
    assert "--rung 1" in said
    assert "folder:first" not in said
    assert ways(house, first["agency_id"]) == [("file", 0)]
    added(add(house, "KZ-43", *second, "--rung", "1", "--no-client"))
    assert "--rung 2" in refused(add(house, "KZ-43", "--kind", "file", "--url", "folder:moved"))
    moved = added(add(house, "KZ-43", "--kind", "file", "--url", "folder:moved", "--replace"))
    assert moved["endpoint_id"] == first["endpoint_id"]
    assert moved["test"]["outcome"] == "accepted"
    assert [one for one in (drop / "moved").rglob("*") if one.is_file()]
    in_force = [one for one in endpoints(house, first["agency_id"]) if one["rung"] == 0]
    assert [(one["url"], one["version"]) for one in in_force] == [("folder:moved", 2)]


def test_nothing_is_replaced_where_nothing_is(house: EmbeddedHouse) -> None:
    webhook = ("--url", "https://police.example/dabyl", "--replace")
    assert "rung 0" in refused(add(house, "KZ-47", *webhook))
    assert ways(house, "internal-affairs-kz-47") == []
    whose = (
        "--role",
        "education_org",
        "--territory",
        "KZ-47",
        "--code",
        "school-9-kz-47",
        "--name",
        "School 9",
    )
    assert "school-9-kz-47" in refused(_dabyl(house, "agency", "add", *whose, *webhook))
    assert not is_registered(house, "school-9-kz-47")


def test_of_two_ways_on_a_rung_none_is_chosen_to_be_replaced(house: EmbeddedHouse) -> None:
    calls = house.calls()
    two = [
        calls.post(
            "/v1/endpoints",
            {"agency": "internal-affairs-kz-55", "url": f"https://police.example/{number}"},
            token=calls.registrar(),
        )["id"]
        for number in (1, 2)
    ]
    said = refused(add(house, "KZ-55", "--url", "https://police.example/3", "--replace"))
    assert all(one in said for one in two)


def test_simulated_agencies_that_move_leave_no_way_behind(house: EmbeddedHouse, tmp_path: Path) -> None:
    before = cast(house.calls(), tmp_path)
    (tmp_path / "simulators.json").unlink()  # another house address, or their port is taken
    after = cast(house.calls(), tmp_path)
    assert [one.endpoint_id for one in after.members] == [one.endpoint_id for one in before.members]
    for member in after.members:
        assert len(endpoints(house, member.agency_id)) == (0 if member.behaviour == "pull" else 1)


def test_of_two_schools_none_is_taken_for_the_other(house: EmbeddedHouse) -> None:
    here = ("--role", "education_org", "--territory", "KZ-59")
    register(house, "school-7-kz-59", "School 7", "education_org", "KZ-59")
    said = refused(_dabyl(house, "agency", "add", *here))
    assert "school-7-kz-59" in said
    assert "education-org-kz-59" in said
    new = ("--code", "school-12-kz-59", "--name", "School 12")
    assert added(_dabyl(house, "agency", "add", *here, *new))["code"] == "school-12-kz-59"
    named = added(_dabyl(house, "agency", "add", *here, "--code", "school-7-kz-59"))
    assert named["code"] == "school-7-kz-59"


def test_who_acts_for_a_body_that_is_missing_is_another_body(house: EmbeddedHouse) -> None:
    whose = ("--role", "child_rights_authority", "--territory", "KZ-61")
    assert "child-rights-authority-kz" in refused(_dabyl(house, "agency", "add", *whose))
    said = refused(_dabyl(house, "agency", "add", *whose, "--code", "child-rights-authority-kz"))
    assert "child_rights_authority in KZ" in said


def test_a_name_needs_a_code_and_a_code_is_nobody_elses(house: EmbeddedHouse) -> None:
    here = ("--role", "education_org", "--territory", "KZ-62")
    assert "--code" in refused(_dabyl(house, "agency", "add", *here, "--name", "School 12"))
    assert "--name" in refused(_dabyl(house, "agency", "add", *here, "--code", "school-3-kz-62"))
    register(house, "school-3", "School 3", "education_org", "KZ-63")
    whose = ("--code", "school-3", "--name", "School 3")
    assert "education_org in KZ-63" in refused(_dabyl(house, "agency", "add", *here, *whose))
    there = ("--role", "education_org", "--territory", "KZ-63", "--code", "school-3")
    assert "School 3" in refused(_dabyl(house, "agency", "add", *there, "--name", "School 4"))
    assert added(_dabyl(house, "agency", "add", *there, "--name", "School 3"))["code"] == "school-3"


def test_a_kato_code_is_its_region(house: EmbeddedHouse) -> None:
    given = added(add(house, "710000000", "--kind", "inbox"))
    assert given["code"] == "internal-affairs-kz-71"


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

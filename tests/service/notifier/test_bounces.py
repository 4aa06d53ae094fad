"""Mail: handed over once, and taken back when it bounces (F27)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from common.telemetry import Telemetry
from common.testing import FrozenNow
from common.timing import utc_now
from notifier.adapters.bounces import Maildir
from notifier.adapters.certificate import Certificate
from notifier.adapters.channels import Channels
from notifier.adapters.smtp import delivery_of, return_path
from notifier.jobs import reading_bounces, watching_certificate
from notifier.models import audit, obligations
from tests.conformance.counterparts import KEY, MailSide, certificate
from tests.factories.notifier import Ledger, eventually, working
from tests.service.notifier.test_delivery import POLICE, alert, rows, to_police, tries

DSN = """\
From: MAILER-DAEMON@relay.example
To: {to}
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

No such user.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; kezekshi@police.example
Action: {action}
Status: {status}

--b--
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    for name in ("new", "cur", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
    return tmp_path / "box"


def put(box: Path, to: str, *, action: str = "failed", status: str = "5.1.1") -> None:
    (box / "new" / f"{uuid4()}").write_text(DSN.format(to=to, action=action, status=status))


@asynccontextmanager
async def mailed(live: Ledger, telemetry: Telemetry, folder: Path) -> AsyncIterator[tuple[MailSide, Any]]:
    """An alert whose police are told by mail; the relay has taken it."""
    side = MailSide(folder)
    async with side.running(), working(live, telemetry, Channels({"smtp": side.channel})):
        await live.connect(POLICE, side.address, kind="smtp")
        await live.take(alert(live))

        async def transmitted() -> Any:
            delivery = await to_police(live)
            return delivery if delivery.state == "transmitted" else None

        delivery = await eventually(transmitted)
    yield side, delivery


async def read(live: Ledger, box: Path) -> None:
    await reading_bounces(live.db, live.desk, live.now, Maildir(box, KEY)).run()


async def met(live: Ledger, delivery: UUID) -> set[str]:
    return {row.state for row in await rows(live, obligations, delivery_id=delivery) if row.kind == "notice"}


async def test_a_mail_that_was_taken_is_not_repeated(
    live: Ledger, telemetry: Telemetry, tmp_path: Path
) -> None:
    async with mailed(live, telemetry, tmp_path) as (side, delivery):
        assert [row.status for row in await tries(live, delivery.id)] == [250]
        assert await met(live, delivery.id) == {"met"}
        assert len(side.envelopes) == 1
        assert delivery_of(str(side.envelopes[0].mail_from), KEY) == delivery.id


async def test_an_unknown_mailbox_ends_the_way_and_a_person_is_told(
    live: Ledger, telemetry: Telemetry, tmp_path: Path, box: Path
) -> None:
    async with mailed(live, telemetry, tmp_path) as (side, delivery):
        put(box, str(side.envelopes[0].mail_from))
        await read(live, box)
        after = await to_police(live)
        assert (after.state, after.transmitted_at, after.next_wakeup_at) == ("dead", None, None)
        assert after.escalation_level > delivery.escalation_level
        assert await met(live, delivery.id) == {"open"}
        assert list((box / "new").iterdir()) == []
        put(box, str(side.envelopes[0].mail_from))  # it comes twice
        await read(live, box)
        acts = [
            row for row in await rows(live, audit, subject_id=delivery.id) if row.action == "delivery.bounced"
        ]
        assert len(acts) == 1
        assert await to_police(live) == after


async def test_a_full_mailbox_is_tried_again(
    live: Ledger, telemetry: Telemetry, tmp_path: Path, box: Path
) -> None:
    async with mailed(live, telemetry, tmp_path) as (side, delivery):
        put(box, str(side.envelopes[0].mail_from), status="5.2.2")
        await read(live, box)
        after = await to_police(live)
        assert (after.state, after.reason) == ("waiting", "bounced")
        assert after.next_wakeup_at is not None
        assert after.escalation_level > delivery.escalation_level


@pytest.mark.parametrize("trouble", ["delayed", "forged", "other", "garbage", "huge"])
async def test_what_is_no_bounce_of_ours_changes_nothing(
    live: Ledger, telemetry: Telemetry, tmp_path: Path, box: Path, trouble: str
) -> None:
    async with mailed(live, telemetry, tmp_path) as (side, delivery):
        ours = str(side.envelopes[0].mail_from)
        if trouble == "delayed":
            put(box, ours, action="delayed", status="4.4.1")
        elif trouble == "forged":
            put(box, return_path("bounces@dabyl.example", b"another key", delivery.id))
        elif trouble == "other":
            put(box, "bounces@dabyl.example")
        elif trouble == "garbage":
            (box / "new" / "1").write_bytes(bytes(range(256)) * 9)
        else:
            (box / "new" / "1").write_bytes(
                DSN.format(to=ours, action="failed", status="5.1.1").encode() + b"x" * 300_000
            )
        await read(live, box)
        assert await to_police(live) == delivery
        assert list((box / "new").iterdir()) == []
        assert len(list((box / "cur").iterdir())) == 1


async def test_without_its_folder_it_says_so_and_goes_on(live: Ledger, tmp_path: Path) -> None:
    with capture_logs() as logs:
        await read(live, tmp_path / "nowhere")
    assert [line["event"] for line in logs] == ["bounces_not_read"]


async def test_nobody_else_can_make_a_return_path() -> None:
    delivery = uuid4()
    address = return_path("bounces@dabyl.example", KEY, delivery)
    local = address.partition("@")[0]
    assert len(local) <= 64
    assert delivery_of(address, KEY) == delivery
    assert delivery_of(address.upper().replace("BOUNCES", "bounces"), KEY) in (None, delivery)
    for wrong in (
        "",
        "a@b",
        f"x+{uuid4().hex}-{local[-20:]}@d",
        f"x+{delivery.hex}-@d",
        f"x+{delivery.hex}@d",
    ):
        assert delivery_of(wrong, KEY) is None


@pytest.mark.parametrize(("days", "said"), [(31, None), (29, 30), (13, 14), (2, 3)])
async def test_the_end_of_our_certificate_is_announced(tmp_path: Path, days: int, said: int | None) -> None:
    chain, key = certificate(tmp_path, days=days)
    now = FrozenNow(utc_now())
    job = watching_certificate(Certificate(chain, key).ends_at, now)
    with capture_logs() as logs:
        await job.run()
        now.move(timedelta(days=40))
        await job.run()
    first = [line["days"] for line in logs if line["event"] == "certificate_ends_soon"]
    assert first == ([said] if said else [])
    assert [line["event"] for line in logs][-1] == "certificate_unusable"

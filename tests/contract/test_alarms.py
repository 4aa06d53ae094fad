"""The alarms: each reads a figure that is shown, sees it go away at every service, and stands on the page."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.bus.canary import QueueWatch
from common.bus.memory import MemoryBus
from common.bus.topology import Queue
from common.telemetry import Telemetry
from common.timing import utc_now
from common.weighing import OutboxBalance, OutboxBoard
from notifier.domain.conservation import Balance
from notifier.domain.drill import Standing
from notifier.service.conservation import BalanceBoard
from notifier.service.drills import StandingBoard
from notifier.service.sealing import AuditBoard
from notifier.service.verifying import Report
from tests.parts.compose import SERVICES, read_compose

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
SCRAPED: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
[GROUP] = yaml.safe_load((FOLDER / "alarms.yml").read_text())["groups"]
RULES: dict[str, str] = {rule["alert"]: rule["expr"] for rule in GROUP["rules"]}
PROCESSES = {
    (one["command"][2], name)
    for name, one in read_compose()["services"].items()
    if one["image"].startswith("dabyl/") and one["command"][3] in ("api", "worker") and name != "gateway"
}
"""All that show figures. The gateway's API faces the world and hides them (tests/service/gateway)."""


def test_every_process_is_read_under_the_name_of_its_service() -> None:
    read = {
        (job["job_name"], name)
        for job in SCRAPED["scrape_configs"]
        for found in job["dns_sd_configs"]
        for name in found["names"]
        if (found["type"], found["port"]) == ("A", 8080)
    }
    assert read == PROCESSES
    for job in SCRAPED["scrape_configs"]:
        [named] = job["relabel_configs"]
        assert named == {"source_labels": ["__meta_dns_name"], "target_label": "process"}


def test_whatever_goes_away_is_missed_by_name() -> None:
    weighing = RULES["NobodyWeighs"]
    assert set(re.findall(r'absent\(dabyl_outbox_weighed_seconds\{job="(\w+)"\}\)', weighing)) == set(
        SERVICES
    )
    assert 'absent(dabyl_conservation_weighed_seconds{job="notifier"})' in weighing
    away = RULES["ProcessAway"]
    assert set(re.findall(r'absent\(up\{process="([\w-]+)"\}\)', away)) == {name for _, name in PROCESSES}
    assert re.match(r"up == 0\n", away)
    assert "absent(up)" not in away


@pytest.mark.parametrize("alert", RULES)
async def test_an_alarm_reads_what_is_shown_and_is_explained(alert: str) -> None:
    telemetry = Telemetry("notifier")
    now = utc_now()
    OutboxBoard(telemetry.meter).show(OutboxBalance("intake", now, 0, None, {"notifier": 0}))
    BalanceBoard(telemetry.meter).show(Balance(now, now, 0, {}, ()))
    StandingBoard(telemetry.meter).show(dict.fromkeys(Standing, 0))
    audit = AuditBoard(telemetry.meter)
    audit.show_lag(timedelta(0))
    audit.show(Report(None, 0, 0, 0, 0), now)
    await QueueWatch(MemoryBus(), _no_queues, meter=telemetry.meter).pass_once()
    shown = set(re.findall(r"^(\w+)", telemetry.exposition().decode(), re.MULTILINE))
    telemetry.close()
    read = set(re.findall(r"\b(dabyl_\w+|up)\b", RULES[alert]))
    assert read
    assert read <= shown | {"up"}
    page = (ROOT / "docs" / "how-to" / "run-with-docker.md").read_text()
    assert all(f"`{name}" in page or f"({name}" in page for name in read)


async def _no_queues() -> list[Queue]:
    return []

"""Reads the seed files. Dates in them are local: midnight in Almaty begins the day."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from hashlib import sha256
from importlib.resources import files
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml

from registry.domain.agency import AgencyDraft, MandateDraft, Names
from registry.domain.role import Role, Roles
from registry.models import Territory
from registry.service.seeding import Seed

LOCAL = ZoneInfo("Asia/Almaty")
FILES = ("territories.csv", "roles.yaml", "agencies.csv")


def _text(name: str) -> str:
    return (files("registry") / "seed" / name).read_text("utf-8")


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(_text(name).splitlines())


def read_roles() -> Roles:
    """The bodies that agencies may hold."""
    listed: list[dict[str, Any]] = yaml.safe_load(_text("roles.yaml"))["roles"]
    return Roles(Role(role["code"], role.get("routed", True)) for role in listed)


def read_seed() -> Seed:
    """Territories and agencies, ready to be registered."""
    digest = sha256()
    for name in FILES:
        digest.update(_text(name).encode())
    return Seed(
        digest=digest.hexdigest(),
        territories=[_territory(row) for row in _rows("territories.csv")],
        agencies=[_agency(row) for row in _rows("agencies.csv")],
    )


def _territory(row: dict[str, str]) -> Territory:
    return Territory(
        code=row["iso_3166_2"],
        kato=row["kato"] or None,
        kind=row["kind"],
        parent=row["parent"] or None,
        name_kk=row["name_kk"],
        name_ru=row["name_ru"],
        name_en=row["name_en"],
        centre_kk=row["centre_kk"],
    )


def _agency(row: dict[str, str]) -> AgencyDraft:
    valid_from = datetime.combine(date.fromisoformat(row["valid_from"]), time(), LOCAL).astimezone(UTC)
    return AgencyDraft(
        id=UUID(row["id"]),
        code=row["code"],
        names=Names(row["name_kk"], row["name_ru"], row["name_en"]),
        superior=row["superior"] or None,
        mandates=tuple(
            MandateDraft(role, row["territory"], valid_from, primary=row["primary"] == "yes")
            for role in row["roles"].split()
        ),
    )

"""``contracts/schemas/law.json``, by which editors check law files, agrees with the files and the loader."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from notifier.lawbook import LAW

SCHEMA = json.loads(Path("contracts/schemas/law.json").read_text(encoding="utf-8"))
FILES = sorted(LAW.rglob("*.yaml"))


def read(path: Path) -> Any:
    """As an editor sees it: YAML's dates are text in JSON."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return json.loads(json.dumps(content, default=date.isoformat))


def complaints(content: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(content)]


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_law_file_keeps_to_it_and_says_so_to_editors(path: Path) -> None:
    assert complaints(read(path)) == []
    first_line = path.read_text(encoding="utf-8").splitlines()[0]
    schema = first_line.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == Path("contracts/schemas/law.json").resolve()


PLANTED: dict[str, Callable[[dict[str, Any]], object]] = {
    "unknown key": lambda rule: rule.update(note="x"),
    "no scope": lambda rule: rule.pop("scope"),
    "concern unknown": lambda rule: rule["scope"].append("poverty"),
    "clock unknown": lambda rule: rule.update(clock="soon"),
    "days without a way to count": lambda rule: rule.update(clock={"working_days": 3}),
    "force unknown": lambda rule: rule.update(force="custom"),
    "a notice that is never sent": lambda rule: rule.update(dispatch="none"),
    "a message to nobody": lambda rule: rule.pop("recipient"),
    "a language missing": lambda rule: rule["duty"].pop("ru"),
    "no examples": lambda rule: rule.update(examples=[]),
    "a concern left out of the examples": lambda rule: rule["examples"][-1]["by_concern"].pop("other"),
    "condition on no fact": lambda rule: rule.update(when={"weather": "bad"}),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_a_planted_mistake_is_seen(plant: Callable[[dict[str, Any]], object]) -> None:
    content = deepcopy(read(LAW / "joint_order_2026" / "first_notices.yaml"))
    plant(content["rules"][0])
    assert complaints(content)

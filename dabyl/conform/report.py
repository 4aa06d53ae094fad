"""The findings as sentences, and as JSON."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from dabyl.conform.trial import Finding

Language = Literal["kk", "ru", "en"]
PAGE = "docs/how-to/connect-an-agency.md"


@cache
def words() -> dict[str, Any]:
    """Every sentence."""
    loaded: dict[str, Any] = yaml.safe_load((files("dabyl.conform") / "words.yaml").read_text("utf-8"))
    return loaded


def lines(findings: Sequence[Finding], language: Language) -> Iterator[str]:
    """What a person reads: a line for what is right, a paragraph for what is not."""
    said = words()["said"][language]
    for finding in findings:
        about = words()["checks"][finding.name]
        title = about[language]["title"]
        if finding.passed is None:
            yield f"–  {finding.name}: {title} ({said['untried']})"
        elif finding.passed:
            yield f"✓  {finding.name}: {title}"
        else:
            yield f"✗  {finding.name}: {title}"
            yield f"     {said['sent']}: {about[language]['sent']}."
            yield f"     {said['expected']}: {about[language]['expected']}."
            if finding.got:
                yield f"     {said['got']}: {finding.got}."
            yield f"     {said['read']}: {PAGE}#{about['read']}"
    counts = count(findings)
    yield ""
    yield said["right" if is_right(findings) else "wrong"].format(**counts)
    yield said["unseen"]


def document(findings: Sequence[Finding], language: Language) -> dict[str, Any]:
    """The same for a machine."""
    return {
        "right": is_right(findings),
        **count(findings),
        "checks": [
            {
                "name": finding.name,
                "passed": finding.passed,
                "got": finding.got or None,
                "read": f"{PAGE}#{words()['checks'][finding.name]['read']}",
                **words()["checks"][finding.name][language],
            }
            for finding in findings
        ],
    }


def count(findings: Sequence[Finding]) -> dict[str, int]:
    """How many passed, failed, and could not be tried."""
    return {
        "passed": sum(finding.passed is True for finding in findings),
        "failed": sum(finding.passed is False for finding in findings),
        "untried": sum(finding.passed is None for finding in findings),
    }


def is_right(findings: Sequence[Finding]) -> bool:
    """Whether everything was tried and is right."""
    return bool(findings) and all(finding.passed for finding in findings)

"""The house keeps its form: closed file vocabulary, short files, names that say what lives there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("intake", "notifier", "casework", "registry", "gateway")
SLICE = {
    "__init__", "__main__", "app", "settings", "router", "consumers", "jobs", "adapters", "schemas",
    "service", "repository", "models", "domain", "errors", "migrations",
}  # fmt: skip
ALSO = {"notifier": {"law", "lawbook"}, "registry": {"seed"}, "gateway": {"console"}, "casework": {"forms"}}
SAYS_NOTHING = {
    "utils",
    "util",
    "helpers",
    "helper",
    "manager",
    "base",
    "misc",
    "common_functions",
    "tools",
    "stuff",
}
LONGEST = 400


def _python(*rooms: str) -> list[Path]:
    found = [
        path for room in rooms for path in (ROOT / room).rglob("*.py") if "__pycache__" not in path.parts
    ]
    assert found
    return found


def test_there_are_five_services() -> None:
    found = {path.name for path in (ROOT / "services").iterdir() if not path.name.startswith(("_", "."))}
    assert found == set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_holds_only_rooms_of_the_plan(service: str) -> None:
    found = {path.name.removesuffix(".py") for path in (ROOT / "services" / service).iterdir()}
    assert found - {"__pycache__", "py.typed"} <= SLICE | ALSO.get(service, set())


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_what_it_owns_publishes_and_consumes(service: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / "services" / service / "__init__.py").read_text())) or ""
    for word in ("Owns", "Publishes", "Consumes"):
        assert word in said


def test_no_file_is_long() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _python("services", "libs", "dabyl")
        if (lines := len(path.read_text().splitlines())) > LONGEST and "versions" not in path.parts
    }
    assert not long


def test_every_name_says_what_lives_there() -> None:
    paths = _python("services", "libs", "dabyl", "tests")
    assert not [str(path.relative_to(ROOT)) for path in paths if path.stem in SAYS_NOTHING]
    assert not [str(path.relative_to(ROOT)) for path in paths if path.parent.name in SAYS_NOTHING]


def test_every_exception_from_a_lint_has_its_reason_beside_it() -> None:
    mark = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:\s*no cover)\b(?P<rest>.*)$")
    bare = []
    for path in _python("services", "libs", "dabyl", "tests"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if (found := mark.search(line)) and "re.compile" not in line:
                reason = re.sub(r"[A-Z]+[0-9]+|\[[a-z,\- ]*\]", "", found["rest"])
                if len(re.findall(r"[A-Za-z]{2,}", reason)) < 1:
                    bare.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not bare

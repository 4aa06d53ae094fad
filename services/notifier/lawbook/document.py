"""Strict reading of one YAML file: what is missing, unknown or said twice is an error with its place."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import yaml

from notifier.domain.edition import Phrase

try:
    from yaml import CSafeLoader as SafeLoader  # ten times faster, where libyaml is
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]  # same behaviour, in Python

_DURATION = re.compile(r"PT(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?")


class LawUnreadable(Exception):
    """A law file does not say what it must; the message names file and place."""


class _StrictLoader(SafeLoader):
    """YAML in which a key said twice is an error: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 — PyYAML's signature
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if len(keys) != len(set(keys)):
            raise yaml.constructor.ConstructorError(None, None, "key said twice", node.start_mark)
        return super().construct_mapping(node, deep)


class Document:
    """A mapping of a law file that remembers where it is, and that every key must be asked for."""

    def __init__(self, value: object, place: str) -> None:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise LawUnreadable(f"{place}: not a mapping")
        self.place = place
        self._left: dict[str, Any] = dict(value)

    def fail(self, why: str) -> LawUnreadable:
        """An error that names this place, to be raised."""
        return LawUnreadable(f"{self.place}: {why}")

    def take(self, key: str, *, default: object = ...) -> Any:
        """The value of a key, whatever it is; a missing key without default is an error."""
        if key in self._left:
            return self._left.pop(key)
        if default is ...:
            raise self.fail(f"{key} is missing")
        return default

    def node(self, key: str) -> "Document":
        """The mapping under a key."""
        return Document(self.take(key), f"{self.place} › {key}")

    def nodes(self, key: str) -> list["Document"]:
        """The list of mappings under a key; empty when absent."""
        found = self.take(key, default=[])
        if not isinstance(found, list):
            raise self.fail(f"{key} is not a list")
        return [Document(value, f"{self.place} › {key}[{index}]") for index, value in enumerate(found)]

    def text(self, key: str) -> str:
        """The text under a key; never empty."""
        found = self.take(key)
        if not isinstance(found, str) or not found.strip():
            raise self.fail(f"{key} is not a text")
        return found.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        """A text or a list of texts; nothing when the key is absent."""
        found = self.take(key, default=[])
        listed = found if isinstance(found, list) else [found]
        if not all(isinstance(value, str) for value in listed):
            raise self.fail(f"{key} is not a list of texts")
        return tuple(listed)

    def one_of(self, key: str, allowed: object, *, default: object = ...) -> Any:
        """A code out of a closed list (a ``Literal``)."""
        found = self.take(key, default=default)
        if found not in get_args(allowed):
            raise self.fail(f"{key} must be one of {', '.join(get_args(allowed))}")
        return found

    def day(self, key: str) -> date:
        """A date without time."""
        found = self.take(key)
        if not isinstance(found, date) or isinstance(found, datetime):
            raise self.fail(f"{key} is not a date")
        return found

    def duration(self, key: str) -> timedelta:
        """A length of time, as ``PT4H`` or ``PT15M``."""
        match = _DURATION.fullmatch(self.text(key))
        parts = {name: int(value) for name, value in match.groupdict().items() if value} if match else {}
        if not parts:
            raise self.fail(f"{key} is not an ISO 8601 duration of hours and minutes")
        return timedelta(**parts)

    def phrase(self) -> Phrase:
        """This mapping as one text in three languages."""
        phrase = Phrase(self.text("kk"), self.text("ru"), self.text("en"))
        self.end()
        return phrase

    def phrases(self) -> dict[str, Phrase]:
        """This mapping as texts by key."""
        return {key: self.node(key).phrase() for key in self}

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._left))

    def end(self) -> None:
        """Every key was asked for; anything left over is a mistake in the file."""
        if self._left:
            raise self.fail(f"unknown: {', '.join(sorted(self._left))}")


def read(path: Path) -> Document:
    """The content of a file. Raises ``LawUnreadable``."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 — a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise LawUnreadable(f"{path.name}: {error}") from error
    return Document(content, f"{path.parent.name}/{path.name}")

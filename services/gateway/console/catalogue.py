"""Texts of the pages: one gettext catalogue a language, read with Babel; no language is the original."""

import gettext
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

FOLDER = Path(__file__).parent / "catalogues"
LANGUAGES = ("kk", "ru", "en")
DEFAULT = "kk"
"""The state language."""

ALMATY = ZoneInfo("Asia/Almaty")
"""All of Kazakhstan keeps UTC+5 since 2024-03-01 (architecture §3)."""

# British forms: people on duty read a 24-hour clock.
_LOCALES = {"kk": "kk_KZ", "ru": "ru_KZ", "en": "en_GB"}


class TextMissing(KeyError):
    """No catalogue has this key."""


class Catalogue:
    """The texts, dates and plurals of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(_LOCALES[language])
        with (FOLDER / f"{language}.po").open("rb") as file:
            found = read_po(file, locale=language)
        self.texts: dict[str, str] = {}
        self.plurals: dict[str, tuple[str, ...]] = {}
        for message in found:
            if not message.id:
                continue  # the header
            if isinstance(message.id, str):
                self.texts[message.id] = str(message.string)
            else:
                self.plurals[str(message.id[0])] = tuple(str(form) for form in message.string or ())
        self._form: Callable[[int], int] = gettext.c2py(found.plural_expr)

    def text(self, key: str, **values: object) -> str:
        """The text of a key with its values filled in.

        Raises:
            TextMissing: a test keeps the three catalogues complete.
        """
        if not self.texts.get(key):
            raise TextMissing(key)
        return self.texts[key] % values if values else self.texts[key]

    def count(self, key: str, number: int) -> str:
        """The right plural for ``number``."""
        if key not in self.plurals:
            raise TextMissing(key)
        return self.plurals[key][self._form(number)] % {"number": number}

    def label(self, kind: str, code: object) -> str:
        """The name of a code; one that is newer than the catalogue is shown as it is."""
        return self.texts.get(f"{kind}.{code}") or str(code)

    def moment(self, at: datetime) -> str:
        """Date and time of day in Kazakhstan."""
        return format_datetime(at, "d MMM, HH:mm:ss", tzinfo=ALMATY, locale=self.locale)

    def day(self, at: datetime) -> str:
        """Date, in full."""
        return format_date(at.astimezone(ALMATY), "long", locale=self.locale)

    def hour(self, at: datetime) -> str:
        """Time of day with seconds."""
        return format_time(at, "HH:mm:ss", tzinfo=ALMATY, locale=self.locale)

    def due(self, at: datetime, now: datetime) -> str:
        """When something is due: the time of day when that is today, else with the date."""
        local, today = at.astimezone(ALMATY), now.astimezone(ALMATY)
        if local.date() == today.date():
            return format_time(at, "HH:mm", tzinfo=ALMATY, locale=self.locale)
        return format_datetime(at, "d MMM, HH:mm", tzinfo=ALMATY, locale=self.locale)

    def span(self, seconds: float) -> str:
        """A length of time in its largest fitting unit."""
        for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
            if seconds >= size:
                return self.text(f"span.{unit}", number=self._round(seconds / size))
        if seconds >= 1 or seconds == 0:
            return self.text("span.seconds", number=self._round(seconds))
        return self.text("span.milliseconds", number=self._round(seconds * 1000))

    def left(self, at: datetime, now: datetime) -> str:
        """A clock: hours, minutes and seconds until ``at``, or since."""
        seconds = abs(int((at - now).total_seconds()))
        days, rest = divmod(seconds, 86400)
        clock = f"{rest // 3600}:{rest % 3600 // 60:02}:{rest % 60:02}"
        return self.text("clock.days", number=days, clock=clock) if days else clock

    def _round(self, number: float) -> str:
        return format_decimal(round(number, 1) if number < 10 else round(number), locale=self.locale)


@cache
def catalogue(language: str) -> Catalogue:
    """The catalogue of one of ``LANGUAGES``; read once."""
    return Catalogue(language)


def choose(cookie: str | None, accept_language: str | None) -> str:
    """The reader's language: what they chose, else what their browser asks for, else Kazakh."""
    if cookie in LANGUAGES:
        return cookie
    weighted: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept_language or "").split(",")[:20]):
        tag, _, quality = part.strip().partition(";")
        language = tag.split("-")[0].lower()
        if language in LANGUAGES:
            weighted.append((-_quality(quality), place, language))
    return min(weighted)[2] if weighted else DEFAULT


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    try:
        return float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return 0.0

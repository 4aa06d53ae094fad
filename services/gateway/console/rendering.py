"""Pages from templates: one environment a language, everything escaped."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.console.catalogue import LANGUAGES, catalogue

HERE = Path(__file__).parent
STATIC = HERE / "static"


@cache
def _version() -> str:
    """Changes when a static file does, so that browsers may keep them for good."""
    content = b"".join(file.read_bytes() for file in sorted(STATIC.iterdir()))
    return hashlib.sha256(content).hexdigest()[:12]


@cache
def environment(language: str) -> Environment:
    """Jinja for one language."""
    words = catalogue(language)
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        t=words.text,
        n=words.count,
        label=words.label,
        words=words,
        language=language,
        languages=LANGUAGES,
        version=_version(),
    )
    return made


def render(template: str, language: str, **values: Any) -> str:
    """A page or a part of one."""
    return environment(language).get_template(template).render(**values)


def page(
    template: str,
    language: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A whole page. It rests in no cache: the next person at this machine is somebody else."""
    kept = {"Cache-Control": "no-store", "Content-Language": language, "Vary": "Cookie, Accept-Language"}
    return HTMLResponse(render(template, language, **values), status, kept | dict(headers or {}))

"""A trace as a waterfall: depth-first order and bars as shares of the whole."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """One span; times in nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    service: str
    start_ns: int
    end_ns: int
    status: str = "unset"
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bar:
    """A span's place: ``left`` and ``width`` are shares of the trace, offsets and lengths milliseconds."""

    span: Span
    depth: int
    left: float
    width: float
    offset_ms: float
    length_ms: float
    failed: bool


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A laid out trace."""

    trace_id: str
    bars: tuple[Bar, ...]
    length_ms: float
    services: tuple[str, ...]
    hidden: int = 0


def lay_out(spans: Sequence[Span], *, limit: int = 400) -> Waterfall | None:
    """Order spans as a tree, children by start, and place them.

    A span whose parent is not here (a client's own, or one not yet exported) counts as a root. Spans
    beyond ``limit`` are left out of the drawing and counted in ``hidden``.
    """
    unique = {span.span_id: span for span in spans}
    if not unique:
        return None
    children: dict[str | None, list[Span]] = defaultdict(list)
    for span in unique.values():
        parent = span.parent_id if span.parent_id in unique and span.parent_id != span.span_id else None
        children[parent].append(span)
    for family in children.values():
        family.sort(key=lambda span: (span.start_ns, span.span_id))
    start = min(span.start_ns for span in unique.values())
    end = max(max(span.end_ns, span.start_ns) for span in unique.values())
    whole = max(1, end - start)
    bars: list[Bar] = []
    placed: set[str] = set()
    stack = [(span, 0) for span in reversed(children[None])]
    while stack:
        span, depth = stack.pop()
        if span.span_id in placed:
            continue
        placed.add(span.span_id)
        length = max(0, span.end_ns - span.start_ns)
        bars.append(
            Bar(
                span=span,
                depth=depth,
                left=(span.start_ns - start) / whole,
                width=length / whole,
                offset_ms=(span.start_ns - start) / 1e6,
                length_ms=length / 1e6,
                failed=span.status.lower() == "error",
            )
        )
        stack.extend((child, depth + 1) for child in reversed(children[span.span_id]))
    services = tuple(dict.fromkeys(bar.span.service for bar in bars))
    return Waterfall(
        trace_id=bars[0].span.trace_id if bars else next(iter(unique.values())).trace_id,
        bars=tuple(bars[:limit]),
        length_ms=whole / 1e6,
        services=services,
        hidden=max(0, len(unique) - limit),
    )

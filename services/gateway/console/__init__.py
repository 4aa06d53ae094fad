"""Door for people: server-rendered pages in Kazakh, Russian and English.

Nothing about a child stands in an address, a title or a log. Pages work without script for reading; script
adds ticking clocks and live updates.
"""

from fastapi import APIRouter

from gateway.console import alerts, inbox, sign_in

routers: tuple[APIRouter, ...] = (sign_in.router, alerts.router, inbox.router)

__all__ = ["routers"]

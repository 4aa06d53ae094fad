"""What the house says about itself: the API's description, and whom to tell about a hole in it."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from gateway.router.parts import AtDesk

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def describe(desk: AtDesk) -> Response:
    """The public surface of all five services as one document."""
    document: dict[str, Any] = await desk.document()
    return JSONResponse(document, headers={"Cache-Control": "public, max-age=60"})


@router.get("/.well-known/security.txt")
async def security_contact(desk: AtDesk) -> Response:
    """RFC 9116."""
    expires = (desk.now() + timedelta(days=180)).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    lines = (
        f"Contact: {desk.security_contact}",
        f"Expires: {expires}",
        "Preferred-Languages: kk, ru, en",
        f"Canonical: {desk.public_url}/.well-known/security.txt",
    )
    return PlainTextResponse("\n".join(lines) + "\n")


@router.get("/")
async def enter() -> Response:
    """People go to the console."""
    return RedirectResponse("/console", 303)

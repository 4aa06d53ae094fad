"""The tree of territories."""

from fastapi import APIRouter

from common.http import Page, Reading
from common.identity import Caller
from registry import service
from registry.schemas import TerritoryOut

router = APIRouter(prefix="/v1/territories", tags=["territories"])


@router.get("", summary="The republic and its regions")
async def list_territories(session: Reading, _caller: Caller) -> Page[TerritoryOut]:
    """Every territory of the register, in three languages; one page."""
    rows = await service.list_territories(session)
    return Page(items=[TerritoryOut.of(row) for row in rows])

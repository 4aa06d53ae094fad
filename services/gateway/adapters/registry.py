"""Registry's API: who an agency is and what it holds."""

from datetime import datetime
from typing import Any
from uuid import UUID

from common.telemetry import log
from gateway.adapters.reading import Question, ask
from gateway.domain.identity import AgencyRecord
from gateway.domain.ports import Services
from gateway.errors import PageUnknown, ServiceRefused, ServiceUnreachable


class RegistryDirectory:
    """Looks agencies up by id or code."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def find_agency(self, reference: str) -> AgencyRecord | None:
        """The agency with this id or code, with the roles it holds now."""
        return await self._find(reference, is_traced=True)

    async def look_up(self, agency_id: UUID) -> AgencyRecord | None:
        """The agency with this id."""
        return await self._find(str(agency_id), is_traced=False)

    async def _find(self, reference: str, *, is_traced: bool) -> AgencyRecord | None:
        by_id = _is_id(reference)
        question = (
            Question(target=f"/v1/agencies/{reference}", route="/v1/agencies/{id}", is_traced=is_traced)
            if by_id
            else Question(target="/v1/agencies", route="/v1/agencies", query={"code": reference})
        )
        try:
            found = await ask(self._services, "registry", None, question)
        except (PageUnknown, ServiceRefused):
            return None
        try:
            agencies = [found] if by_id else found["items"]
            return next(
                (_record_of(agency) for agency in agencies if by_id or agency["code"] == reference.lower()),
                None,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.error("answer_not_understood", upstream="registry", error_type=type(error).__name__)
            raise ServiceUnreachable from error


def _is_id(reference: str) -> bool:
    try:
        UUID(reference)
    except ValueError:
        return False
    return True


def _record_of(found: Any) -> AgencyRecord:
    mandates = found.get("mandates", [])
    names = found.get("name") or {}
    bodies = tuple(dict.fromkeys(str(mandate["role"]) for mandate in mandates))
    territories = tuple(dict.fromkeys(str(mandate["territory"]) for mandate in mandates))
    retired_at = found.get("retired_at")
    return AgencyRecord(
        id=UUID(found["id"]),
        code=str(found["code"]),
        names={str(language): str(name) for language, name in names.items() if name},
        bodies=bodies,
        territories=territories,
        retired_at=datetime.fromisoformat(retired_at) if retired_at else None,
    )

"""Cases, and the case manager's appointment."""

from uuid import UUID

from fastapi import APIRouter, Response

from casework import service
from casework.router.desk import Agency, Desk, DeskOf, read_id, read_moment
from casework.schemas import CaseManagerIn, CaseManagerOut, CaseOut, ExplanationOut
from common.http import After, Limit, Page, PartsOf, Reading, Tx, read_cursor, write_cursor

router = APIRouter(prefix="/v1/cases", tags=["cases"])


@router.get("", summary="The agency's cases, newest first")
async def list_cases(
    session: Reading, caller: Agency, desk: DeskOf, after: After = None, limit: Limit = 50
) -> Page[CaseOut]:
    """Cases that the agency coordinates or has a task in; without their tasks."""
    key = read_cursor(after, 2)
    views = await service.list_cases(
        session,
        agency=caller.agency,
        after=(read_moment(key[0]), read_id(key[1])) if key else None,
        limit=limit + 1,
    )
    page = views[:limit]
    last = page[-1].case if len(views) > limit else None
    return Page(
        items=[_shown(view, desk, with_tasks=False) for view in page],
        next=write_cursor(last.created_at.isoformat(), str(last.id)) if last else None,
    )


@router.get("/{case_id}", summary="One case")
async def get_case(case_id: UUID, session: Reading, caller: Agency, desk: DeskOf) -> CaseOut:
    """With the agency's own tasks, or all of them for the body that coordinates."""
    view = await service.get_case(session, case_id, agency=caller.agency)
    return _shown(view, desk, with_tasks=True)


@router.post(
    "/{case_id}/case-manager",
    status_code=201,
    summary="Appoint the case manager",
    responses={200: {"model": CaseManagerOut, "description": "It was stored before"}},
)
async def appoint_case_manager(
    case_id: UUID,
    body: CaseManagerIn,
    session: Tx,
    caller: Agency,
    parts: PartsOf,
    desk: DeskOf,
    response: Response,
) -> CaseManagerOut:
    """Joint order ¶12(2): 201 for the appointment, 200 for its repeat, 409 for another one."""
    employee = body.employee.to_employee()
    appointment, is_new = await service.appoint_case_manager(
        session,
        case_id,
        employee,
        accepted_at=body.accepted_at,
        agency=caller.agency,
        by=caller.subject,
        seals=desk.seals,
        now=parts.now,
    )
    if not is_new:
        response.status_code = 200
    return CaseManagerOut.of(appointment, employee)


def _shown(view: service.CaseView, desk: Desk, *, with_tasks: bool) -> CaseOut:
    employee = None
    if view.appointment is not None and view.is_coordinator:
        employee = service.open_employee(view.appointment, desk.seals)
    return CaseOut.of(
        view.case,
        view.appointment,
        employee,
        coordinating=view.is_coordinator,
        coordinators=view.coordinators,
        tasks=view.tasks if with_tasks else None,
        explanations={
            duty: [
                ExplanationOut.model_validate(
                    {
                        "by": each.by,
                        "explained_at": each.explained_at,
                        "reason": desk.seals.unseal_reason(each.sealed, each.id),
                    }
                )
                for each in said
            ]
            for duty, said in view.explanations.items()
        },
        joined=view.joined,
    )

"""Intake's API: the content behind a notice."""

from gateway.adapters.notifier import NotifierInbox
from gateway.adapters.reading import Question, ask
from gateway.domain.identity import Bearer
from gateway.domain.inbox import Content, Notice
from gateway.domain.ports import Services
from gateway.errors import PageUnknown


class AgencyInbox(NotifierInbox):
    """Notices from notifier, their content from intake."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._intake = services

    async def open_content(self, bearer: Bearer, notice: Notice) -> Content:
        """Fields as intake shows them to this agency; intake records the look."""
        if notice.grant is None:
            raise PageUnknown
        question = Question(
            target=f"/v1/deliveries/{notice.delivery}/content",
            route="/v1/deliveries/{id}/content",
            headers={"dabyl-grant": notice.grant},
        )
        return Content(fields=await ask(self._intake, "intake", bearer, question))

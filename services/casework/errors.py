"""What casework may refuse, by name."""

from common.errors import Conflict, Forbidden, Invalid, NotFound


class CaseUnknown(NotFound):
    """There is no such case, or not for this caller."""


class AgencyNotNamed(Forbidden):
    """This token belongs to no agency."""


class NotCoordinating(Forbidden):
    """Only the body that coordinates this case may do this."""


class NoDutyToAppoint(Conflict):
    """No duty of paragraph 12(2) is held in this case."""


class CaseManagerAlreadyAppointed(Conflict):
    """This case has a case manager; the appointment that is stored says something else."""


class RecordNotYours(Forbidden):
    """No task of this body asks for such a record, and it is not this body's to decide."""


class RecordInFuture(Invalid):
    """Nothing can have happened at a time that has not come yet."""


class RecordNeedsReason(Invalid):
    """A decision not to do something needs its reason."""


class RecordUnknown(NotFound):
    """There is no such record of this body and kind in this case."""


class RecordSuperseded(Conflict):
    """Another record has taken the place of this one."""


class AcceptanceInFuture(Invalid):
    """Nobody can have accepted at a time that has not come yet."""

"""What registry may refuse, by name."""

from common.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable


class AgencyUnknown(NotFound):
    """There is no such agency, or not for this caller."""


class EndpointUnknown(NotFound):
    """There is no such endpoint, or not for this caller."""


class TerritoryUnknown(Invalid):
    """This territory is not in the register."""


class RoleUnknown(Invalid):
    """No body of the law has this role code, or none may hold it."""


class SuccessorUnknown(Invalid):
    """No agency in force by this id or code can take its place."""


class SuperiorUnknown(Invalid):
    """The superior agency is not in the register."""


class SuperiorCircular(Invalid):
    """An agency cannot stand above itself."""


class EndpointAgencyUnknown(Invalid):
    """The agency of this endpoint is not in the register."""


class AgencyExists(Conflict):
    """This code belongs to an agency that is registered differently; name the version you replace."""


class AgencyRetired(Conflict):
    """This agency is retired; nothing can be registered for it."""


class VersionOutdated(Conflict):
    """Somebody changed this since the version you replace; read it again."""


class PrimaryTaken(Conflict):
    """Another agency is the primary holder of this role in this territory at that time."""


class RoleNotRouted(Invalid):
    """Holders of this role are only ever addressed by name; none can be primary."""


class MandateTwice(Invalid):
    """The same role, territory and beginning are given twice."""


class EndpointsLive(Conflict):
    """This agency can still be pushed to; revoke its endpoints first."""


class AbsenceExists(Conflict):
    """This absence is declared differently; name the version you replace."""


class EndpointExists(Conflict):
    """This agency already has this address, registered differently; name the version you replace."""


class EndpointIsRevoked(Conflict):
    """This endpoint is revoked; register a new one."""


class EndpointOfAnother(Conflict):
    """This endpoint belongs to another agency."""


class AddressNotAllowed(Invalid):
    """This address may not be notified: it has not the form that its kind of endpoint asks for."""


class ReceiptKeyUnreadable(Invalid):
    """A receipt key is the base64url form of 32 bytes (Ed25519)."""


class DutyHoursInverted(Invalid):
    """A duty window must close after it opens; a night is two windows."""


class DutyHoursTwice(Invalid):
    """Two exceptions name the same date."""


class IntervalInverted(Invalid):
    """The end lies before the beginning."""


class AgencyNotNamed(Forbidden):
    """This token belongs to no agency."""


class ReturnDiffers(Conflict):
    """Another return was handed in for this period; what was handed in stays."""


class RevocationNotPossible(Unavailable):
    """The service that sends could not be told to stop; nothing was changed, try again."""

"""What the gateway may refuse, by name."""

from common.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Refusal,
    TooMany,
    Unauthenticated,
    Unavailable,
)


class TokenMissing(Unauthenticated):
    """An access token is needed."""


class TokenInvalid(Unauthenticated):
    """The access token is not valid."""


class RoleNotAllowed(Forbidden):
    """This caller's role may not do this."""


class ClientUnknown(NotFound):
    """There is no such client."""


class ClientRevoked(Conflict):
    """The client is already revoked."""


class AgencyUnknown(Invalid):
    """No such agency is registered, or it holds no role now."""


class PathUnknown(NotFound):
    """There is nothing at this address."""


class RateExceeded(TooMany):
    """Too many requests in this time."""


class TooManyWaits(TooMany):
    """Too many reads of this agency are waiting already; let one end first."""


class DoorBusy(Unavailable):
    """Too many secrets are being checked now; try again."""


class ServiceUnreachable(Unavailable):
    """A service behind this address is not reachable now; try again."""


class SignInExpired(Gone):
    """This sign-in link was used, or its time has passed."""


class SignInRefused(Unauthenticated):
    """These credentials do not open the console."""


class SessionEnded(Unauthenticated):
    """Nobody is signed in."""


class CrossSite(Forbidden):
    """This form was sent from another site."""


class MethodUnknown(Refusal):
    """This address does not take this method."""

    status = 405


class PageUnknown(NotFound):
    """There is no such page, or not for this caller."""


class ServiceRefused(Conflict):
    """The service behind this page refused."""

    def __init__(self, kind: str, answered: int) -> None:
        """``kind``: last part of the problem's type; ``answered``: its HTTP status."""
        super().__init__()
        self.kind = kind
        self.answered = answered

"""What notifier may refuse, by name."""

from common.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unavailable,
    UnsupportedMedia,
)


class AlertUnknown(NotFound):
    """There is no such alert for this caller."""


class DutyNotBreached(Conflict):
    """The limit of this duty has not passed."""


class AlertNotHeld(Conflict):
    """This alert does not wait for a release."""


class NotPublished(NotFound):
    """These figures are not published yet."""


class DeliveryUnknown(NotFound):
    """There is no such delivery for this caller."""


class EndpointUnknown(NotFound):
    """There is no such endpoint."""


class EndpointUnusable(Gone):
    """This endpoint was revoked."""


class EndpointWithoutKey(Conflict):
    """This endpoint has no signing key yet."""


class ReceiptRefused(Invalid):
    """This receipt does not belong to this notice."""


class ReceiptUnsigned(Forbidden):
    """Receipts of this endpoint must be signed with its receipt key."""


class ReceiptDiffers(Conflict):
    """Another receipt of this delivery is already stored."""


class ReceiptNotPossible(Conflict):
    """This delivery takes no receipt."""


class ReceiptMediaUnknown(UnsupportedMedia):
    """A receipt is JSON or a compact JWS (application/jose)."""


class ReceiptNotReadable(Invalid):
    """This is not a receipt."""


class AgencyUnknown(Forbidden):
    """These credentials name no agency."""


class ObligationUnknown(NotFound):
    """There is no such duty for this caller to act on."""


class ObligationNotReleasable(Conflict):
    """No notice of this duty waits for a release."""


class ObligationNotWaivable(Conflict):
    """This duty cannot be waived: it is done, sent, or owed at once."""


class FactNotEvidence(Invalid):
    """The obliged body cannot state this of this duty."""


class EvidenceOutOfTime(Invalid):
    """It cannot have happened then: it is ahead, or before the duty stood."""


class EvidenceDiffers(Conflict):
    """Something else was stated of this duty, or it is over."""


class ConflictUnknown(NotFound):
    """No such conflict of interest stands."""


class ConflictNotYours(Forbidden):
    """Only the coordinating body and the police of this alert may do this, together."""


class ConflictMustBeNamed(Invalid):
    """Name the organisation itself: the body above it takes its place, but nobody takes every one's."""


class ConflictLeavesNobody(Conflict):
    """Neither the police nor the body that coordinates would be left to help this child."""


class JoiningNotYours(Forbidden):
    """Only the body that coordinates both alerts joins or parts them."""


class JoiningUnknown(NotFound):
    """These two alerts are not joined."""


class MatchUnknown(Invalid):
    """This is no match of these two alerts."""


class LockNotYours(Forbidden):
    """Only the coordinating body of this alert lifts the lock."""


class ProposalUnknown(NotFound):
    """There is no such proposal for this caller."""


class PersonNeeded(Forbidden):
    """This act takes two persons, and these credentials are a system's: sign in as a person."""


class SecondPersonNeeded(Conflict):
    """Another person of the same body must confirm this."""


class ProposalExpired(Conflict):
    """Nobody confirmed this proposal in time; propose it again."""


class RatingNotYours(Forbidden):
    """Only the reporter, the police, the body that coordinates and contact centre 111 may rate an alert."""


class FindingNotYours(Forbidden):
    """Only the police and the body that coordinates may find a report without ground."""


class RedriveNotPossible(Conflict):
    """This delivery cannot be sent again: it got through, was answered or ended, or waits to be fetched."""


class NoWayToSend(Conflict):
    """There is no endpoint in force on the rung of this delivery that is not paused."""


class RedriveUnknown(NotFound):
    """There is no such redrive."""


class RedriveNotReadable(Invalid):
    """A redrive has a filter and a reason, or confirms a proposal."""


class PeriodUnknown(NotFound):
    """There is no such period for this caller."""


class RegistryAway(Unavailable):
    """The registry gave no snapshot."""

"""The published language: every event that services exchange. Data only, nothing of ours is imported."""

from common.contracts import casework, intake, notifier, registry
from common.contracts.envelope import Event

REGISTRY: dict[str, type[Event]] = {
    event.type: event
    for event in (
        intake.AlertReceived,
        intake.AlertCorrected,
        intake.AlertWithdrawn,
        intake.ContentOpened,
        notifier.ObligationOpened,
        notifier.ObligationMet,
        notifier.ObligationBreached,
        notifier.ObligationWaived,
        notifier.ObligationPassed,
        notifier.BreachExplained,
        notifier.ConflictRaised,
        notifier.ConflictLowered,
        notifier.JoiningMade,
        notifier.JoiningUndone,
        notifier.JoiningDeclined,
        notifier.DeliveryTransmitted,
        notifier.DeliveryOpened,
        notifier.DeliveryAcknowledged,
        notifier.DeliveryFailed,
        notifier.EscalationRaised,
        notifier.PeriodOpened,
        notifier.PeriodMet,
        notifier.PeriodBreached,
        notifier.PeriodPassed,
        casework.CaseManagerAppointed,
        casework.VisitRecorded,
        casework.AssessmentSigned,
        casework.PlanApproved,
        casework.CommissionDecided,
        casework.ParentsInformed,
        casework.ParentsNotInformed,
        casework.CaseFactRecorded,
        registry.AgencyRegistered,
        registry.AgencyRetired,
        registry.EndpointRegistered,
        registry.EndpointRevoked,
        registry.BodyDeclaredAbsent,
        registry.ReturnSubmitted,
    )
}
"""Every event by its CloudEvents type."""

__all__ = ["REGISTRY", "Event"]

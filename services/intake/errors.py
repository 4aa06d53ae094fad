"""What intake may refuse, by name."""

from common.errors import Conflict, Forbidden, Malformed, NotFound, Unavailable


class AlertUnknown(NotFound):
    """There is no such alert, or not for this caller."""


class ContentUnknown(NotFound):
    """There is no such content, or not for this caller."""


class PlaceDiffers(Conflict):
    """A report from another region is another report: withdraw this one and report anew."""


class RepeatContradicts(Conflict):
    """This key or reference was already used for a report that says something else."""


class IdempotencyKeyNotReadable(Malformed):
    """The Idempotency-Key is not 1 to 255 visible ASCII characters."""


class ReportKeyTooShort(Malformed):
    """An Idempotency-Key of a public report has at least 16 characters: others must not guess it."""


class ReporterUnknown(Forbidden):
    """Only an agency can send an alert here."""


class ContentNotOpenable(Unavailable):
    """The key that opens content is not reachable now; try again."""


class NoFreeNumber(Unavailable):
    """No free alert number was found; try again."""

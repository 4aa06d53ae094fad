"""What may be refused, by kind. A service names its refusals as subclasses; the docstring is the title.

``detail`` is read by the caller and by logs: it must never contain anything the caller sent.
"""

from typing import ClassVar


class Refusal(Exception):
    """The request was refused."""

    status: ClassVar[int] = 400

    def __init__(self, detail: str | None = None, *, pointer: str | None = None) -> None:
        """``pointer``: RFC 6901 fragment of the offending known field, e.g. ``#/child/iin``."""
        super().__init__(detail or self.title())
        self.detail = detail
        self.pointer = pointer

    @classmethod
    def title(cls) -> str:
        """First line of the docstring: the problem's title."""
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class Malformed(Refusal):
    """The request could not be read."""

    status = 400


class Unauthenticated(Refusal):
    """Credentials are missing or no longer valid."""

    status = 401


class Forbidden(Refusal):
    """This caller may not do this."""

    status = 403


class NotFound(Refusal):
    """There is no such thing, or not for this caller."""

    status = 404


class Conflict(Refusal):
    """The request contradicts what is already stored."""

    status = 409


class Gone(Refusal):
    """It was here once and is no more."""

    status = 410


class TooLarge(Refusal):
    """The request is larger than this service takes."""

    status = 413


class UnsupportedMedia(Refusal):
    """The content type is not one this call takes."""

    status = 415


class Invalid(Refusal):
    """The request is well formed, but its values are not acceptable."""

    status = 422


class TooMany(Refusal):
    """Too many requests in this time."""

    status = 429


class Unavailable(Refusal):
    """A part this answer needs is not reachable now; try again."""

    status = 503

"""Shapes on the wire of the gateway's own calls."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from common.schemas import In, Out
from gateway.domain.identity import Role, is_person_code

OfficeRole = Literal["operator", "registrar", "auditor"]

AgencyReference = Field(
    None,
    min_length=2,
    max_length=64,
    pattern=r"^[A-Za-z0-9\-]+$",
    description="code or id of a registered agency",
    examples=["internal-affairs-kz-75"],
)


def _person_code(value: str) -> str:
    if not is_person_code(value):
        raise ValueError("not a person's code")
    return value


class _ForWhom(In):
    """Either an agency or an office role, never both."""

    agency: str | None = AgencyReference
    role: OfficeRole | None = Field(None, description="an office role, instead of an agency")
    person: Annotated[str, AfterValidator(_person_code)] | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="opaque code of the one human being who will hold it, never a name or an IIN;"
        " without it the holder is a system and cannot be one of two persons",
        examples=["duty-17"],
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.agency is None) == (self.role is None):
            raise ValueError("name an agency or a role")
        return self


class ClientIn(_ForWhom):
    """A system that shall get tokens with its own secret."""

    label: str = Field("", max_length=80, description="what the registrar calls it")


class ClientOut(Out):
    """The new client. ``client_secret`` is shown this once."""

    client_id: UUID
    client_secret: str
    role: Role
    agency: UUID | None
    bodies: list[str]
    territory: str | None
    token_url: str
    created_at: datetime


class TokenRequest(_ForWhom):
    """A token made by a registrar for somebody else."""

    lifetime: int = Field(3600, ge=60, le=43_200, description="seconds")


class TokenOut(Out):
    """A fresh access token."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the scheme's name, not a secret
    expires_in: int = Field(description="seconds")
    jti: UUID
    expires_at: datetime


class GrantedToken(Out):
    """RFC 6749 §5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # the scheme's name, not a secret
    expires_in: int = Field(description="seconds")


class RevocationIn(In):
    """What to take back: exactly one of the four."""

    token: str | None = Field(None, max_length=8192, description="an access token of our own issuer")
    jti: UUID | None = Field(None, description="id of a token")
    client: UUID | None = Field(None, description="everything issued to this client, and the client itself")
    agency: str | None = AgencyReference

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        named = [value for value in (self.token, self.jti, self.client, self.agency) if value is not None]
        if len(named) != 1:
            raise ValueError("name exactly one thing to take back")
        return self


class CodeIn(_ForWhom):
    """Whom a sign-in link shall let in."""


class CodeOut(Out):
    """A link that opens the console once."""

    code: str
    url: str
    expires_at: datetime


class JwksOut(Out):
    """RFC 7517 key set of the embedded issuer."""

    keys: list[dict[str, str]]

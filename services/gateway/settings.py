"""GATEWAY_*: read once at the start, passed down, never imported by the rest."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What the gateway needs to know from outside."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="ignore")

    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="address that agencies and browsers use, without a trailing slash",
    )
    audience: str = Field("dabyl", description="`aud` that an access token must name")
    external_issuer: str | None = Field(None, description="`iss` of an OIDC issuer whose tokens count too")
    external_jwks_url: str | None = Field(None, description="where that issuer publishes its keys (JWKS)")
    external_algorithms: tuple[str, ...] = Field(
        ("ES256", "RS256", "PS256", "Ed25519"), description="JSON list: algorithms that issuer may sign with"
    )
    own_issuer: bool = Field(default=True, description="whether tokens of the embedded issuer count")
    token_seconds: int = Field(
        900, ge=60, le=3600, description="life of a token from /oauth/token, in seconds"
    )
    session_seconds: int = Field(
        28_800, ge=300, le=86_400, description="life of a console session, in seconds"
    )
    bootstrap_file: Path | None = Field(
        None,
        description="the first registrar's client id and secret are written here (0600) at the first start; "
        "again, when our database does not know that client (lost, or restored from before)",
    )
    traces_url: str | None = Field(
        None, description="where the console reads traces from; unset: it shows none"
    )
    traces_kind: Literal["dabyl", "jaeger"] = Field("dabyl", description="what answers at traces_url")
    rate_alerts: int = Field(60_000, ge=1, description="POST /v1/alerts per client and minute")
    rate_deliveries: int = Field(
        30_000, ge=1, description="inbox, content and receipt calls per client and minute"
    )
    rate_reports: int = Field(
        10, ge=1, description="POST /v1/reports without a token, per source address and minute"
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="networks (CIDR) of the TLS front whose `X-Forwarded-For` tells callers apart",
    )
    inbox_waits: int = Field(
        32, ge=1, description="GET /v1/inbox that one agency may have open at once, per process"
    )
    rate_default: int = Field(3_000, ge=1, description="all other calls per client and minute")
    security_contact: str = Field(
        "mailto:security@dabyl.invalid", description="Contact line of /.well-known/security.txt (RFC 9116)"
    )

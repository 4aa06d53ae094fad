"""Settings of notifier: ``NOTIFIER_*``, read once, handed down by ``app``."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings
from notifier.domain.drill import Often


class Settings(ServiceSettings):
    """What an installation decides."""

    model_config = SettingsConfigDict(env_prefix="NOTIFIER_", frozen=True, extra="ignore")

    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="base of the addresses in notices: where agencies find the gateway",
    )
    allow_loopback: bool = Field(
        default=False,
        description="send to loopback, in the clear: for simulated agencies, never in production",
    )
    allow_networks: tuple[str, ...] = Field(
        (), description="special networks that may be dialled (CIDR), e.g. the agencies' private network"
    )
    client_certificate: Path | None = Field(
        None, description="our certificate chain (PEM) for endpoints at https+mtls://"
    )
    client_key: Path | None = Field(None, description="its private key (PEM), 0600")
    smtp_host: str | None = Field(None, description="mail relay; unset: endpoints of kind smtp are blocked")
    smtp_port: int = Field(587, description="its port", ge=1, le=65535)
    smtp_tls: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the relay is spoken to; `none` only for one on this machine"
    )
    smtp_user: str | None = Field(None, description="name at the relay; unset: no sign-in")
    smtp_password_file: Path | None = Field(None, description="file with the password at the relay")
    smtp_sender: str = Field("dabyl@localhost", description="address in From")
    smtp_return_path: str | None = Field(
        None, description="address that bounces come back to (unset: the sender); +delivery is added to it"
    )
    bounces_folder: Path | None = Field(
        None, description="Maildir that the return path is delivered to; unset: bounces are not read"
    )
    sms_url: str | None = Field(None, description="gateway for short messages; unset: kind sms is blocked")
    voice_url: str | None = Field(None, description="gateway for calls; unset: kind voice is blocked")
    gateway_key_file: Path | None = Field(
        None, description="file with the whsec_ key that requests to the gateways are signed with"
    )
    drop_folder: Path | None = Field(
        None, description="folder of the folders that notices are dropped in; unset: kind file is blocked"
    )
    acknowledge_immediate: timedelta | None = Field(
        None,
        description="silence after an immediate notice until its ladder is climbed, later rungs in proportion"
        " (default 2 min, then 5, 10 and 15)",
    )
    acknowledge_urgent: timedelta | None = Field(
        None, description="the same for an urgent notice (default 25 % of its time, then 50, 75 and 90)"
    )
    acknowledge_routine: timedelta | None = Field(
        None, description="the same for a routine notice (default 50 % of its time, then 80 and 100)"
    )
    test_systems: Often = Field(
        Often.DAILY,
        description="test notices by time to endpoints that systems read (webhook, amqp, file, x-…): daily on"
        " working days, weekly, or never",
    )
    test_people: Often = Field(
        Often.WEEKLY, description="the same to endpoints that ring for a person (smtp, sms, voice)"
    )
    witness_file: Path | None = Field(
        None,
        description="file that signed heads of the audit record are appended to, where whoever runs the"
        " database cannot write; unset: the log is the only witness",
    )

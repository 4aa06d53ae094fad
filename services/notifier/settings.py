"""Settings of notifier: ``NOTIFIER_*``, read once, handed down by ``app``."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


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

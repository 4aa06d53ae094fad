"""REGISTRY_*: read once at the start, passed down, never imported by the rest."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """What registry needs to know from outside."""

    model_config = SettingsConfigDict(env_prefix="REGISTRY_", frozen=True, extra="ignore")

    allow_loopback: bool = Field(
        False,  # noqa: FBT003  # pydantic's Field takes the default first
        description="whether endpoints on this machine itself may be registered (embedded stack only)",
    )

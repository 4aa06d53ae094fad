"""INTAKE_*: read once at the start, passed down, never imported by the rest."""

from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Intake needs nothing from outside but its database, its keys and a way to tell others later."""

    model_config = SettingsConfigDict(env_prefix="INTAKE_", frozen=True, extra="ignore")

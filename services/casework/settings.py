"""CASEWORK_*: read once at the start, passed down, never imported by the rest."""

from pydantic_settings import SettingsConfigDict

from common.settings import ServiceSettings


class Settings(ServiceSettings):
    """Casework needs nothing from outside but what every service does."""

    model_config = SettingsConfigDict(env_prefix="CASEWORK_", frozen=True, extra="ignore")

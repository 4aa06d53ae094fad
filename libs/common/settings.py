"""Settings every service shares; each subclass sets its own prefix and adds its own fields."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Read once at the start, passed down, never imported by the rooms."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: SecretStr = Field(
        SecretStr("sqlite+aiosqlite:///./var/service.db"), description="SQLAlchemy URL; asyncpg or aiosqlite"
    )
    bus_url: SecretStr = Field(
        SecretStr("memory:"),
        description="`memory:` (one process), or an amqp:// URL for each node, with commas between them",
    )
    bus_declares: bool = Field(
        default=False,
        description="whether this process may make exchanges and queues; else `dabyl topology apply` does",
    )
    bus_api: str | None = Field(
        None, description="RabbitMQ's management interface, for `topology`; unset: port 15672 of each node"
    )
    keys_dir: Path = Field(Path("./var/keys"), description="folder of the keys this service may hold")
    otlp_endpoint: str | None = Field(None, description="OTLP/HTTP base URL; unset: no traces leave")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="lowest level logged")
    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(
        8080, description="port the API (or the worker's health page) listens on", ge=0, le=65535
    )
    intake_url: str = Field(
        "http://intake:8080", description="where intake's API is, for services that call it"
    )
    notifier_url: str = Field("http://notifier:8080", description="where notifier's API is")
    casework_url: str = Field("http://casework:8080", description="where casework's API is")
    registry_url: str = Field("http://registry:8080", description="where registry's API is")

    def url_of(self, service: str) -> str:
        """Base URL of a service's API."""
        return str(getattr(self, f"{service}_url")).rstrip("/")

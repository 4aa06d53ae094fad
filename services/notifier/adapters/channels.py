"""Channels by kind: plug-ins of the entry point group ``dabyl.channels``, found once at the start.

A plug-in that is missing, broken or without its settings costs its own kind alone: its deliveries wait
as ``blocked:no_adapter``, visible, with their clocks running.
"""

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from common.telemetry import log
from notifier.domain.channel import Answer, Channel, ChannelFactory, Outfit, Parcel
from notifier.domain.delivery import Outcome

GROUP = "dabyl.channels"
PREFIX = "NOTIFIER_"

OURS = {
    "webhook": "notifier.adapters.webhook:make",
    "smtp": "notifier.adapters.smtp:make",
    "sms": "notifier.adapters.gateway:make_sms",
    "voice": "notifier.adapters.gateway:make_voice",
    "amqp": "notifier.adapters.amqp:make",
    "file": "notifier.adapters.folder:make",
}
"""The same as in pyproject.toml: a house that runs from plain sources (our images) has no metadata."""


class Channels:
    """All of them as one: hands a parcel to the channel of its kind."""

    def __init__(self, by_kind: Mapping[str, Channel]) -> None:
        self._by_kind = dict(by_kind)

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds that can be sent to here."""
        return frozenset(self._by_kind)

    async def send(self, parcel: Parcel, *, now: datetime) -> Answer:
        """One attempt by the channel of this kind."""
        channel = self._by_kind.get(parcel.kind)
        if channel is None:
            return Answer(Outcome.NO_ADAPTER)
        return await channel.send(parcel, now=now)

    async def close(self) -> None:
        """Give every channel's connections back; one that fails does not keep the others."""
        for kind, channel in self._by_kind.items():
            try:
                await channel.close()
            except Exception as error:  # noqa: BLE001  # a foreign plug-in may raise anything
                log.warning("channel_not_closed", kind=kind, error_type=type(error).__name__)


def installed(others: Iterable[EntryPoint] | None = None) -> list[EntryPoint]:
    """Ours, then what other packages add; nobody takes the place of one of ours."""
    ours = [EntryPoint(kind, place, GROUP) for kind, place in OURS.items()]
    found = entry_points(group=GROUP) if others is None else others
    return ours + [one for one in found if one.name not in OURS]


def load(outfit: Outfit, plugins: Iterable[EntryPoint] | None = None) -> Channels:
    """Make every channel that is installed and has its settings."""
    made: dict[str, Channel] = {}
    for plugin in installed() if plugins is None else plugins:
        if plugin.name in made:
            log.warning("channel_twice", kind=plugin.name)
            continue
        try:
            make: ChannelFactory = plugin.load()
            channel = make(outfit)
        except Exception as error:  # noqa: BLE001  # a foreign plug-in may raise anything
            log.warning("channel_not_loaded", kind=plugin.name, error_type=type(error).__name__)
            continue
        if channel is not None:
            made[plugin.name] = channel
    return Channels(made)


def settings_of_plugins(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """``NOTIFIER_X_*``: settings of kinds that are not ours."""
    given = os.environ if environment is None else environment
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in given.items()
        if name.startswith(f"{PREFIX}X_")
    }

"""Finds adapters by entry point and builds channels from settings. The house never names a channel."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import SecretStr

from publisher.channel import Adapter, ChannelSettings, Double, Kind, MailingAdapter
from publisher.errors import SettingsError
from publisher.settings import Settings

AnyAdapter = Adapter[Any, Any]


def _entry_points(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def names() -> list[str]:
    """The names of all adapters that are installed, ours and third parties'."""
    return list(_entry_points("publisher.adapters"))


def adapter(name: str) -> type[AnyAdapter]:
    """The adapter class called ``name``, checked. Raises :class:`SettingsError`."""
    found = _entry_points("publisher.adapters")
    if name not in found:
        raise SettingsError(f'There is no adapter "{name}"; installed are {", ".join(found) or "none"}.')
    try:
        loaded = found[name].load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(f'The adapter "{name}" cannot be loaded: {error}; install it again.') from None
    if not (inspect.isclass(loaded) and issubclass(loaded, Adapter)):
        raise SettingsError(f'"{name}" is registered as an adapter but is none; ask its author.')
    if inspect.isabstract(loaded) or not issubclass(loaded.Settings, ChannelSettings):
        raise SettingsError(f'The adapter "{name}" is incomplete; ask its author.')
    return loaded


def double(name: str, folder: str) -> Double:
    """The loopback server that stands in for the service of adapter ``name``."""
    loaded = _entry_points("publisher.doubles")[name].load()
    assert issubclass(loaded, Double)
    made: Double = loaded(folder)
    return made


def build(settings: Settings) -> dict[str, AnyAdapter]:
    """Every configured channel by name, in the order of the settings.

    Raises :class:`SettingsError` with one sentence for each thing that is wrong, so that all can be mended at once.
    """
    channels: dict[str, AnyAdapter] = {}
    wrong: list[str] = []
    for name, values in settings.channels.items():
        try:
            kind = adapter(values.adapter)
            channels[name] = kind(name, values.checked(kind.Settings), settings.home)
            if isinstance(channels[name], MailingAdapter) and not (
                settings.office.url and settings.office.secret
            ):
                wrong.append(
                    f"{name} sends to subscribers, who need pages to confirm and to unsubscribe; set PUBLISHER_URL "
                    "and PUBLISHER_SECRET."
                )
        except SettingsError as error:
            wrong.append(str(error))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return channels


def canonical(settings: Settings, channels: Mapping[str, AnyAdapter]) -> str:
    """The name of the channel whose address the others link to; empty where no channel publishes posts."""
    if settings.office.canonical:
        return settings.office.canonical
    return next((name for name, channel in channels.items() if makes_pages(channel)), "")


def makes_pages(channel: AnyAdapter) -> bool:
    """Whether what is published there can be linked to."""
    return channel.kind is Kind.POST and channel.capabilities.pages


def secrets(settings: Settings) -> list[str]:
    """Every secret value among the settings, so that the log can be kept clean of them."""
    models: list[Any] = [settings.office]
    for values in settings.channels.values():
        models.append(values.checked(adapter(values.adapter).Settings))
    fields = [getattr(model, name) for model in models for name in type(model).model_fields]
    each = [one for field in fields for one in (field if isinstance(field, tuple) else (field,))]
    return [one.get_secret_value() for one in each if isinstance(one, SecretStr) and one]

"""The house style of an office: ``config/house.toml``, the office's own values over the shipped ones."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from publisher import assets, clock
from publisher.announcement import Bilingual, Language
from publisher.errors import SettingsError, UsageError

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class ReaderZone:
    """A zone readers live in, and what they call its time."""

    zone: str
    name: Bilingual


@dataclass(frozen=True, slots=True)
class House:
    """Names, address, colours and zones: everything of ``house.toml``, checked."""

    name: Bilingual
    address: Bilingual
    email: str
    accent: str
    accent_dark: str
    chinese: str
    zones: tuple[ReaderZone, ...]

    def tag(self, language: Language | str) -> str:
        """The BCP 47 tag of a language, for every ``lang`` attribute."""
        return self.chinese if Language(language) is Language.ZH else "en"


def load(office: Path | None = None) -> House:
    """The house style. Raises :class:`SettingsError`, which names the file and the key."""
    paths = [folder / "house.toml" for folder in reversed(assets.folders("config", office))]
    return _load(tuple((path, path.stat().st_mtime_ns) for path in paths if path.is_file()))


@lru_cache(maxsize=8)
def _load(versions: tuple[tuple[Path, int], ...]) -> House:
    """Read once for each version of the files, because every variant asks for it."""
    raw: dict[str, Any] = {}
    for path, _ in versions:
        raw = _merged(raw, _read(path), path)
    return _checked(raw, versions[-1][0])


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.") from None


def _merged(base: dict[str, Any], over: dict[str, Any], path: Path) -> dict[str, Any]:
    """``over`` laid on ``base``, two levels deep; keys that ``base`` does not know are refused."""
    if not base:
        return over
    merged = {section: dict(values) for section, values in base.items()}
    for section, values in over.items():
        for key, value in values.items() if isinstance(values, dict) else [("", values)]:
            if key not in merged.get(section, {}):
                raise SettingsError(
                    f"{path}: there is no setting [{section}] {key}; see the shipped house.toml."
                )
            merged[section][key] = value
    return merged


def _checked(raw: dict[str, Any], path: Path) -> House:
    try:
        office, look = raw["office"], raw["look"]
        house = House(
            name=_both(office["name"]),
            address=_both(office["address"]),
            email=str(office["email"]),
            accent=look["accent"],
            accent_dark=look["accent_dark"],
            chinese=raw["language"]["chinese"],
            zones=tuple(ReaderZone(z["zone"], _both(z)) for z in raw["readers"]["zones"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{path}: {error} is missing or of the wrong shape; see the shipped house.toml."
        ) from None
    for key in ("accent", "accent_dark"):
        if not _COLOUR.fullmatch(str(getattr(house, key))):
            raise SettingsError(f"{path}: [look] {key} must be a colour such as #9b1c2e.")
    if house.chinese not in ("zh-Hans", "zh-Hant"):
        raise SettingsError(f"{path}: [language] chinese must be zh-Hans or zh-Hant.")
    try:
        for reader in house.zones:
            clock.zone(reader.zone)
    except UsageError as error:
        raise SettingsError(f"{path}: [readers] zones: {error}") from None
    return house


def _both(raw: dict[str, Any]) -> Bilingual:
    return Bilingual(zh=str(raw["zh"]), en=str(raw["en"]))

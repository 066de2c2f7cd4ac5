"""What the site says of itself: the languages in its configuration.

Source: gohugo.io/configuration/introduction and /languages. Read only to check; themes and modules may add to it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_ENDINGS = ("toml", "yaml", "yml", "json")


def read(folder: Path) -> dict[str, Any] | None:
    """The configuration, keys in lower case; ``None`` where the folder has none. Raises ``ValueError``, ``OSError``."""
    for place, names in ((folder, ("hugo", "config")), (folder / "config" / "_default", ("hugo", "config"))):
        found = next((p for n in names for e in _ENDINGS if (p := place / f"{n}.{e}").is_file()), None)
        if found:
            apart = next(
                (p for e in _ENDINGS if (p := folder / f"config/_default/languages.{e}").is_file()), None
            )
            return _parsed(found) | ({"languages": _parsed(apart)} if apart else {})
    return None


def languages(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The site's languages by code, those that are switched off left out. A site without any has its default one."""
    default = str(config.get("defaultcontentlanguage", "en")).lower()
    told = config.get("languages") or {}
    found: dict[str, dict[str, Any]] = {
        code: table for code, table in told.items() if isinstance(table, dict)
    }
    off = {str(code).lower() for code in config.get("disablelanguages") or ()}
    shown = {code: t for code, t in found.items() if code not in off and not t.get("disabled")}
    return shown or {default: {}}


def _parsed(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        if path.suffix == ".toml":
            found: Any = tomllib.loads(text)
        else:
            found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    return _lower(found) if isinstance(found, dict) else {}


def _lower(table: Mapping[str, Any]) -> dict[str, Any]:
    """Hugo does not tell capitals in keys."""
    return {str(k).lower(): _lower(v) if isinstance(v, dict) else v for k, v in table.items()}

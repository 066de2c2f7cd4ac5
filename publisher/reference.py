"""Documentation written from the code: settings (``.env.example``, README, ``publisher adapters``) and states."""

from __future__ import annotations

import ast
import inspect
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from publisher import registry
from publisher.channel import ChannelSettings
from publisher.delivery import MOVES, State
from publisher.settings import OfficeSettings

_HEAD = """\
# Settings of the publisher. Lines that start with # are comments; a value left empty keeps its default.
# Keep this file readable by its owner alone (mode 0600): it holds passwords.
"""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr) or value is None:
        return ""
    if isinstance(value, tuple | list):
        return ",".join(str(item) for item in value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.as_posix() if isinstance(value, Path) else str(value)


def _settings(model: type[BaseModel], prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{prefix}{name.upper()}",
            "default": _default(field),
            "required": field.is_required(),
            "help": field.description or "",
        }
        for name, field in model.model_fields.items()
    ]


def office() -> list[dict[str, Any]]:
    """The settings of the office as a whole."""
    return _settings(OfficeSettings, "PUBLISHER_")


def adapters() -> list[dict[str, Any]]:
    """Every installed adapter with its title and settings; ``CHANNEL_`` stands for the channel's own prefix."""
    described = []
    for name in registry.names():
        adapter = registry.adapter(name)
        own = [f for f in adapter.Settings.model_fields if f not in ChannelSettings.model_fields]
        settings = _settings(adapter.Settings, "CHANNEL_")
        settings.sort(key=lambda s: s["name"].removeprefix("CHANNEL_").lower() not in own)
        described.append(
            {"name": name, "title": adapter.title, "kind": str(adapter.kind), "settings": settings}
        )
    return described


def env_example(secret: str = "") -> str:
    """A complete ``.env`` to start from: every setting with its default and one line of help.

    ``secret`` is what signs the links in newsletters; none in an example.
    """
    lines = [_HEAD]
    values = {"PUBLISHER_SECRET": secret}
    for setting in office():
        value = values.get(setting["name"], setting["default"])
        lines.append(f"# {setting['help']}\n{setting['name']}={value}\n")
    lines.append(
        "# A channel's name is the prefix of its settings, and is yours to choose. Remove the #\n"
        "# of the channels you want, and list their names in PUBLISHER_CHANNELS above.\n"
    )
    for adapter in adapters():
        name = adapter["name"].upper()
        lines.append(f"# --- {name.lower()}: {adapter['title']} ---\n# {name}_ADAPTER={adapter['name']}")
        for setting in adapter["settings"]:
            key = setting["name"].replace("CHANNEL_", f"{name}_", 1)
            note = " (required)" if setting["required"] else ""
            lines.append(f"# {setting['help']}{note}\n# {key}={setting['default']}")
        lines.append("")
    return "\n".join(lines)


def settings_table() -> str:
    """The settings as Markdown tables, for the README."""
    blocks = [_table("The office", office())]
    for adapter in adapters():
        blocks.append(_table(f"Adapter `{adapter['name']}`: {adapter['title']}", adapter["settings"]))
    return "\n\n".join(blocks)


def moves_table() -> str:
    """The states of a delivery and every move that is allowed, as a Markdown table for the documentation."""
    rows = ["| state | what it means | may become |", "| --- | --- | --- |"]
    for state, meaning in _meanings().items():
        onward = ", ".join(to for to in State if to in MOVES[state]) or "nothing else"
        rows.append(f"| {state} | {meaning} | {onward} |")
    return "\n".join(rows)


def _meanings() -> dict[State, str]:
    """The sentence that stands below each state where it is defined."""
    (definition,) = ast.parse(inspect.getsource(State)).body
    assert isinstance(definition, ast.ClassDef)
    sentences = [
        node.value.value
        for node in definition.body[1:]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return dict(zip(State, map(str, sentences), strict=True))


def _table(title: str, settings: list[dict[str, Any]]) -> str:
    rows = [f"**{title}**", "", "| setting | default | what it is |", "| --- | --- | --- |"]
    for setting in settings:
        default = (
            f"`{setting['default']}`" if setting["default"] else ("*required*" if setting["required"] else "")
        )
        rows.append(f"| `{setting['name']}` | {default} | {setting['help']} |")
    return "\n".join(rows)

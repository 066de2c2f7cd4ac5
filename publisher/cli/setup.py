"""init, channels, adapters."""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path

from publisher import reference, registry
from publisher.channel import DeliveryError
from publisher.cli import output
from publisher.cli.office import load_settings
from publisher.errors import NotAllowedError, PublisherError, UsageError
from publisher.registry import AnyAdapter


def init(arguments: argparse.Namespace) -> int:
    """Writes ``.env``, readable by its owner alone, and makes the data folder."""
    path = Path(arguments.env or ".env")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NotAllowedError(
            f"{path} is there already and was left as it is; edit it, or move it away."
        ) from None
    except OSError as error:
        raise PublisherError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(reference.env_example())
    home = path.parent / "data"
    home.mkdir(mode=0o700, exist_ok=True)
    if arguments.json:
        output.as_json({"env": str(path), "home": str(home)})
    else:
        print(f"Wrote {path} (readable by you alone) and made {home}/.")
        print("Next: edit it, then: publisher channels check")
    return 0


def channels(arguments: argparse.Namespace) -> int:
    """What is configured; with check, code 1 if a channel could not publish."""
    loaded = load_settings(arguments)
    if not loaded.channels:
        raise UsageError('No channel is configured; run "publisher init" and set PUBLISHER_CHANNELS in .env.')
    built = registry.build(loaded)
    canonical = registry.canonical(loaded, built)
    answers = asyncio.run(_ask(built)) if arguments.what else {}
    rows = [
        {
            "channel": name,
            "adapter": loaded.channels[name].adapter,
            "kind": str(channel.kind),
            "languages": ", ".join(channel.settings.languages),
            "layout": str(channel.settings.layout),
            "canonical": name == canonical,
            **({"ready": answers[name][0], "answer": answers[name][1]} if answers else {}),
        }
        for name, channel in built.items()
    ]
    if arguments.json:
        output.as_json(rows)
    else:
        _print_channels(rows)
    return int(any(not ready for ready, _ in answers.values()))


def _print_channels(rows: list[dict[str, object]]) -> None:
    headers = ["Channel", "Adapter", "Kind", "Languages", "Layout", "Others link to it"]
    if "answer" in rows[0]:
        headers.append("Ready")
    cells = []
    for row in rows:
        cell = [str(row[k]) for k in ("channel", "adapter", "kind", "languages", "layout")]
        cell.append("yes" if row["canonical"] else "")
        if "answer" in row:
            cell.append(f"{'yes' if row['ready'] else 'NO'}: {row['answer']}")
        cells.append(cell)
    output.table(headers, cells)


async def _ask(built: dict[str, AnyAdapter]) -> dict[str, tuple[bool, str]]:
    async def ask(channel: AnyAdapter) -> tuple[bool, str]:
        try:
            return True, await channel.check()
        except DeliveryError as error:
            return False, str(error)
        finally:
            await channel.close()

    answers = await asyncio.gather(*(ask(channel) for channel in built.values()))
    return dict(zip(built, answers, strict=True))


def adapters(arguments: argparse.Namespace) -> int:
    """What can be configured."""
    described = reference.adapters()
    if arguments.json:
        output.as_json(described)
        return 0
    for adapter in described:
        print(f"{adapter['name']}: {adapter['title']}")
        rows = [
            (s["name"], s["default"] or ("required" if s["required"] else ""), s["help"])
            for s in adapter["settings"]
        ]
        output.table(("Setting", "Default", "What it is"), rows)
    return 0

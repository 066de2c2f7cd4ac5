"""init, channels, adapters."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from publisher import reference
from publisher.channel import DeliveryError
from publisher.cli import output
from publisher.cli.office import open_control, person
from publisher.desk import Desk
from publisher.errors import NotAllowedError, PublisherError, UsageError
from publisher.registry import AnyAdapter
from publisher.store.channels import Health
from publisher.words import Outlook, halted, pause, paused, unmanned


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
        file.write(reference.env_example(secrets.token_hex(32)))
    home = path.parent / "data"
    home.mkdir(mode=0o700, exist_ok=True)
    if arguments.json:
        output.as_json({"env": str(path), "home": str(home)})
    else:
        print(f"Wrote {path} (readable by you alone) and made {home}/.")
        print("Next: edit it, then: publisher channels check")
    return 0


def channels(arguments: argparse.Namespace) -> int:
    """What is configured and how it does; with check, code 1 if a channel could not publish."""
    if (arguments.what == "resume") != bool(arguments.name):
        raise UsageError(
            "Write: publisher channels, publisher channels check, or publisher channels resume NAME."
        )
    with open_control(arguments) as (control, desk):
        if arguments.name:
            return _resume(arguments, control.resume(arguments.name, person(arguments)))
        zone = desk.settings.office.timezone
        answers = asyncio.run(_ask(desk.channels)) if arguments.what else {}
        rows = [_row(desk, name, health, answers.get(name)) for name, health in control.health().items()]
        outlook = control.outlook(zone)
    if arguments.json:
        output.as_json(rows)
    else:
        _print_channels(rows, outlook)
    return int(any(not ready for ready, _ in answers.values()))


def _resume(arguments: argparse.Namespace, changed: bool) -> int:
    if arguments.json:
        output.as_json({"channel": arguments.name, "paused": False})
    else:
        print(f"{arguments.name} goes on now." if changed else f"{arguments.name} was not paused.")
    return 0


def _row(desk: Desk, name: str, health: Health, answer: tuple[bool, str] | None) -> dict[str, object]:
    adapter = desk.channels[name]
    row: dict[str, object] = {
        "channel": name,
        "adapter": desk.settings.channels[name].adapter,
        "kind": str(adapter.kind),
        "languages": ", ".join(adapter.settings.languages),
        "layout": str(adapter.settings.layout),
        "canonical": name == desk.canonical,
        "paused": health.reason if health.paused_at else "",
    }
    return row | ({"ready": answer[0], "answer": answer[1]} if answer else {})


def _print_channels(rows: list[dict[str, object]], outlook: Outlook) -> None:
    headers = ["Channel", "Adapter", "Kind", "Languages", "Layout", "Others link to it"]
    checked = "answer" in rows[0]
    headers.append("Ready" if checked else "Stands")
    cells = []
    for row in rows:
        cell = [str(row[k]) for k in ("channel", "adapter", "kind", "languages", "layout")]
        cell.append("yes" if row["canonical"] else "")
        if checked:
            cell.append(f"{'yes' if row['ready'] else 'NO'}: {row['answer']}")
        else:
            cell.append("paused" if outlook.pause(str(row["channel"])) else "works")
        cells.append(cell)
    output.table(headers, cells)
    names = [str(row["channel"]) for row in rows]
    output.lines(sentence for name in names for sentence in pause(outlook, name))
    found = [halted(outlook), unmanned(outlook), *(paused(outlook, name) for name in names)]
    output.todos(todo for todo in found if todo)


async def _ask(built: Mapping[str, AnyAdapter]) -> dict[str, tuple[bool, str]]:
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

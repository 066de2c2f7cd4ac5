"""preview --send-to."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from publisher.channel import Fate
from publisher.cli import output
from publisher.cli.office import open_desk
from publisher.engine import trial
from publisher.registry import AnyAdapter

_LANGUAGES = {"zh": "Chinese", "en": "English", "both": "both languages"}
_FATES = {
    Fate.SENT: "sent",
    Fate.DEFERRED: "not sent, refused for now",
    Fate.REFUSED: "not sent, refused",
    Fate.UNSENT: "not sent",
    Fate.UNKNOWN: "perhaps sent, there was no answer",
}


def send(arguments: argparse.Namespace) -> int:
    """Sends the test letters; code 1 where one was not sent."""
    with open_desk(arguments) as desk:
        letters = trial.prepare(desk, arguments.id, arguments.send_to, arguments.language, arguments.channel)
        tried = asyncio.run(_all(letters, desk.channels))
    if arguments.json:
        output.as_json([asdict(one) for one in tried])
    for one in () if arguments.json else tried:
        said = f" ({one.answer})" if one.answer else ""
        print(
            f"{one.channel}: a test in {_LANGUAGES[one.language]} to {arguments.send_to}: {_FATES[one.fate]}{said}"
        )
    return int(any(one.fate is not Fate.SENT for one in tried))


async def _all(letters: Sequence[trial.Trial], channels: Mapping[str, AnyAdapter]) -> list[trial.Tried]:
    """What became of each letter, sent one after the other."""
    try:
        return [await letter.send() for letter in letters]
    finally:
        for channel in channels.values():
            await channel.close()

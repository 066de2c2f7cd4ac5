"""A worker process for the tests that kill it: its mail server is a file to which every letter is one line.

Run as ``python -m tests.mailing_worker HOME URL SEED``. Like a real sender it has several letters under way at a time,
and is slow at every point at which it could be killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

from publisher.channel import Fate, Letter, MailingSettings, Record
from publisher.engine.embedded import EmbeddedEngine
from publisher.store import Store
from tests.toy import ToyMail, ToyPayload, letter_office

CONNECTIONS = 4
LEASE = timedelta(seconds=1)


class FileMail(ToyMail):
    """Writes each letter to a file, as a server would take it; the answer comes after a moment."""

    rng = random.Random()
    inbox: int

    async def mail(
        self, payload: ToyPayload, letters: AsyncIterator[Sequence[Letter]], record: Record
    ) -> None:
        waiting: asyncio.Queue[Letter | None] = asyncio.Queue(maxsize=CONNECTIONS)
        connections = [asyncio.create_task(self._connection(waiting, record)) for _ in range(CONNECTIONS)]
        async for group in letters:
            for letter in group:
                await waiting.put(letter)
        for _ in connections:
            await waiting.put(None)
        await asyncio.gather(*connections)

    async def _connection(self, waiting: asyncio.Queue[Letter | None], record: Record) -> None:
        while (letter := await waiting.get()) is not None:
            if not record.begin(letter.number):
                record.end(letter.number, Fate.UNSENT, "not begun")
                continue
            await self._dawdle()
            os.write(self.inbox, f"{letter.address} {letter.ref}\n".encode())
            await self._dawdle()
            record.end(letter.number, Fate.SENT, "250 ok")
            await self._dawdle()

    async def _dawdle(self) -> None:
        await asyncio.sleep(self.rng.random() * 0.004)


async def run(home: Path, url: str, seed: int) -> None:
    """Works until it is killed or everything is out."""
    store = Store.open(home, url)
    channel = FileMail("letters", MailingSettings(), home)
    channel.rng = random.Random(seed)
    channel.inbox = os.open(home / "inbox", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    engine = EmbeddedEngine(
        store, {"letters": channel}, f"w{os.getpid()}", lease=LEASE, office=letter_office(home)
    )
    print("ready", flush=True)
    while True:
        await engine.enqueue_due()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

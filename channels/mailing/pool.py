"""The connections of one mailing: opened as they are needed, used again, closed politely."""

from __future__ import annotations

import selectors
import time
from collections import deque
from collections.abc import Callable

from channels.mailing.dialogue import Dialogue
from channels.mailing.line import Line, Patience
from channels.mailing.opening import Opened, Opening
from channels.mailing.outbox import Outbox
from channels.mailing.settings import SubscribersSettings
from publisher.channel import Unavailable

_TICK = 0.25
"""Seconds between two looks at the deadlines, at most."""
_FAILURES = 3
"""Connections that could not be opened, in a row and while there is none, after which nothing can be sent."""
_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
"""Seconds before another one is opened after one could not be; doubled each time."""
_READ, _BOTH = selectors.EVENT_READ, selectors.EVENT_READ | selectors.EVENT_WRITE


class Pool:
    """Used in the thread that sends, but for what an opening tells. No letter waits here."""

    def __init__(
        self,
        channel: str,
        settings: SubscribersSettings,
        outbox: Outbox,
        selector: selectors.BaseSelector,
        wake: Callable[[], None],
    ) -> None:
        self._channel, self._settings, self._outbox = channel, settings, outbox
        self._selector, self._wake = selector, wake
        self._patience = Patience(settings.timeout, settings.answer_timeout)
        self._tick = min(_TICK, settings.timeout / 4, settings.answer_timeout / 4)
        self._look = 0.0
        self._lines: dict[Line, int] = {}
        self._idle: set[Line] = set()
        self._openings: set[Opening] = set()
        self._told: deque[tuple[Opening, Opened | Exception]] = deque()
        self._opened_once = False
        self._failures, self._not_before = 0, 0.0
        self._barren, self._answered = 0, 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def busy(self) -> int:
        """Connections with a letter under way."""
        return len(self._lines) - len(self._idle)

    @property
    def wants_letters(self) -> bool:
        """Whether a letter could begin at once, or a connection could be opened for it."""
        return bool(self._idle) or len(self._lines) + len(self._openings) < self._settings.connections

    @property
    def tick(self) -> float:
        """Seconds after which :meth:`look` wants to be called again, at most."""
        return self._tick

    # --- letters to connections --------------------------------------------------------------------------

    def supply(self) -> None:
        """Gives letters to connections that have none, and opens more where letters are left."""
        self._outbox.prepare(len(self._idle))
        while self._idle:
            line = next(iter(self._idle))
            task = self._outbox.next(line.dialogue.offers)
            if task is None:
                return
            self._idle.discard(line)
            line.send(task, time.monotonic())
            self._after(line)
        self._open()

    def _open(self) -> None:
        if time.monotonic() < self._not_before or self._outbox.stopped:
            return
        # The first one shows whether there is any use in more.
        most = self._settings.connections if self._opened_once else 1
        room, need = most - len(self._lines), self._outbox.ready()
        for _ in range(min(room, need) - len(self._openings)):
            self._begin_opening()

    def _begin_opening(self) -> None:
        def tell(found: Opened | Exception) -> None:
            self._told.append((opening, found))
            self._wake()

        opening = Opening(self._channel, self._settings, tell)
        self._openings.add(opening)
        opening.start()

    def welcome(self) -> None:
        """Takes in the connections that were opened meanwhile."""
        while self._told:
            opening, found = self._told.popleft()
            self._openings.discard(opening)
            if isinstance(found, Opened):
                self._admit(found)
            else:
                self._turned_away(found)

    def _admit(self, found: Opened) -> None:
        self._opened_once, self._failures = True, 0
        dialogue = Dialogue(self._outbox, found.offers, self._settings.messages_per_connection)
        line = Line(found.connection, dialogue, self._patience, time.monotonic())
        self._lines[line] = _READ
        self._idle.add(line)
        self._selector.register(line, _READ, line)

    def _turned_away(self, error: Exception) -> None:
        """Goes on with the connections there are; without any, tries again a few times if it has ever worked."""
        self._failures += 1
        self._not_before = time.monotonic() + min(_PAUSE * 2 ** (self._failures - 1), _LONGEST_PAUSE)
        alone = not self._lines and not self._openings
        if alone and (not self._opened_once or self._failures >= _FAILURES):
            self._outbox.fail(error)

    # --- what happens on them ------------------------------------------------------------------------------

    def serve(self, line: Line) -> None:
        """Something can be read or written."""
        line.proceed(time.monotonic())
        self._after(line)

    def look(self) -> None:
        """Ends what is late: connections that were not answered, and those that nobody needs."""
        now = time.monotonic()
        if now < self._look:
            return
        self._look = now + self._tick
        for line in [line for line in self._lines if line.deadline <= now]:
            if line in self._idle:
                self._leave(line)
            else:
                line.late()
                self._after(line)

    def _after(self, line: Line) -> None:
        """Puts a connection where it belongs now."""
        if line.error:
            self._lost(line)
            return
        if line.idle:
            if line.dialogue.spent:
                self._leave(line)
                return
            self._idle.add(line)
        else:
            self._idle.discard(line)
        events = _BOTH if line.blocked else _READ
        if self._lines[line] != events:
            self._lines[line] = events
            self._selector.modify(line, events, line)

    def _leave(self, line: Line) -> None:
        self._idle.discard(line)
        line.quit(time.monotonic())
        self._after(line)

    def _lost(self, line: Line) -> None:
        self._idle.discard(line)
        del self._lines[line]
        self._selector.unregister(line)
        line.close()
        if line.cost:
            self._count(line.error)

    def _count(self, why: str) -> None:
        """Stops where connections break and break while no letter gets an answer: each one costs a letter."""
        progress = self._outbox.answered != self._answered
        self._answered = self._outbox.answered
        self._barren = 1 if progress else self._barren + 1
        if self._barren >= self._settings.connections + 2:
            server = f"{self._settings.host}:{self._settings.effective_port}"
            self._outbox.fail(
                Unavailable(f"{server} breaks one connection of {self._channel} after the other ({why}).")
            )

    # --- the end -------------------------------------------------------------------------------------------

    def dismiss(self) -> None:
        """Closes what is idle, and opens nothing any more; what is under way goes on."""
        for opening in self._openings:
            opening.call_off()
        self._openings.clear()
        for _, found in self._told:
            if isinstance(found, Opened):
                found.connection.close()
        self._told.clear()
        for line in list(self._idle):
            self._leave(line)

    def cut(self, why: str) -> None:
        """Ends every connection at once."""
        for line in list(self._lines):
            line.cut(why)
            self._lost(line)

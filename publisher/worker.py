"""When: APScheduler wakes, the engine delivers. The store remembers what is due, so a restart forgets nothing."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from pydantic import SecretStr

from publisher import clock, planning
from publisher.alerts import Teller, Watch
from publisher.delivery import Patience
from publisher.engine.embedded import EmbeddedEngine
from publisher.engine.letters import Office
from publisher.engine.port import Engine
from publisher.engine.writer import Writer
from publisher.errors import PublisherError
from publisher.registry import AnyAdapter
from publisher.returns import Collector
from publisher.store import Store

log = structlog.get_logger("publisher.worker")

_SWEEP_SECONDS = 0.5
"""How soon a change made by another process, such as ``publisher schedule``, is seen."""
_CLOCK_SET = 5.0
"""Seconds by which the clock on the wall must have left the course of time to have been set."""
_TIDY_SECONDS = 60
_REPLAN_SECONDS = 3600
_WATCH_SECONDS = 60
_COLLECT_SECONDS = 300


class Worker:
    """One process that publishes unattended until it is told to stop."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, AnyAdapter],
        engine: Engine,
        writer: Writer,
        watch: Watch,
        *,
        home: Path | None = None,
        collector: Collector | None = None,
        now: clock.Clock = clock.now,
    ) -> None:
        """``collector`` empties the mailbox of bounces, where there is one."""
        self._collector = collector
        self._store, self._channels, self._engine, self._writer = store, channels, engine, writer
        self._watch, self._home, self._now = watch, home, now
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._stop = asyncio.Event()
        self._armed: datetime | None = None
        self._waking = asyncio.Lock()
        self._pokes: set[asyncio.Task[None]] = set()

    async def run(self, *, signals: bool = True) -> None:
        """Publishes each delivery at its hour until SIGTERM, SIGINT or :meth:`stop`."""
        self._add_jobs()
        with ended_by_signals(self._stop) if signals else contextlib.nullcontext():
            await self._tidy()
            await self._replan()
            await self._watch.alive()
            self._engine.on_end = self._poke
            self._scheduler.start()
            log.info("the worker is ready", event_name="worker.started", channels=list(self._channels))
            sweep = asyncio.create_task(self._sweep(), name="sweep")
            await self._stop.wait()
            log.info("the worker is stopping", event_name="worker.stopping")
            self._scheduler.shutdown(wait=False)
            # At once, since what is under way may be waiting for a store that is away; and again for what it began.
            await self._engine.stop()
            await asyncio.gather(sweep, *self._pokes)
            await self._engine.drain()
            await self._watch.end()
            self._writer.close()
        log.info("the worker has stopped", event_name="worker.stopped")

    async def run_once(self) -> datetime | None:
        """Publishes what is due, and what becomes due by it; the next due moment, if there is one."""
        await self._tidy()
        await self._replan()
        while await self._engine.enqueue_due():
            await self._engine.drain()
        due = await self._engine.next_due()
        await self._watch.look()
        await self._engine.stop()
        self._writer.close()
        return due

    def stop(self) -> None:
        """Asks the worker to end between two steps."""
        self._stop.set()

    def _add_jobs(self) -> None:
        """The jobs of every minute and every hour, counted from now."""
        self._add_job(self._tidy, IntervalTrigger(seconds=_TIDY_SECONDS), "tidy")
        self._add_job(self._replan, IntervalTrigger(seconds=_REPLAN_SECONDS), "replan")
        self._add_job(self._alive, IntervalTrigger(seconds=_WATCH_SECONDS), "alive")
        if self._collector is not None:
            self._add_job(self._collect, IntervalTrigger(seconds=_COLLECT_SECONDS), "bounces")
        if self._watch.tells:
            self._add_job(self._watch.look, IntervalTrigger(seconds=_WATCH_SECONDS), "alerts")

    async def _sweep(self) -> None:
        """Looks twice a second, until it is to stop, by a clock that nobody sets.

        The scheduler goes by the clock on the wall: set back an hour, its jobs would rest for an hour.
        """
        loop = asyncio.get_running_loop()
        wall = self._now().timestamp() - loop.time()
        while not self._stop.is_set():
            await self._wake()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _SWEEP_SECONDS)
            moved = self._now().timestamp() - loop.time() - wall
            if abs(moved) > _CLOCK_SET:
                wall += moved
                log.warning("the clock was set", event_name="clock.set", seconds=round(moved, 1))
                self._armed = None
                self._add_jobs()

    def _poke(self) -> None:
        """Wakes at once, rather than at the next sweep: the canonical link may just have come."""
        task = asyncio.get_running_loop().create_task(self._wake())
        self._pokes.add(task)
        task.add_done_callback(self._pokes.discard)

    def _add_job(self, work: Any, trigger: Any, name: str, args: tuple[bool, ...] = ()) -> None:
        self._scheduler.add_job(
            work,
            trigger,
            args=args,
            id=name,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
            replace_existing=True,
        )

    async def _wake(self, on_the_dot: bool = False) -> None:
        """Starts what is due and arms the clock for the next moment; ``on_the_dot``, something is known to be due."""
        if self._stop.is_set() or self._waking.locked():
            return
        async with self._waking:
            try:
                due = (self._armed if on_the_dot else None) or await self._engine.next_due()
                while due is not None and due <= self._now() and await self._engine.enqueue_due():
                    due = await self._engine.next_due()
                self._arm(due)
            except PublisherError as error:
                # The next sweep tries again; nothing is lost, since nothing was claimed.
                log.error("the store cannot be used", event_name="store.unusable", reason=str(error))
            except Exception:  # a slip of ours must not end the worker: what is due is then overdue, and told
                log.exception("what is due could not be looked for", event_name="engine.failed")

    async def _tidy(self) -> None:
        """Frees what a crash between two commits may have left waiting for its link."""
        try:
            await self._writer.write(lambda tx: tx.deliveries.release_all(self._now()))
        except PublisherError as error:  # the next minute tries again
            log.error("the store cannot be used", event_name="store.unusable", reason=str(error))

    async def _alive(self) -> None:
        """A sign of life only while it is true: a worker that does not look for what is due any more is not alive."""
        looked = self._engine.health().looked
        if looked is None or self._now() - looked < timedelta(seconds=_WATCH_SECONDS):
            await self._watch.alive()
        else:
            log.error("nothing has been looked for lately", event_name="engine.stuck", since=str(looked))

    async def _collect(self) -> None:
        """Acts on what came back of newsletters. It may wait for a mailbox for minutes, and nothing waits for it."""
        assert self._collector is not None
        await asyncio.to_thread(self._collector.collect)

    async def _replan(self) -> None:
        """Holds what is planned to the wall time that was signed, should the rules of its zone have changed."""

        def work() -> list[tuple[str, str]]:
            clock.forget_zones()
            with self._store.write() as tx:
                return planning.replan(tx, self._channels, self._home, self._now())

        try:
            told = await self._writer.call(work)
        except PublisherError as error:  # the next hour tries again
            log.error("the store cannot be used", event_name="store.unusable", reason=str(error))
            return
        for key, sentence in told:
            log.warning(
                "the rules of a time zone have changed",
                event_name="announcement.replanned",
                key=key,
                reason=sentence,
            )

    def _arm(self, due: datetime | None) -> None:
        if due == self._armed or self._stop.is_set():
            return
        self._armed = due
        if due is not None and due > self._now():
            self._add_job(self._wake, DateTrigger(due), "due", args=(True,))


@contextlib.contextmanager
def ended_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set ``stop``."""
    loop = asyncio.get_running_loop()
    names = (signal.SIGTERM, signal.SIGINT)
    for name in names:
        loop.add_signal_handler(name, stop.set)
    try:
        yield
    finally:
        for name in names:
            loop.remove_signal_handler(name)


def owner() -> str:
    """A name for this process in leases and in the log."""
    # The random part: a container that restarts has the same name and number, and must not keep the old leases.
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"


def assemble(
    store: Store,
    channels: Mapping[str, AnyAdapter],
    *,
    retry_hours: float = 24.0,
    alerts: SecretStr | None = None,
    zone: str = "UTC",
    home: Path | None = None,
    office: Office | None = None,
    collector: Collector | None = None,
    now: clock.Clock = clock.now,
) -> Worker:
    """A worker over ``store`` and ``channels`` that sends ``alerts`` to Apprise addresses, with times in ``zone``.

    ``home`` is the office's folder, whose house style says in which zone events are; ``office`` is what newsletters
    to its own subscribers need, and ``collector`` empties the mailbox of what comes back of them.
    Raises :class:`SettingsError` for an address that cannot be used.
    """
    teller = Teller(alerts) if alerts else None
    name = owner()
    writer = Writer(store, now)
    patience = Patience(total=timedelta(hours=retry_hours))
    engine = EmbeddedEngine(store, channels, name, writer=writer, now=now, patience=patience, office=office)
    pace = {name: channel.settings.per_minute for name, channel in channels.items()}
    watch = Watch(store, writer.call, name, pace, teller=teller, zone=zone, now=now)
    return Worker(store, channels, engine, writer, watch, home=home, collector=collector, now=now)


async def close(channels: Iterable[AnyAdapter]) -> None:
    """Closes every channel's connections."""
    for channel in channels:
        await channel.close()


class _Steady(io.TextIOBase):
    """A stream whose failures stay with it: a log on a full disk must not cost the result it speaks of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes ``text``, or drops it where nothing can be written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes, or lets it be."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person is watching."""
        return self._stream.isatty()


def configure_logging(secrets: Iterable[str], stream: TextIO | None = None) -> None:
    """Structured lines on stderr, JSON unless a person is watching; a secret is never among them.

    Adapters scrub their own messages; this is the net below, for what a library may say.
    """
    hidden = sorted({secret for secret in secrets if len(secret) > 3}, key=len, reverse=True)
    steady = cast(TextIO, _Steady(stream or sys.stderr))

    def scrub(_: Any, __: str, fields: Any) -> Any:
        return {name: _scrubbed(value, hidden) for name, value in fields.items()}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # No rich tracebacks on a terminal: they print local variables, and those hold passwords.
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = console if steady.isatty() else structlog.processors.JSONRenderer(ensure_ascii=False)
    last: list[Any] = [structlog.processors.format_exc_info, scrub, renderer]
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=structlog.WriteLoggerFactory(steady),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(steady)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    # A store that is busy for a second is no news; a sweep that was skipped comes again.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _scrubbed(value: Any, hidden: list[str]) -> Any:
    if isinstance(value, str):
        for secret in hidden:
            value = value.replace(secret, "***")
        return value
    if isinstance(value, dict):
        return {key: _scrubbed(item, hidden) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrubbed(item, hidden) for item in value]
    return value

"""Stands between the worker and a service: knows when all is quiet, and can lose an answer after the service acted."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

AFTER_DOT, SILENT_AFTER_DOT, IN_MESSAGE = "cut after the dot", "silent after the dot", "cut in the message"
MAIL_FAULTS = (AFTER_DOT, SILENT_AFTER_DOT, IN_MESSAGE)
"""What can go wrong with a mail; each meets the next connection that gets that far, once."""
LATE_AFTER_DOT = "late after the dot"
"""No fault, but a slow service: the answer comes, :attr:`Relay.late` seconds later."""
_DOT = b"\r\n.\r\n"


class Relay:
    """Passes connections on to ``port`` of this machine. A context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.fault = ""
        """One of :data:`MAIL_FAULTS`, or :data:`LATE_AFTER_DOT`, or nothing."""
        self.late = 0.0
        self.served = 0
        """How many connections there were."""
        self._open = 0
        self._probe: tuple[str, int] | None = None
        self._serving: set[asyncio.Task[None] | None] = set()
        """The loop knows its tasks only weakly, and a stream its reader: without this they would be swept up."""
        self._changed = threading.Condition()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._ready = threading.Event()
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def quiet(self, seconds: float = 10.0) -> None:
        """Returns when no connection is open: what the service was told, it has done. Raises ``TimeoutError``.

        A connection of our own goes in last and comes out when all that came before are being served.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._probe = probe.getsockname()
            probe.settimeout(seconds)
            probe.connect(("127.0.0.1", self.port))
            with contextlib.suppress(ConnectionResetError):
                probe.recv(1)
        with self._changed:
            if not self._changed.wait_for(lambda: self._open == 0, seconds):
                raise TimeoutError("A connection to a service does not end.")

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, sock=self._listening)
        self._ready.set()
        await self._stop.wait()
        server.close()
        while mine := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)
            await asyncio.sleep(0)  # what was accepted last becomes a task only in the next turn of the loop

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("peername") == self._probe:
            writer.transport.abort()
            return
        self._count(1)
        self._serving.add(asyncio.current_task())
        try:
            service, to_service = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await self._between(reader, writer, service, to_service)
            finally:
                to_service.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._serving.discard(asyncio.current_task())
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._changed:
            self._open += change
            self.served += change > 0
            self._changed.notify_all()

    async def _between(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        service: asyncio.StreamReader,
        to_service: asyncio.StreamWriter,
    ) -> None:
        fault, tail = "", b""

        async def forth() -> None:
            nonlocal fault, tail
            while data := await reader.read(65536):
                if self.fault == IN_MESSAGE and len(data) > 600:
                    self.fault = ""
                    to_service.write(data[:300])
                    await to_service.drain()
                    return
                tail = (tail + data)[-len(_DOT) :]
                if tail == _DOT and self.fault:
                    fault, self.fault = self.fault, ""
                to_service.write(data)
                await to_service.drain()
            with contextlib.suppress(OSError):
                to_service.write_eof()
            await gone.wait()

        async def back() -> None:
            nonlocal fault
            while data := await service.read(65536):
                if fault == AFTER_DOT:
                    break
                fault = await self._outwaited(fault)
                if fault != SILENT_AFTER_DOT:
                    writer.write(data)
                    await writer.drain()
            gone.set()

        gone = asyncio.Event()
        both = {asyncio.create_task(forth()), asyncio.create_task(back())}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _outwaited(self, fault: str) -> str:
        """What is left of ``fault`` after a while, if waiting is all there is to it."""
        if fault != LATE_AFTER_DOT:
            return fault
        await asyncio.sleep(self.late)
        return ""

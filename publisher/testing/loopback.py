"""A small HTTP/1.1 server on 127.0.0.1 whose faults are values.

It runs in a thread and an event loop of its own, so that a client in any loop can be tested against a real socket.
Every connection carries one request; nothing here waits for the clock except
:class:`~publisher.testing.exchange.Trickle`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import h11

from publisher.testing.exchange import (
    Answer,
    At,
    Cut,
    Endless,
    Fault,
    Raw,
    Request,
    Response,
    Stall,
    Trickle,
    Truncated,
)

Handle = Callable[[Request], Awaitable[Response]]


class LoopbackServer:
    """Serves ``handle`` on a free port. ``requests`` and ``acted`` log what was read and what was handled."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._faults: list[tuple[str, str, Fault]] = []
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="loopback", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.errors: list[Exception] = []
        self.url = ""
        self.requests: list[Request] = []
        self.acted: list[Request] = []

    def start(self) -> str:
        """Listens; the base URL, without a trailing slash. Raises ``OSError`` where no port can be had."""
        self._thread.start()
        self._await(lambda: bool(self.url or self.errors), 10.0)
        if self.errors:
            raise self.errors[0]
        return self.url

    def stop(self) -> None:
        """Breaks all connections and ends the thread; raises what the handler tripped over. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        if self.errors:
            raise self.errors[0]

    def inject(self, fault: Fault, *, method: str = "", path: str = "", times: int = 1) -> None:
        """The next ``times`` requests of ``method`` (any, where empty), below ``path``, meet ``fault``."""
        with self._changed:
            self._faults += [(method, path, fault)] * times

    def wait_until_acted(self, count: int = 1, timeout: float = 10.0) -> None:
        """Returns once the handler has acted ``count`` times. Raises ``TimeoutError``."""
        self._await(lambda: len(self.acted) >= count, timeout)

    def _await(self, true: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(true, timeout):
                raise TimeoutError("The loopback server did not get there in time.")

    def _tell(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    async def _run(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        except OSError as error:
            failure = error
            self._tell(lambda: self.errors.append(failure))
            return
        port = server.sockets[0].getsockname()[1]
        self._tell(lambda: setattr(self, "url", f"http://127.0.0.1:{port}"))
        await self._stopping.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*tuple(self._tasks), return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn of the loop

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError, h11.RemoteProtocolError):
            pass  # the client left, or we are stopping
        except Exception as error:
            # The handler's own mistake: the client sees a cut, and stop() raises it.
            failure = error
            self._tell(lambda: self.errors.append(failure))
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if early := self._fault(None):
            await _break(early, reader)
            return
        connection = h11.Connection(h11.SERVER)
        request = await _read(connection, reader)
        self._tell(lambda: self.requests.append(request))
        fault = self._fault(request)
        if isinstance(fault, Cut | Stall) and fault.at is At.READ:
            await _break(fault, reader)
        elif isinstance(fault, Raw):
            writer.write(fault.data)
            await _flush(writer)
        elif isinstance(fault, Answer):
            await self._answer(connection, writer, fault.response, None)
        else:
            response = await self._handle(request)
            self._tell(lambda: self.acted.append(request))
            if isinstance(fault, Cut | Stall):
                await _break(fault, reader)
            else:
                await self._answer(connection, writer, response, fault)

    def _fault(self, request: Request | None) -> Fault | None:
        """Takes the first fault meant for ``request``, or for a connection whose request is not read yet."""
        with self._changed:
            for index, (method, path, fault) in enumerate(self._faults):
                early = isinstance(fault, Cut | Stall) and fault.at is At.CONNECTED
                if early if request is None else not early and _meant(request, method, path):
                    return self._faults.pop(index)[2]
        return None

    async def _answer(
        self,
        connection: h11.Connection,
        writer: asyncio.StreamWriter,
        response: Response,
        fault: Fault | None,
    ) -> None:
        size = 1 << 40 if isinstance(fault, Endless) else len(response.body)
        headers = {**response.headers, "Content-Length": str(size), "Connection": "close"}
        head = connection.send(h11.Response(status_code=response.status, headers=list(headers.items())))
        writer.write(head or b"")
        body = response.body[: fault.keep] if isinstance(fault, Truncated) else response.body
        if isinstance(fault, Trickle):
            for index in range(len(body)):
                writer.write(body[index : index + 1])
                await writer.drain()
                await asyncio.sleep(fault.pace)
            body = b""
        writer.write(body)
        while isinstance(fault, Endless):
            writer.write(fault.filler)
            await writer.drain()
        await _flush(writer)


def _meant(request: Request, method: str, path: str) -> bool:
    return method in ("", request.method) and request.path.startswith(path)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> Request:
    """One whole request. Raises :class:`h11.RemoteProtocolError` for what is none."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            named = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode("latin-1"), named, bytes(body))
        else:
            raise h11.RemoteProtocolError("The client left.")


async def _break(fault: Fault, reader: asyncio.StreamReader) -> None:
    """Returns at once for a cut; for a stall, when the client leaves."""
    while isinstance(fault, Stall) and await reader.read(65536):
        pass


async def _flush(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()

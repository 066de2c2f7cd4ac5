"""A small HTTP/1.1 server on 127.0.0.1 whose faults are values.

It can cut, stall, lie and answer late at any byte, before or after it has acted. It runs in a thread and an event
loop of its own, so that a client in any loop can be tested against a real socket.
Every connection carries one request; nothing here waits for the clock except
:class:`~publisher.testing.exchange.Trickle`.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace

import h11

from publisher.testing.exchange import (
    Answer,
    At,
    Cut,
    Echo,
    Endless,
    Fault,
    Late,
    Raw,
    Request,
    Response,
    Stall,
    Trickle,
    Truncated,
    Where,
)

Handle = Callable[[Request], Awaitable[Response]]


class LoopbackServer:
    """Serves ``handle`` on a free port.

    ``requests`` and ``acted`` log what was read and what was handled, ``answers`` the bytes each handled answer has.
    """

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
        self.answers: list[int] = []

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

    def wait_until_acted(
        self, count: int = 1, timeout: float = 10.0, *, method: str = "", path: str = ""
    ) -> None:
        """Returns once the handler has acted on ``count`` requests of ``method``, below ``path``.

        Raises ``TimeoutError``.
        """
        self._await(lambda: sum(_meant(one, method, path) for one in self.acted) >= count, timeout)

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
        self._answered, self._another = 0, asyncio.Condition()
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
            await _break(early, reader, writer)
            return
        connection = h11.Connection(h11.SERVER)
        request = await _read(connection, reader)
        self._tell(lambda: self.requests.append(request))
        fault = self._fault(request)
        if isinstance(fault, Cut | Stall) and fault.at is At.READ:
            await _break(fault, reader, writer)
        elif isinstance(fault, Raw):
            await _send_raw(fault, writer)
        elif isinstance(fault, Answer) and not fault.acted:
            await self._answer(connection, reader, writer, fault.response, None)
        else:
            if isinstance(fault, Late):
                await self._until_late(fault, reader)
            response = await self._handle(request)
            self._tell(lambda: self.acted.append(request))
            await self._answer(connection, reader, writer, response, fault)
            async with self._another:
                self._answered += 1
                self._another.notify_all()

    async def _until_late(self, fault: Late, reader: asyncio.StreamReader) -> None:
        """Returns once the client has left, and others have been answered."""
        await _until_left(reader)
        goal = self._answered + fault.others
        async with self._another:
            await self._another.wait_for(lambda: self._answered >= goal)

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
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        response: Response,
        fault: Fault | None,
    ) -> None:
        if isinstance(fault, Answer):
            response = fault.response
        if isinstance(fault, Echo):
            response = _repeating(response, fault.text)
        size = 1 << 40 if isinstance(fault, Endless) else len(response.body)
        headers = {**response.headers, "Content-Length": str(size), "Connection": "close"}
        head = (
            connection.send(h11.Response(status_code=response.status, headers=list(headers.items()))) or b""
        )
        body = response.body[: fault.keep] if isinstance(fault, Truncated) else response.body
        self.answers.append(len(head) + len(response.body))
        if not isinstance(fault, Cut | Stall | Trickle):
            writer.write(head + body)
            while isinstance(fault, Endless):
                writer.write(fault.filler)
                await writer.drain()
            await _flush(writer)
            return
        place = fault.after.offset(head, body) if isinstance(fault.after, Where) else fault.after
        writer.write((head + body)[:place])
        await writer.drain()
        if isinstance(fault, Trickle):
            await _trickle((head + body)[place:], fault.pace, writer)
        else:
            await _break(fault, reader, writer)


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


async def _break(fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends the connection for a cut; for a stall, returns when the client leaves."""
    if isinstance(fault, Stall):
        await _until_left(reader)
    elif isinstance(fault, Cut) and fault.reset:
        # With no time to linger, closing sends a reset.
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)


async def _until_left(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _send_raw(fault: Raw, writer: asyncio.StreamWriter) -> None:
    writer.write(fault.data)
    while fault.more:
        writer.write(fault.more)
        await writer.drain()
    await _flush(writer)


async def _trickle(data: bytes, pace: float, writer: asyncio.StreamWriter) -> None:
    for index in range(len(data)):
        writer.write(data[index : index + 1])
        await writer.drain()
        await asyncio.sleep(pace)
    await _flush(writer)


async def _flush(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


def _repeating(response: Response, text: str) -> Response:
    """``response`` with ``text`` where a careless service would repeat it."""
    try:
        data = json.loads(response.body)
    except ValueError:
        data = None
    body = json.dumps(data | {"echo": text}).encode() if isinstance(data, dict) else response.body
    return replace(response, body=body, headers={**response.headers, "X-Echo": text})

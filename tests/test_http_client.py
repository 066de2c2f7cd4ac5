"""The HTTP seam over real sockets: what each failure of the network comes out as."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from publisher.channel import DeliveryError, OutcomeUnknown, Rejected, SignInFailed, Unavailable
from publisher.errors import SettingsError
from publisher.http import LARGEST_ANSWER, HttpClient, _failures, _not_sent, server_address
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
from publisher.testing.loopback import LoopbackServer

SECRET = "s3cr3t/täken+1"


async def echo(request: Request) -> Response:
    return Response.json(
        {"method": request.method, "body": request.body.decode(), "agent": dict(request.headers)}
    )


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    server = LoopbackServer(echo)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def client(server: LoopbackServer) -> AsyncIterator[HttpClient]:
    client = HttpClient(server.url, headers={"X-Fixed": "yes"}, timeout=5, secrets=[SECRET])
    yield client
    await client.close()


async def test_send__json_form_and_headers_arrive(client: HttpClient) -> None:
    """What is passed is what the server reads."""
    answer = (
        await client.send("POST", "/a", json={"t": "你好"}, headers={"X-Own": "1"}, creates=True)
    ).json()
    assert answer["body"] == '{"t":"你好"}'
    assert (answer["agent"]["x-fixed"], answer["agent"]["x-own"]) == ("yes", "1")
    answer = (await client.send("POST", "/a", form={"t": "a b"}, creates=True)).json()
    assert answer["body"] == "t=a+b"
    assert answer["agent"]["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content", ['{"t": "你\\u597d"}\r\n'.encode(), b"\x00\xff\x80", b""], ids=repr)
async def test_send__bytes_arrive_as_they_are(
    server: LoopbackServer, client: HttpClient, content: bytes
) -> None:
    """A body given as bytes is not written anew: what is signed over it holds. Its type is the caller's to name."""
    server.inject(Answer(Response(204)))
    await client.send(
        "POST", "/a", content=content, headers={"Content-Type": "application/json"}, creates=True
    )
    (request,) = server.requests
    assert (request.body, request.headers["content-type"]) == (content, "application/json")


AMBIGUOUS: list[Fault] = [
    Cut(At.CONNECTED), Cut(At.READ), Cut(At.ACTED), Truncated(5), Raw(b"SSH-2.0-OpenSSH\r\n"), Raw(b"HTTP/1.1 200 OK\r\n"), Raw(b""),
]  # fmt: skip


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=repr)
async def test_send__broken_answers(server: LoopbackServer, client: HttpClient, fault: Fault) -> None:
    """A creating request with a broken answer is an unknown outcome, a reading one is unavailable."""
    server.inject(fault, times=2)
    with pytest.raises(OutcomeUnknown):
        await client.send("POST", "/a", creates=True)
    with pytest.raises(Unavailable):
        await client.send("GET", "/a", creates=False)


@pytest.mark.parametrize(
    "fault", [Stall(At.CONNECTED), Stall(At.READ), Stall(At.ACTED), Trickle(0.05)], ids=repr
)
async def test_send__silence_and_trickles_end_in_time(server: LoopbackServer, fault: Fault) -> None:
    """The whole of a request is bounded: silence, and an answer whose every byte comes in time."""
    client = HttpClient(server.url, timeout=0.3)
    server.inject(fault)
    with pytest.raises(OutcomeUnknown, match=r"no whole answer within 0\.3 seconds"):
        await client.send("POST", "/a", creates=True)
    await client.close()


async def test_send__endless_answer_is_cut_off(server: LoopbackServer, client: HttpClient) -> None:
    """No more than the bound is read of an answer that never ends."""
    server.inject(Endless())
    answer = await client.send("GET", "/a", creates=False)
    assert len(answer.body) == LARGEST_ANSWER


async def test_send__a_refusal_may_break_off(server: LoopbackServer, client: HttpClient) -> None:
    """Of a refusal the status is enough: its body may be truncated."""
    server.inject(Raw(b"HTTP/1.1 422 No\r\nContent-Length: 99\r\n\r\nhalf"))
    answer = await client.send("POST", "/a", creates=True)
    assert (answer.status, answer.body) == (422, b"half")


async def test_send__nobody_listens(server: LoopbackServer) -> None:
    """A refused connection is certainly no post."""
    client = HttpClient(server.url, timeout=5)
    server.stop()
    with pytest.raises(Unavailable, match="nothing was sent"):
        await client.send("POST", "/a", creates=True)
    await client.close()


async def test_send__what_http_cannot_carry(client: HttpClient) -> None:
    """A header that cannot be written down is refused before anything is sent, without the secret in it."""
    with pytest.raises(DeliveryError) as caught:
        await client.send("POST", "/a", headers={"X": f"{SECRET}中\n"}, creates=True)
    assert isinstance(caught.value, Rejected)
    assert SECRET not in str(caught.value)


async def test_send__environment_set_up_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy address that is none is the administrator's to mend, and is not a crash."""
    monkeypatch.setenv("HTTPS_PROXY", "gopher://proxy.example")
    with pytest.raises(SignInFailed, match="HTTPS_PROXY"):
        await HttpClient("https://social.example").send("GET", "/", creates=False)


async def test_send__proxies_are_not_for_this_machine(
    server: LoopbackServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is passed by for loopback addresses."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert (await client.send("GET", "/", creates=False)).status == 200


async def test_send__does_not_follow_redirects(server: LoopbackServer, client: HttpClient) -> None:
    """A redirect comes back as it is, and the other host hears nothing."""
    other = LoopbackServer(echo)
    server.inject(Answer(Response(307, headers={"Location": f"{other.start()}/b"})))
    assert (await client.send("POST", "/a", creates=True)).status == 307
    other.stop()
    assert other.requests == []


async def test_client__serves_a_second_loop(server: LoopbackServer) -> None:
    """A client made in one event loop works in the next, as the command line and the worker use it."""
    import asyncio

    client = HttpClient(server.url, timeout=5)

    async def once() -> int:
        try:
            return (await client.send("GET", "/", creates=False)).status
        finally:
            await client.close()

    for _ in range(2):
        assert await asyncio.to_thread(lambda: asyncio.run(once())) == 200


def test_failures__every_httpx_exception_is_mapped() -> None:
    """Each exception class of httpx is caught at the seam, except the two that only its own helpers raise."""
    classes = {c for c in vars(httpx).values() if isinstance(c, type) and issubclass(c, BaseException)}
    assert len(classes) > 20
    assert {c.__name__ for c in classes if not issubclass(c, _failures())} == set()
    not_sent = {c.__name__ for c in classes if issubclass(c, _not_sent())}
    assert not_sent == {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "InvalidURL",
    }


@pytest.mark.parametrize("error", [c for c in vars(httpx).values() if isinstance(c, type) and issubclass(c, BaseException)], ids=lambda c: c.__name__)  # fmt: skip
def test_failures__only_what_precedes_the_request_is_certain(error: type[BaseException]) -> None:
    """For a creating request all but the failures before its first byte are unknown outcomes."""
    made = error.__new__(error)
    made.args = ("words",)
    outcome = HttpClient("http://127.0.0.1:9")._failed(made, True)
    assert type(outcome) is (Unavailable if issubclass(error, _not_sent()) else OutcomeUnknown)


@pytest.mark.parametrize(
    "url",
    ["http://social.example", "ftp://social.example", "social.example", "https://", "https://a:b@social.example", "http://127.0.0.1.evil.example",
     "https://social.example/?x=1", "https://social.example/#x", "https://[::1", "https://x:99999", "http://localhost.evil.example"],
)  # fmt: skip
def test_server_address__refused(url: str) -> None:
    """What would let a token travel readable, or is no address, is refused in a sentence."""
    with pytest.raises(SettingsError, match=r"\.$"):
        HttpClient(url)


@pytest.mark.parametrize(
    "url", ["https://social.example/", "http://localhost:3000", "http://127.0.0.1:1", "http://[::1]:1/x/"]
)
def test_server_address__taken(url: str) -> None:
    """HTTPS anywhere, plain HTTP on this machine; the trailing slash goes."""
    assert server_address(f" {url} ") == url.rstrip("/")


async def test_client__secrets_stay_inside(
    server: LoopbackServer, client: HttpClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither repr, nor log, nor error text holds a secret."""
    caplog.set_level(logging.DEBUG)
    server.inject(Answer(Response.json({"error": f"bad {SECRET}"}, 422)))
    answer = await client.send(
        "POST", f"/bot{SECRET}/a", headers={"Authorization": "Bearer s3cr3t"}, creates=True
    )
    with pytest.raises(Rejected) as caught:
        client.raise_for_status(answer, creates=True)
    assert "422: bad ***" in str(caught.value)
    assert "s3cr3t" not in str(caught.value) + repr(client) + repr(answer) + caplog.text


def test_import__is_light() -> None:
    """Naming an adapter's settings does not import httpx."""
    import subprocess
    import sys

    code = "import sys, publisher.http, channels.mastodon; sys.exit('httpx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

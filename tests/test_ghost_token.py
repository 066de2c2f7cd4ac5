"""The signed token, and that it stays out of sight."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from channels.ghost.token import SignedClient, sign
from publisher.channel import SignInFailed
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer

KEY = "64f1a2b3c4d5e6f708192a3b:" + "00" * 31 + "01"
MOMENT = datetime(2026, 5, 1, 2, 0, tzinfo=UTC)


def test_token__vector() -> None:
    """The token of a known key at a known second."""
    assert int(MOMENT.timestamp()) == 1777600800
    head, claims, signature = sign(KEY, MOMENT).split(".")
    assert signature == "_XI3TYZ2_oSZarkm-umxua1v8V3K47CFCih7cJFqcy0"
    assert (head[:4], claims[:4]) == ("eyJh", "eyJp")


async def test_token__is_never_repeated() -> None:
    """A server that repeats the token in an error does not bring it into ours, and each request has its own."""

    async def echo(request: Request) -> Response:
        return Response.json({"errors": [{"message": f"no: {request.headers['authorization']}"}]}, 403)

    server = LoopbackServer(echo)
    moments = iter((MOMENT, MOMENT.replace(minute=1)))
    client = SignedClient(server.start(), KEY, 10, lambda: next(moments))
    try:
        for _ in range(2):
            response = await client.signed("GET", "/", creates=False)
            with pytest.raises(SignInFailed) as refused:
                client.raise_for_status(response, creates=False)
            assert "no: Ghost ***" in str(refused.value)
    finally:
        await client.close()
        server.stop()
    first, second = (request.headers["authorization"] for request in server.requests)
    assert first == f"Ghost {sign(KEY, MOMENT)}" != second
    assert server.requests[0].headers["accept-version"] == "v5.0"

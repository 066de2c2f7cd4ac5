"""Which address is answered by what, and what holds for every answer."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from publisher.errors import PublisherError
from publisher.web.joining import Joining
from publisher.web.leaving import Leaving
from publisher.web.page import HEADERS, Pages, languages_of

log = structlog.get_logger("publisher.web")

_NOTICES = {404: "missing"}


def build(pages: Pages, leaving: Leaving, joining: Joining, *, home_link: bool = True) -> Starlette:
    """The whole application. ``home_link`` is whether the first page leads to the form."""

    async def home(request: Request) -> Response:
        return pages.notice("home", languages_of(request), link="subscribe" if home_link else "")

    async def style(_: Request) -> Response:
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response(pages.style(), media_type="text/css", headers=headers)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        name = _NOTICES.get(error.status_code, "refused")
        answer = pages.notice(name, languages_of(request), status=error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    routes: list[BaseRoute] = [
        Route("/", home),
        Route("/web.css", style),
        Route("/healthz", healthy),
        Route("/subscribe", joining.form),
        Route("/subscribe", joining.subscribe, methods=["POST"]),
        Route("/u/{token}", leaving.look),
        Route("/u/{token}", leaving.leave, methods=["POST"]),
        Route("/u/{token}/undo", leaving.look),
        Route("/u/{token}/undo", leaving.undo, methods=["POST"]),
        Route("/c/{token}", joining.look),
        Route("/c/{token}", joining.confirm, methods=["POST"]),
    ]
    # A proxy may pass the path on as it came, or without the folder it keeps for us.
    folder = pages.root.rstrip("/")
    below: list[BaseRoute] = [Route(folder, home), Mount(folder, routes=routes)] if folder else []
    made = Starlette(
        routes=[*routes, *below],
        middleware=[Middleware(_Guard, trouble=lambda request: _trouble(pages, request))],
        exception_handlers={HTTPException: refused},
    )
    made.router.redirect_slashes = False  # RFC 8058, 3.1: the answer to one click is never a redirect
    return made


async def healthy(_: Request) -> Response:
    """That the process answers; says nothing of anybody."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


def _trouble(pages: Pages, request: Request) -> Response:
    return pages.notice("trouble", languages_of(request), status=503)


class _Guard:
    """Puts our headers on every answer, and a page in the place of every failure.

    An address holds a token, so what is logged of a failure never names it.
    """

    def __init__(self, app: ASGIApp, trouble: Callable[[Request], Response]) -> None:
        self._app, self._trouble = app, trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except ClientDisconnect:
            return
        except PublisherError as error:
            log.error("a request failed", event_name="web.failed", reason=str(error))
        except Exception:
            log.exception("a request failed", event_name="web.failed")
        else:
            return
        if not begun:
            await self._trouble(Request(scope))(scope, receive, sent)

"""How WordPress's REST API words its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from publisher.testing.exchange import Request, Response

TYPE = {"Content-Type": "application/json; charset=UTF-8"}


class Refused(Exception):
    """An error of WordPress's own: code, sentence, status, and what it says besides."""

    def __init__(self, code: str, message: str, status: int, **more: Any) -> None:
        super().__init__(message)
        self.response = Response.json(
            {"code": code, "message": message, "data": {"status": status, **more}}, status, TYPE
        )


def shown(request: Request, data: object, status: int = 200) -> Response:
    """``data``, or what ``_fields`` leaves of it."""
    wanted = request.query.get("_fields", "")
    return Response.json(_narrowed(data, set(wanted.split(","))) if wanted else data, status, TYPE)


def wanted(request: Request) -> dict[str, Any]:
    """The parameters of a request that changes something, from its address and its body."""
    try:
        body = request.json() if request.body else {}
    except ValueError:
        raise Refused("rest_invalid_json", "Invalid JSON body passed.", 400) from None
    found: Mapping[str, Any] = body if isinstance(body, dict) else {}
    return {**request.query, **found}


def no_route() -> Refused:
    """Nobody answers here."""
    return Refused("rest_no_route", "No route was found matching the URL and request method.", 404)


def _narrowed(data: object, fields: set[str]) -> object:
    if isinstance(data, list):
        return [_narrowed(one, fields) for one in data]
    return {name: value for name, value in data.items() if name in fields} if isinstance(data, dict) else data

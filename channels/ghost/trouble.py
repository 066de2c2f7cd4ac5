"""Ghost's own errors, and what each means for what happens next.

Source: Ghost ``core/server/services/auth/api-key/admin.js`` and ``@tryghost/errors``; seen on 5.130.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from publisher.channel import DeliveryError, SignInFailed, Unavailable
from publisher.http import Response

_SIGN_IN: Mapping[str, str] = {
    "UNKNOWN_ADMIN_API_KEY": "does not know this key: the integration was deleted or its key made anew; copy the "
    "Admin API key into {key} again",
    "INVALID_AUTH_HEADER": "does not get the signature: see that the web server in front of it hands the "
    "Authorization header on",
}
_CLOCK = (
    "finds the signature too old: the clock of this machine or of Ghost's is wrong by minutes; set it right"
)
_SECRET = "does not accept the signature: the second half of {key} is wrong; copy the Admin API key again"  # noqa: S105  # a sentence


@dataclass(frozen=True, slots=True)
class Said:
    """The first error of an answer; all empty where it is none of Ghost's."""

    type: str = ""
    code: str = ""
    message: str = ""
    context: str = ""

    @property
    def gone(self) -> bool:
        """Whether Ghost itself says that it does not have what was asked for."""
        return self.type == "NotFoundError" and self.message.startswith("Resource")

    @property
    def collided(self) -> bool:
        """Whether somebody saved the post since it was read; then nothing was changed."""
        return self.code == "UPDATE_COLLISION"


def said(response: Response) -> Said:
    """What Ghost says is wrong."""
    try:
        data: Any = response.json()
        first = data["errors"][0]
        return Said(*(str(first.get(name) or "") for name in ("type", "code", "message", "context")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Said()


def explained(response: Response) -> Response:
    """``response`` with Ghost's message and the cause, which it keeps apart, as one."""
    words = said(response)
    if not words.message:
        return response
    whole = words.message if words.context in ("", words.message) else f"{words.message} {words.context}"
    return replace(response, body=json.dumps({"message": whole}).encode())


def named(response: Response, host: str, words: Mapping[str, str]) -> DeliveryError | None:
    """What an error of Ghost's own means; ``None`` for one that has no meaning of its own here.

    ``words`` are the names of the settings ``key`` and ``newsletter``.
    """
    told = said(response)
    if told.collided:
        return Unavailable(f"Somebody saved the post on {host} at the same moment; it is tried again.")
    if told.code == "INVALID_JWT" and response.status in (400, 401):
        sentence = _CLOCK if "expired" in told.message or "maxAge" in told.message else _SECRET
        return _refused(sentence, response, host, words)
    if sentence := _SIGN_IN.get(told.code, ""):
        return _refused(sentence, response, host, words)
    if "newsletter parameter" in told.context:
        return _refused("has no active newsletter of that name; correct {newsletter}", response, host, words)
    return None


def _refused(sentence: str, response: Response, host: str, words: Mapping[str, str]) -> SignInFailed:
    return SignInFailed(f"{host} {sentence.format_map(words)} ({response.status}).")

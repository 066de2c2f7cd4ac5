"""The signed token that opens Ghost's Admin API, and a client that keeps every one of them out of sight.

Source: Ghost ``core/server/services/auth/api-key/admin.js``: HS256, the secret's hex decoded, five minutes from ``iat``
on; RFC 7515 (compact form).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime

from publisher import clock
from publisher.http import HttpClient, Response

_LIVES = 300
"""Seconds; Ghost takes no token that is older."""
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


def sign(key: str, moment: datetime) -> str:
    """A token for ``key`` (``id:secret``), good for five minutes from ``moment`` on."""
    number, _, secret = key.partition(":")
    begins = int(moment.timestamp())
    head = _packed({"alg": "HS256", "typ": "JWT", "kid": number})
    claims = _packed({"iat": begins, "exp": begins + _LIVES, "aud": "/admin/"})
    signature = hmac.new(bytes.fromhex(secret), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    return f"{head}.{claims}.{_base64(signature)}"


def _packed(data: Mapping[str, object]) -> str:
    return _base64(json.dumps(data, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SignedClient(HttpClient):
    """An :class:`HttpClient` that signs each request anew."""

    def __init__(self, base_url: str, key: str, timeout: float, now: clock.Clock = clock.now) -> None:
        self._key, self._now = key, now
        super().__init__(
            base_url,
            headers={"Accept-Version": "v5.0"},
            timeout=timeout,
            secrets=[key, key.partition(":")[2]],
        )

    async def signed(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        content_type: str = "",
        creates: bool,
    ) -> Response:
        """One signed request; the rest is as :meth:`HttpClient.send` says."""
        headers = {"Authorization": f"Ghost {sign(self._key, self._now())}"}
        if content_type:
            headers["Content-Type"] = content_type
        return await self.send(method, path, json=json, content=content, headers=headers, creates=creates)

    def scrub(self, text: str) -> str:
        """As :meth:`HttpClient.scrub`, and without any token."""
        return super().scrub(_TOKEN.sub("***", text))

"""Signed tokens in the links and return addresses of newsletters.

A token is ``ref-mailing-mac``, all of ``[a-z0-9-]`` and at most 46 characters, so that it survives mail servers that
fold case and fits into a local part (64 octets, RFC 5321, 4.5.3.1.1). It names a subscriber and a mailing, expires
never, and needs no table: a link in a newsletter ten years old still works.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

_TOKEN = re.compile(r"([0-9a-f]{16})-([0-9a-f]{1,8})-([0-9a-f]{20})")
_MAC = 10
"""Octets of the MAC: 80 bits, far more than anybody can try over a network."""


class Purpose(StrEnum):
    """What a token is good for; one for another purpose is refused."""

    UNSUBSCRIBE = "unsubscribe"
    BOUNCE = "bounce"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Named:
    """What a token names: the subscriber's ``ref``, and the delivery whose newsletter it was in, 0 for none."""

    ref: str
    mailing: int


class Tokens:
    """Signs with the first of ``secrets`` and accepts those of all."""

    def __init__(self, secrets: Sequence[SecretStr]) -> None:
        self._keys = [secret.get_secret_value().encode() for secret in secrets]

    def sign(self, purpose: Purpose, ref: str, mailing: int = 0) -> str:
        """The token of one subscriber for one purpose."""
        return f"{ref}-{mailing:x}-{_mac(self._keys[0], purpose, ref, mailing)}"

    def read(self, purpose: Purpose, token: str) -> Named | None:
        """What ``token`` names; ``None`` where it is none of ours, or for another purpose."""
        match = _TOKEN.fullmatch(token.strip().lower())
        if not match:
            return None
        ref, mailing = match[1], int(match[2], 16)
        macs = [_mac(key, purpose, ref, mailing) for key in self._keys]
        return Named(ref, mailing) if any(hmac.compare_digest(mac, match[3]) for mac in macs) else None


def _mac(key: bytes, purpose: Purpose, ref: str, mailing: int) -> str:
    return hmac.digest(key, f"{purpose}:{ref}:{mailing:x}".encode(), "sha256")[:_MAC].hex()

"""Signatures of Standard Webhooks 1.0.0 (``spec/standard-webhooks.md``), of the symmetric kind ``v1``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a key, by the specification."""


def secrets_of(setting: str) -> list[str]:
    """The secrets written in one setting, newest first: several, parted by spaces or commas, while they change."""
    return [secret for secret in re.split(r"[,\s]+", setting) if secret]


def keys_of(setting: str) -> tuple[bytes, ...]:
    """The keys that the secrets in ``setting`` stand for, newest first.

    Raises ``ValueError`` with a sentence for a person, which never repeats a secret.
    """
    if not (secrets := secrets_of(setting)):
        raise ValueError(
            "A secret is missing; make one with: openssl rand -base64 32, and write whsec_ before it."
        )
    return tuple(map(_key, secrets))


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        raise ValueError(
            "A secret is whsec_ and base64; make one with: openssl rand -base64 32, and write whsec_ before it."
        )
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            "What follows whsec_ is not base64; copy the whole secret, with its = at the end."
        ) from None
    if not _SHORTEST <= len(key) <= _LONGEST:
        raise ValueError(
            f"The secret has {len(key)} bytes and must have {_SHORTEST} to {_LONGEST}; "
            "make one with: openssl rand -base64 32, and write whsec_ before it."
        )
    return key


def headers(keys: Sequence[bytes], event_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one attempt at ``moment`` to send ``body``; a signature for each of ``keys``, in order.

    ``event_id`` has no full stop, which parts it from the rest of what is signed.
    """
    seconds = int(moment.timestamp())
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(key, event_id, seconds, body) for key in keys),
    }


def _signature(key: bytes, event_id: str, seconds: int, body: bytes) -> str:
    signed = f"{event_id}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()

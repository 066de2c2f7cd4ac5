"""DKIM signatures (RFC 6376), RSA-2048 or longer and Ed25519 (RFC 8463), relaxed/relaxed."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class Signer:
    """Signs for ``domain`` with the key whose public half is under ``selector``. Safe to share between threads."""

    domain: str
    selector: str
    key: PrivateKey = field(repr=False, compare=False)

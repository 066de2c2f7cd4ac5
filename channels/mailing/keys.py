"""Keys for DKIM: read from a file, made anew, and published in DNS.

Sources: RFC 6376, 3.6.1 (the record), RFC 8301, 3.2 (lengths of RSA keys), RFC 8463, 4.2 (Ed25519 keys in DNS).
"""

from __future__ import annotations

import base64
import re
from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from channels.mailing.dkim import PrivateKey
from publisher.errors import SettingsError

_SHORTEST, _LONGEST = 2048, 4096
"""Bits of an RSA key: shorter ones are weak, and nobody has to be able to verify longer ones."""
_TXT = 255
"""Octets of one string of a TXT record (RFC 1035, 3.3.14)."""
_LARGEST = 64 * 1024


class Algorithm(StrEnum):
    """What a key signs with. Every receiver knows RSA; not all know Ed25519, whose signature goes beside it."""

    RSA = "rsa"
    ED25519 = "ed25519"


def read(path: Path) -> PrivateKey:
    """The key in the PEM file ``path``. Raises :class:`SettingsError`, which never quotes the file."""
    try:
        with path.open("rb") as file:
            pem = file.read(_LARGEST)
    except FileNotFoundError:
        raise SettingsError(
            f"There is no DKIM key at {path}; correct the path, or make a key first."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"The DKIM key {path} cannot be read ({error.strerror}); check its owner and mode."
        ) from None
    return load(pem, str(path))


def load(pem: bytes, name: str) -> PrivateKey:
    """The key in ``pem``, which errors call ``name``. Raises :class:`SettingsError`, which never quotes it."""
    if b"PRIVATE KEY" not in pem:
        what = "holds a public key" if b"PUBLIC KEY" in pem else "holds no private key"
        raise SettingsError(f"{name} {what}; the DKIM key must be a private key in PEM format.")
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise SettingsError(f"The DKIM key {name} is encrypted; store it without a passphrase.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsError(f"The DKIM key {name} is damaged; restore it, or make a new one.") from None
    if isinstance(key, rsa.RSAPrivateKey):
        return _of_good_length(key, name)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    raise SettingsError(f"The DKIM key {name} is of a kind DKIM does not know; make one of RSA or Ed25519.")


def _of_good_length(key: rsa.RSAPrivateKey, name: str) -> rsa.RSAPrivateKey:
    if _SHORTEST <= key.key_size <= _LONGEST:
        return key
    short = key.key_size < _SHORTEST
    raise SettingsError(
        f"The DKIM key {name} is too {'short' if short else 'long'} ({key.key_size} bits); make one of 2048 bits."
    )


def generate(algorithm: Algorithm) -> tuple[str, str]:
    """A new key: the private half as PEM, and the value of the TXT record for the public one."""
    key: PrivateKey = (
        rsa.generate_private_key(public_exponent=65537, key_size=_SHORTEST)
        if algorithm is Algorithm.RSA
        else ed25519.Ed25519PrivateKey.generate()
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, record(key)


def record(key: PrivateKey) -> str:
    """The value of the TXT record that publishes the public half of ``key``."""
    if isinstance(key, rsa.RSAPrivateKey):
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"


def strings(value: str) -> tuple[str, ...]:
    """``value`` as the strings of a TXT record, none longer than 255 octets."""
    return tuple(value[at : at + _TXT] for at in range(0, len(value), _TXT))


def publishes(value: str, key: PrivateKey) -> bool:
    """Whether the TXT record ``value``, its strings joined, publishes the public half of ``key``."""
    return _public(value) == _public(record(key))


def _public(value: str) -> str:
    """The ``p=`` of a record without white space, which may stand anywhere in it (RFC 6376, 3.2)."""
    tags = dict(re.sub(r"\s", "", tag).partition("=")[::2] for tag in value.split(";"))
    return tags.get("p", "")

"""DKIM signatures, relaxed/relaxed, by RSA or Ed25519.

Sources: RFC 6376 (DKIM), RFC 8301 (keys and hashes), RFC 8463 (Ed25519), RFC 8058 (which list headers are signed).
There is no ``l=``, which lets anybody add to a message, and no ``x=``: a server may hold a letter for days, and some
mail programs verify again when it is read.
"""

from __future__ import annotations

import hashlib
import re
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

OVERSIGNED = (
    "from", "to", "cc", "subject", "date", "reply-to", "message-id", "mime-version", "content-type", "list-id",
    "list-unsubscribe", "list-unsubscribe-post",
)  # fmt: skip
"""Fields named once more than there are (RFC 6376, 8.15): adding one breaks the signature. The others may be added by
servers on the way without harm."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SPACES = re.compile(r"[ \t]+")
_NAME = "DKIM-Signature: "
_CONTINUED = "\r\n "
_LINE = 72
_PADDING, _HASH = PKCS1v15(), SHA256()


@dataclass(frozen=True)
class Signer:
    """Signs for ``domain`` with the key whose public half is under ``selector``; both in small letters and ASCII.

    Safe to share between threads. Raises ``ValueError`` for a domain or selector that is none.
    """

    domain: str
    selector: str
    key: PrivateKey = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        for what, name in (("domain", self.domain), ("selector", self.selector)):
            if not _DOMAIN.fullmatch(name):
                raise ValueError(
                    f'"{name}" is no {what} for DKIM signatures; write it in small letters, like a domain'
                )

    @cached_property
    def algorithm(self) -> str:
        """The signature's ``a=``."""
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    @property
    def record_name(self) -> str:
        """Where the public key is published, as a TXT record."""
        return f"{self.selector}._domainkey.{self.domain}"

    def sign(self, data: bytes) -> bytes:
        """The signature over canonical header fields. RSA is computed without the interpreter's lock."""
        return self._sign(data)

    @cached_property
    def _sign(self) -> Callable[[bytes], bytes]:
        key = self.key
        if isinstance(key, RSAPrivateKey):
            return lambda data: key.sign(data, _PADDING, _HASH)
        return lambda data: key.sign(hashlib.sha256(data).digest())  # RFC 8463, section 3


class Signatures:
    """The DKIM-Signature fields of some signers, over the header fields ``names``, which a message has once each."""

    def __init__(self, signers: Sequence[Signer], names: Sequence[str]) -> None:
        self._signatures = [_Signature(signer, names) for signer in signers]

    def over(self, fields: str, begun: hashlib._Hash, rest: bytes, second: int) -> str:
        """One field a signer, folded, each ended by CRLF.

        ``fields`` are the named fields, canonical, in the order of the names, each ended by CRLF. The canonical body
        is what ``begun``, a SHA-256 that is left as it is, has seen, and ``rest``. ``second`` is when it is signed, in
        seconds since 1970.
        """
        state = begun.copy()
        state.update(rest)
        body_hash = b2a_base64(state.digest(), newline=False).decode()
        return "".join([signature.over(fields, body_hash, second) for signature in self._signatures])


class _Signature:
    """The field of one signer."""

    def __init__(self, signer: Signer, names: Sequence[str]) -> None:
        self._sign = signer.sign
        who = f"d={signer.domain};\r\n s={signer.selector};"
        self._opening = f"{_NAME}v=1; a={signer.algorithm}; c=relaxed/relaxed; {who} t="
        self._closing = f";\r\n h={_folded([*names, *OVERSIGNED])};\r\n b="
        # The same in relaxed form.
        self._signed_opening, self._signed_closing = relaxed(self._opening), unfolded(self._closing)

    def over(self, fields: str, body_hash: str, second: int) -> str:
        signed = f"{fields}{self._signed_opening}{second}; bh={body_hash}{self._signed_closing}"
        signature = b2a_base64(self._sign(signed.encode()), newline=False).decode()
        lines = [signature[at : at + _LINE] for at in range(0, len(signature), _LINE)]
        return f"{self._opening}{second};\r\n bh={body_hash}{self._closing}{_CONTINUED.join(lines)}\r\n"


def _folded(names: Sequence[str]) -> str:
    """``names`` with colons between them, in lines of at most 72 characters or so."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append("")
        lines[-1] += f"{name}:"
    return _CONTINUED.join(lines).rstrip(":")


def unfolded(value: str) -> str:
    """The value of a field of ours in relaxed form: we write single spaces only, so that unfolding is all there is."""
    return value.replace("\r\n", "")


def relaxed(header: str) -> str:
    """Any header field in relaxed form (RFC 6376, 3.4.2), without CRLF at its end."""
    name, _, value = header.partition(":")
    return f"{name.strip().lower()}:{_SPACES.sub(' ', unfolded(value)).strip(' ')}"

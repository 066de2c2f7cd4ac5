"""Keys for DKIM: what cannot be used is named, and the record says the public half."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from channels.mailing import keys
from channels.mailing.keys import Algorithm
from publisher.errors import SettingsError

_RSA = rsa.generate_private_key(65537, 2048)
_ED25519 = ed25519.Ed25519PrivateKey.generate()


def pem(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def test_keys__read(tmp_path: Path) -> None:
    """Both kinds are read, RSA in the older form of opendkim-genkey too."""
    for at, data in enumerate((pem(_RSA), pem(_RSA, form=PrivateFormat.TraditionalOpenSSL), pem(_ED25519))):
        path = tmp_path / f"{at}.pem"
        path.write_bytes(data)
        assert pem(keys.read(path)) in (pem(_RSA), pem(_ED25519))


_BAD = {
    "empty": (b"", "holds no private key"),
    "text": (b"hello\n", "holds no private key"),
    "public": (
        _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "holds a public key",
    ),
    "encrypted": (pem(_RSA, BestAvailableEncryption(b"x")), "is encrypted"),
    "encrypted, old": (
        pem(_RSA, BestAvailableEncryption(b"x"), PrivateFormat.TraditionalOpenSSL),
        "is encrypted",
    ),
    "damaged": (pem(_RSA)[:300] + pem(_RSA)[400:], "is damaged"),
    "cut off": (pem(_ED25519)[:60], "is damaged"),
    "too short": (pem(rsa.generate_private_key(65537, 1024)), r"too short \(1024 bits\)"),
    "elliptic": (pem(ec.generate_private_key(ec.SECP256R1())), "of a kind DKIM does not know"),
}


@pytest.mark.parametrize(("data", "why"), _BAD.values(), ids=_BAD)
def test_keys__refused(tmp_path: Path, data: bytes, why: str) -> None:
    """A key that cannot be used is named with its reason in one sentence, and nothing of it is quoted."""
    path = tmp_path / "dkim.pem"
    path.write_bytes(data)
    with pytest.raises(SettingsError, match=why) as refusal:
        keys.read(path)
    sentence = str(refusal.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    assert not any(line and line in sentence for line in data.decode().splitlines())
    assert refusal.value.__cause__ is None


def test_keys__missing(tmp_path: Path) -> None:
    """A file that is not there, or is none, is named."""
    with pytest.raises(SettingsError, match="There is no DKIM key at"):
        keys.read(tmp_path / "none.pem")
    with pytest.raises(SettingsError, match="cannot be read"):
        keys.read(tmp_path)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_keys__generated(algorithm: Algorithm) -> None:
    """A new key can be loaded, and its record publishes its own public half and no other."""
    private, value = keys.generate(algorithm)
    key = keys.load(private.encode(), "key")
    assert value == keys.record(key)
    assert value.startswith(f"v=DKIM1; k={algorithm}; p=")
    assert keys.publishes(value, key)
    assert keys.publishes(value.replace("; ", " ;\t").replace("p=", "p = ") + ";", key)
    assert not keys.publishes(value, keys.load(keys.generate(algorithm)[0].encode(), "other"))
    assert not keys.publishes("", key)
    assert not keys.publishes("v=DKIM1; p=", key)


def test_keys__record_forms() -> None:
    """RSA is published as a SubjectPublicKeyInfo, Ed25519 as its 32 octets (RFC 8463, 4.2)."""
    found = load_der_public_key(base64.b64decode(keys.record(_RSA).partition("p=")[2]))
    assert found == _RSA.public_key()
    raw = base64.b64decode(keys.record(_ED25519).partition("p=")[2])
    assert raw == _ED25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def test_keys__strings() -> None:
    """A record longer than a string of DNS is split, and is the same when joined."""
    value = keys.record(_RSA)
    assert len(value) > 255
    assert [len(string) for string in keys.strings(value)] == [255, len(value) - 255]
    assert "".join(keys.strings(value)) == value

"""Addresses as people type them: one form for sending, one for comparing, one sentence where there is none."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import addresses


@pytest.mark.parametrize(
    ("typed", "sent", "normal"),
    [
        ("Lin@Example.ORG", "Lin@example.org", "lin@example.org"),
        ("  lin@example.org\t", "lin@example.org", "lin@example.org"),
        ("lin＠example．org", "lin@example.org", "lin@example.org"),
        ("ｌｉｎ＠ｅｘａｍｐｌｅ．ｏｒｇ", "lin@example.org", "lin@example.org"),
        ("lin@example。org", "lin@example.org", "lin@example.org"),
        ("\ufefflin@exam\u200bple.org", "lin@example.org", "lin@example.org"),
        ("mailto:lin@example.org", "lin@example.org", "lin@example.org"),
        ("MAILTO:lin@example.org", "lin@example.org", "lin@example.org"),
        ("lin@例子.中国", "lin@xn--fsqu00a.xn--fiqs8s", "lin@xn--fsqu00a.xn--fiqs8s"),
        ("lin@xn--fsqu00a.xn--fiqs8s", "lin@xn--fsqu00a.xn--fiqs8s", "lin@xn--fsqu00a.xn--fiqs8s"),
        ("用户@example.org", "用户@example.org", "用户@example.org"),
        ("Cafe\u0301@example.org", "Café@example.org", "café@example.org"),
        ("o'brien+tag@example.org", "o'brien+tag@example.org", "o'brien+tag@example.org"),
    ],
)
def test_address__as_typed(typed: str, sent: str, normal: str) -> None:
    """What a person types becomes one address to send to and one to compare by."""
    read = addresses.read(typed)
    assert (read.sent, read.normal) == (sent, normal)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("林若兰 <lin@example.org>", "林若兰"),
        ("林若兰（会长）＜lin@example.org＞", "林若兰（会长）"),
        ('"Lin, Ruolan" <lin@example.org>', "Lin, Ruolan"),
        ("<lin@example.org>", ""),
        ("Lin\r\nBcc: x <lin@example.org>", "Lin Bcc: x"),
    ],
)
def test_address__with_a_name(typed: str, name: str) -> None:
    """A name before the address is kept as it is written, on one line."""
    assert addresses.read(typed) == addresses.Address("lin@example.org", "lin@example.org", name)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "is not a mail address"),
        ("nobody", "is not a mail address"),
        ("@", "is not a mail address"),
        ("lin@example", "cannot be a mail address"),
        ("lin@localhost", "cannot be a mail address"),
        ("lin@[192.0.2.1]", "cannot be a mail address"),
        ("lin..r@example.org", "two periods in a row"),
        ("lin@chen@example.org", "cannot be a mail address"),
        ('"lin"@example.org', "cannot be a mail address"),
        ('"lin r"@example.org', "has a space"),
        ("lin@example.org, chen@example.org", "write one address"),
        ("lin@example.org;chen@example.org", "write one address"),
        ("lin\x1b[31m@example.org", "an invisible character"),
        ("lin\x00@example.org", "an invisible character"),
        ("\u202elin@example.org", "an invisible character"),
        ("lin@example.org\r\nBcc: chen@example.org", "write one address"),
        (f"{'l' * 65}@example.org", "longer than a mail address can be"),
        (f"{'林' * 30}@example.org", "longer than a mail address can be"),
        (f"lin@{'.'.join(['e' * 60] * 5)}", "too long"),
    ],
)
def test_address__refused(typed: str, says: str) -> None:
    """What is no address is refused in one sentence that can be shown on a terminal and names what was typed."""
    with pytest.raises(ValueError, match=r".") as caught:
        addresses.read(typed)
    sentence = str(caught.value)
    assert says in sentence
    assert sentence.isprintable()
    assert ". " not in sentence and not sentence.endswith(".")
    assert len(sentence) < 300


_LOCAL = st.text(
    st.characters(categories=("L", "N"), max_codepoint=0xFFFF) | st.sampled_from("+_-'"),
    min_size=1,
    max_size=20,
)
_DOMAIN = st.sampled_from(
    ["example.org", "Example.ORG", "例子.中国", "strasse.de", "straße.de", "ＥＸＡＭＰＬＥ.org"]
)


@given(_LOCAL, _DOMAIN)
def test_normal__is_stable(local: str, domain: str) -> None:
    """The compared form is that of the sent one, of any case of it, and of itself."""
    try:
        read = addresses.read(f"{local}@{domain}")
    except ValueError:
        return
    assert addresses.read(read.sent) == read
    # Folding may make a local part longer than can be sent; it is compared only.
    if len(read.normal.partition("@")[0].encode()) <= 64:
        assert addresses.read(read.normal).normal == read.normal


@given(st.text(max_size=300))
def test_address__any_text(text: str) -> None:
    """Whatever is typed, there is an address on one line, or a sentence."""
    try:
        read = addresses.read(text)
    except ValueError as error:
        assert str(error).isprintable()
    else:
        assert read.sent.isprintable() and len(read.sent.encode()) <= 254 and read.sent.count("@") == 1
        assert read.sent.rpartition("@")[2].isascii()
        assert read.name == addresses.cleaned_name(read.name)


def test_digest__is_sha256() -> None:
    """What outlives an address is its SHA-256, in hex."""
    assert addresses.digest("lin@example.org") == hashlib.sha256(b"lin@example.org").hexdigest()

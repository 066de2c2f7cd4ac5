"""Bytes in, text out: whatever an office's editor saved, and nothing that is no text."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import assets, intake
from publisher.errors import DocumentError
from publisher.intake.encoding import LARGEST, decode

SAMPLE = (Path(assets.__file__).parent / "demo" / "sample.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (b"", "gb18030"),
    ],
    ids=["utf-8", "utf-8-bom", "utf-16-le", "utf-16-be", "gb18030"],
)
def test_decode__every_encoding_and_line_end(mark: bytes, codec: str, line_end: str) -> None:
    """The same announcement gives the same revision, however it was saved."""
    data = mark + SAMPLE.replace("\n", line_end).encode(codec)
    assert intake.read(data, "sample.txt") == intake.read(SAMPLE.encode(), "sample.txt")


@given(st.text(st.sampled_from("协会会议。，ABC xyz0~é\t\n"), min_size=1).filter(lambda text: "会" in text))
def test_decode__keeps_every_character(text: str) -> None:
    """UTF-8 text comes back as it went in, to the character."""
    assert decode(text.encode(), "x.txt") == text


def test_decode__traditional_chinese_in_gb18030() -> None:
    """Traditional characters are Chinese too, though GB 2312 has few of them."""
    text = "臺灣與內地學者於會議上討論國際教育交流與合作。"
    assert decode(text.encode("gb18030"), "x.txt") == text


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"", None, "empty"),
        (b" \r\n\t\r\n", None, "empty"),
        (codecs.BOM_UTF8, None, "empty"),
        (b"PK\x03\x04\x00\x00", None, "not a text file"),
        ("协会".encode("utf-16-le") + b"a\0", None, "not a text file"),
        (codecs.BOM_UTF16_LE + b"a", 1, "UTF-16"),
        ("第一行。\r\n第二行有损".encode()[:-1], 2, "damaged"),
        ("第一行。\n第二".encode() + b"\xff" + "行有损。".encode(), 2, "damaged"),
        ("第一行。\n第二行。\n".encode("gb18030") + b"\xff\xff", 3, "GB18030"),
        ("日本の学校から代表団が訪れた。".encode("shift-jis"), None, "encoding"),
        ("漢學會議在臺北舉行，各國學者出席。".encode("big5"), None, "encoding"),
        ("协会\ue000".encode(), 1, "U+E000"),
        ("协会\n会\x07议".encode(), 2, "U+0007"),
        ("协会\n\n会\ufffd议".encode(), 3, "U+FFFD"),
        ("协会\u202e议".encode(), 1, "U+202E"),
        (b"2026-10-12 --- 15:00", None, "no Chinese and no English"),
        (b"a" * (LARGEST + 1), None, "at most 1 MB"),
        (b"a\n" * 30_000, None, "20000 lines"),
    ],
)
def test_decode__refuses(data: bytes, line: int | None, said: str) -> None:
    """What is no readable text is refused in one sentence that names the file, the line and the next step."""
    with pytest.raises(DocumentError, match=r"^x\.txt") as caught:
        decode(data, "x.txt")
    assert caught.value.line == line
    assert said in str(caught.value)
    assert ";" in str(caught.value)


@given(st.binary(max_size=300))
def test_read__survives_any_bytes(data: bytes) -> None:
    """Any bytes are read or refused, in either format; nothing else comes out."""
    for name in ("x.txt", "x.md"):
        try:
            intake.read(data, name)
        except DocumentError as error:
            assert str(error).startswith(name)


@pytest.mark.parametrize("name", ["letter.docx", "scan.pdf", "page.html"])
def test_read__unknown_format(name: str) -> None:
    """A format that is not read is refused with the formats that are."""
    with pytest.raises(DocumentError, match=r"\.txt.*\.md"):
        intake.read(b"text", name)

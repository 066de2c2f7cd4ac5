"""Document in, revision out: one module a format, and ``pairing``, which finds the Chinese and English pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath

from publisher.announcement import NO_TEXT, Bilingual
from publisher.errors import DocumentError
from publisher.intake import markdown, text
from publisher.intake.document import Document
from publisher.intake.encoding import decode
from publisher.pictures import Open, take

__all__ = ["Document", "read"]

_FORMATS: Mapping[str, Callable[[str, str, Bilingual], Document]] = {
    "": text.read,
    ".txt": text.read,
    ".text": text.read,
    ".md": markdown.read,
    ".markdown": markdown.read,
}


def nothing_beside(name: str) -> bytes:
    """Of a document that came without a folder."""
    raise FileNotFoundError(name)


def read(data: bytes, name: str, *, title: Bilingual = NO_TEXT, beside: Open = nothing_beside) -> Document:
    """The document in ``data``; the ending of ``name`` tells its format, none means plain text.

    ``title`` holds the titles an officer supplies, which win over the document's; ``beside`` reads the pictures it
    names. Raises :class:`~publisher.errors.DocumentError` for what cannot be read or
    paired.
    """
    document = _text(data, name, title)
    revision, kept = take(document.revision, beside, name)
    return replace(document, revision=revision, pictures=kept)


def _text(data: bytes, name: str, title: Bilingual) -> Document:
    ending = PurePath(name).suffix.lower()
    if ending not in _FORMATS:
        raise DocumentError(
            f'"{ending}" files cannot be read; save the text as plain text (.txt) or Markdown (.md).',
            source=name,
        )
    return _FORMATS[ending](decode(data, name), name, title)

"""Source text to clean HTML, and to plain text. All HTML that goes out passes through nh3 here.

Both are pure and cached: a passage stands in many parts, and parsing Markdown is most of the cost of a variant.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup as SafeHtml

from publisher.announcement import Language, Markup, Passage, PassageKind
from publisher.channel import Unsupported

_TAGS = {"p", "br", "strong", "em", "a", "ul", "ol", "li", "blockquote", "code", "h2", "h3", "h4", "h5", "h6"}
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href"}, "ol": {"start"}},
    url_schemes={"http", "https", "mailto", "tel"},
    link_rel="noopener",
)


# What no HTML or XML document may carry (WHATWG HTML 13.2.3.5, XML 1.0 section 2.2): controls, non-characters.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)


def refuse_unprintable(text: str) -> None:
    """Raises :class:`~publisher.channel.Unsupported` for a text with a character that no web page can carry."""
    if found := _FORBIDDEN.search(text):
        code = f"U+{ord(found[0]):04X}"
        raise Unsupported(f"The text has a character no web page can carry ({code}); delete it.")


@lru_cache(maxsize=1)
def markdown() -> MarkdownIt:
    """The CommonMark parser; raw HTML in a document is shown as text, never passed through."""
    return MarkdownIt("commonmark", {"html": False})


@lru_cache(maxsize=2048)
def to_html(passage: Passage, language: Language, markup: Markup) -> SafeHtml:
    """A passage in one language as a block of clean HTML, without ``lang`` attributes."""
    source = passage[language]
    if markup is Markup.TEXT:
        block = "<br>".join(html.escape(line, quote=False) for line in source.splitlines())
    elif passage.kind in (PassageKind.LIST, PassageKind.QUOTE):
        return SafeHtml(_CLEANER.clean(markdown().render(source)).strip())
    else:
        block = markdown().renderInline(source)
    tag = f"h{passage.level or 2}" if passage.kind is PassageKind.HEADING else "p"
    # What the parser escaped stays as it is; nh3 is asked all the same, since a template may be an office's own.
    return SafeHtml(_CLEANER.clean(f"<{tag}>{block}</{tag}>"))


@lru_cache(maxsize=2048)
def to_text(passage: Passage, language: Language, markup: Markup, *, addresses: bool = True) -> str:
    """A passage in one language as plain text: links as "text (address)", list items by line.

    ``addresses=False`` keeps the text of a link only.
    """
    source = passage[language]
    if markup is Markup.TEXT:
        return source
    if passage.kind in (PassageKind.LIST, PassageKind.QUOTE):
        return _blocks(markdown().parse(source), addresses)
    return _inline(markdown().parseInline(source)[0].children or [], addresses)


def _blocks(tokens: list[Token], addresses: bool) -> str:
    lines: list[str] = []
    counters: list[int | None] = []
    prefix = ""
    for token in tokens:
        if token.type == "ordered_list_open":
            counters.append(int(token.attrGet("start") or 1))
        elif token.type == "bullet_list_open":
            counters.append(None)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            counters.pop()
        elif token.type == "list_item_open":
            number = counters[-1]
            prefix = "  " * (len(counters) - 1) + ("- " if number is None else f"{number}. ")
            if number is not None:
                counters[-1] = number + 1
        elif token.type == "inline":
            lines.append(prefix + _inline(token.children or [], addresses))
            prefix = "  " * len(counters)
    return "\n".join(lines)


def _inline(tokens: list[Token], addresses: bool) -> str:
    out: list[str] = []
    targets: list[tuple[int, str]] = []
    for token in tokens:
        if token.type == "link_open":
            targets.append((len(out), str(token.attrGet("href") or "")))
        elif token.type == "link_close":
            start, href = targets.pop()
            if addresses and href and href != "".join(out[start:]):
                out.append(f" ({href}) ")
        elif token.type in ("softbreak", "hardbreak"):
            out.append("\n")
        else:
            out.append(token.content)
    return re.sub(r" +(?=[\s，。；：、！？）,.;:!?)]|$)", "", "".join(out))

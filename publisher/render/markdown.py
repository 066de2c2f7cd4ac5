"""Text and passages as Markdown that any processor shows as it was approved: CommonMark, GFM, goldmark.

Written anew from the parsed text instead of passed through, since processors know more marks than CommonMark: tables,
strikethrough, typographer's quotes, attributes, emoji, maths, the shortcodes of site generators. What is a letter
stays a letter everywhere. Sources: CommonMark 0.31, github.github.com/gfm, gohugo.io/configuration/markup (goldmark's
extensions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import quote

from markdown_it.tree import SyntaxTreeNode as Node

from publisher.announcement import Language, Markup, Passage, PassageKind
from publisher.render.html import markdown

# Always marks of one processor or another. Hyphens and full stops only in a row, where a typographer would make a dash
# or an ellipsis of them.
_MARKS = re.compile(r"[`*_{}<>|~^=$\"'&#]|-(?=-)|(?<=-)-|\.(?=\.)|(?<=\.)\.|(?<=www)\.")
# A backslash before these does not help: "\[" opens maths where a site has that switched on, a backslash at the end of
# a line is misread before a line break, and goldmark puts in emoji before it looks at anything else.
_EMOJI = re.compile(r":(?=[\w+-]+:)")
_REFERENCED = re.compile(r"([\[\]\\]|:(?=[\w+-]+:))")
_NUMBERED = re.compile(r"(\d{1,9})([.)])")
_ADDRESS = re.compile(
    r"https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?"
    r"(?:[/?#](?:[A-Za-z0-9\-._~:/?#@!$&()*+,=%]*[A-Za-z0-9\-_~/#=%&+])?)?"
)
_MAIL = re.compile(r"[\w.+-]+@")
# The schemes of pages (see ``render.html``); a host and a port as Go's net/url takes them.
_SOUND = re.compile(
    r"(?:https?://[^\s/?#:@%<>\\{}\[\]^|`\"]+(?::\d{1,5})?(?:[/?#][^\s\x00-\x1f\x7f]*)?|(?:mailto|tel):[^\s\x00-\x1f\x7f]+)",
    re.IGNORECASE,
)
# What is no escape in an address though it looks like one, what ends a link or runs, and an emoji's first colon.
_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})|[\\<>{}]|:(?=[\w+-]+:)")
_PLAIN_TARGET = re.compile(r"[A-Za-z0-9\-._~:/?#@!$'*+,=%&]+")
_IN_ALT = str.maketrans("[]{}'\"", "()()’”", "\\`*_<>|~^=$#")


def escape(text: str) -> str:
    """``text`` as Markdown that shows it as typed; a web address becomes a link to itself.

    Every line stands alone: line breaks become hard ones, empty lines end a paragraph.
    """
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            paragraphs[-1].append(_line(line.strip(" \t")))
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n\n".join("\\\n".join(lines) for lines in paragraphs if lines)


def in_line(text: str) -> str:
    """``text`` in one line, to stand in a heading or behind other words of a line."""
    return " ".join(_letters(line.strip(" \t")) for line in text.splitlines() if line.strip())


@lru_cache(maxsize=2048)
def to_markdown(passage: Passage, language: Language, markup: Markup) -> str:
    """A passage in one language as a block of Markdown, without an empty line at its end."""
    source = passage[language]
    if not source.strip():
        return ""
    heading = passage.kind is PassageKind.HEADING
    if markup is Markup.TEXT:
        block = in_line(source) if heading else escape(source)
    elif passage.kind in (PassageKind.LIST, PassageKind.QUOTE):
        return "\n".join(_block(Node(markdown().parse(source))))
    else:
        block = _words(Node(markdown().parseInline(source)).children[0], heading)
    return f"{'#' * (passage.level or 2)} {block}" if heading else block


def _letters(text: str) -> str:
    """``text`` without a mark in it, for the middle of a line."""
    pieces, at = [], 0
    for match in _ADDRESS.finditer(text):
        pieces += [_escaped(text[at : match.start()]), _linked(match[0])]
        at = match.end()
    return _joined([*pieces, _escaped(text[at:])])


def _joined(pieces: Iterable[str]) -> str:
    """The pieces of a line.

    An exclamation mark before a link makes no picture of it, and where an e-mail address follows emphasis at once,
    goldmark would take the closing mark for a part of it.
    """
    line = ""
    for piece in pieces:
        line = f"{line[:-1]}\\!" if line.endswith("!") and piece.startswith("[") else line
        line += piece.replace("@", "&#64;", 1) if line.endswith(("*", "_")) and _MAIL.match(piece) else piece
    return line


def _linked(url: str) -> str:
    """A link to ``url`` that shows it; in the short form some site generators forget to escape an ampersand.

    Others show the short form of what is percent-encoded decoded.
    """
    safe = not re.search("[&%]", url) and not _ENCODED.search(url)
    return f"<{url}>" if safe else f"[{_escaped(url)}]({address(url)})"


def _escaped(text: str) -> str:
    # Split first: what is put before a mark below is a backslash that is meant.
    pieces = _REFERENCED.split(text)
    return "".join(
        f"&#{ord(piece)};" if index % 2 else _MARKS.sub(r"\\\g<0>", piece)
        for index, piece in enumerate(pieces)
    )


def _line(text: str) -> str:
    """A line that may begin with what looks like a list or a definition."""
    return _begun(_letters(text))


def _begun(written: str) -> str:
    if written[:1] in ("-", "+", ":"):
        return "\\" + written
    return _NUMBERED.sub(r"\1\\\2", written, count=1) if _NUMBERED.match(written) else written


# --- Markdown that was parsed -----------------------------------------------------------------------------


def _words(inline: Node, one_line: bool = False) -> str:
    """The text of a paragraph, or of a heading, which has one line only."""
    text = _joined(_written(node, _letters) for node in inline.children)
    if one_line:
        return " ".join(line.removesuffix("\\").strip(" \t") for line in text.split("\n"))
    return "\n".join(_begun(line.strip(" \t")) for line in text.split("\n"))


def _written(node: Node, write: Callable[[str], str]) -> str:
    """``node`` of a paragraph; ``write`` is how text is written there."""
    # No link inside a link: an address in its text is text.
    within = _escaped if node.type == "link" else write
    inner = _joined(_written(child, within) for child in node.children)
    match node.type:
        case "image":
            return ""  # shown nowhere else either: pictures stand between passages
        case "strong" | "em":
            return f"{node.markup}{inner}{node.markup}"
        case "link":
            return _link(str(node.attrs.get("href", "")), inner, node)
        case "softbreak":
            return "\n"
        case "hardbreak":
            return "\\\n"
        # A shortcode is run and emoji are put in even inside code, so that such code is shown as text.
        case "code_inline" if "{{" not in node.content and not _EMOJI.search(node.content):
            return _code(node.content)
        case _:
            return write(node.content.replace("\n", " "))


def _code(text: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    padded = f" {text} " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else text
    return f"{fence}{padded}{fence}"


def _link(target: str, inner: str, node: Node) -> str:
    """A link, or its text alone where a page may not carry the address (as in HTML, see ``render.html``)."""
    if not is_sound(target):
        return inner
    if [child.content for child in node.children] == [target] and _ADDRESS.fullmatch(target):
        return _linked(target)
    return f"[{inner}]({address(target)})"


def address(url: str) -> str:
    """``url`` as the target of a Markdown link; one that :func:`is_sound`."""
    url = _ENCODED.sub(lambda found: quote(found[0], safe=""), url)
    if _PLAIN_TARGET.fullmatch(url):
        return url
    # What would be a reference; written as one itself, some site generators show it doubly escaped.
    url = re.sub(r"(&#?[A-Za-z0-9]+);", r"\1%3B", url)
    return f"<{url}>"


def is_sound(url: str) -> bool:
    """Whether ``url`` may be the target of a link: one that cannot be parsed stops the build of a whole site."""
    return bool(_SOUND.fullmatch(url))


def in_alt(text: str) -> str:
    """``text`` as what a picture shows.

    Site generators put it into its attribute with every escape still in it, so that marks give way to marks that need
    none: quotation marks become curly ones, brackets round ones, and what has no such partner goes.
    """
    text = re.sub(r'"([^"]*)"', r"“\1”", " ".join(text.split()))
    text = re.sub(r"&(?=#?[A-Za-z0-9]+;)", "＆", text)
    text = text.replace("...", "…")
    return re.sub("-{2,}", "–", text.translate(_IN_ALT))


def _block(node: Node) -> list[str]:
    """The lines of a list or a quote, and of what is nested in it."""
    match node.type:
        case "bullet_list" | "ordered_list":
            first = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
            items = [_item(child, first, index) for index, child in enumerate(node.children)]
            return [line for item in items for line in item]
        case "blockquote":
            return [f"> {line}".rstrip() for line in _stacked(node)]
        case "paragraph" | "heading":
            return _words(node.children[0]).split("\n")
        case "root":
            return _stacked(node)
        case _:
            return escape(node.content).split("\n")


def _stacked(node: Node) -> list[str]:
    """The blocks inside ``node``, an empty line between two of them, save where a list is tight."""
    lines: list[str] = []
    for child in node.children:
        between = [] if not lines or (child.previous_sibling and _is_tight(child.previous_sibling)) else [""]
        lines += [*between, *_block(child)]
    return lines


def _is_tight(node: Node) -> bool:
    return node.type == "paragraph" and node.hidden


def _item(item: Node, first: int | None, index: int) -> list[str]:
    marker = "- " if first is None else f"{first + index}. "
    lines = _stacked(item) or [""]
    loose = (
        [""]
        if index and any(child.type == "paragraph" and not child.hidden for child in item.children)
        else []
    )
    hang = " " * len(marker)
    return [*loose, marker + lines[0], *(f"{hang}{line}".rstrip() for line in lines[1:])]

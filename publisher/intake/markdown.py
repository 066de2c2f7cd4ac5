"""Markdown: CommonMark blocks as passages, with front matter above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from publisher.announcement import Bilingual, Language, Markup, PassageKind, Revision
from publisher.errors import DocumentError
from publisher.intake import frontmatter
from publisher.intake.document import Document
from publisher.intake.pairing import Block, block, pair_with_lines
from publisher.intake.placing import Marker, placed
from publisher.intake.script import called, ends_sentence, join, language_of, opening
from publisher.intake.titles import settle

_LARGEST = 50_000
"""Characters; the parser's time grows faster than the text where marks never close."""
_DEEPEST = 12
"""Levels of tokens, two to a list. The parser drops without a word what is deeper than 20."""
_NESTED = {
    "inline",
    "paragraph_open",
    "bullet_list_open",
    "ordered_list_open",
    "list_item_open",
    "blockquote_open",
}
_REFUSED = {
    "table_open": "A table cannot be shown on every channel; write it as a list.",
    "fence": "A block of code cannot be shown on every channel; write it as a paragraph.",
    "code_block": "Text indented by four spaces is a block of code; remove the spaces.",
    "html_block": "HTML is not carried over; write Markdown instead.",
    "html_inline": r"HTML is not carried over; write Markdown, or \< for the sign itself.",
    "definition": "A link defined apart gets lost; write it in the sentence, as [text](https://…).",
    "image": "A picture stands in a paragraph of its own; put empty lines around it.",
    "heading_open": "A heading inside a list or quote cannot be shown on every channel; take it out.",
    "hr": "A rule inside a list or quote cannot be shown on every channel; remove it.",
}


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    # HTML, tables and definitions are understood only to be refused: unknown, they would pass as odd text.
    return MarkdownIt("commonmark", {"html": True, "inline_definitions": True}).enable("table")


def read(text: str, source: str, title: Bilingual) -> Document:
    """A Markdown document. ``title`` wins over the front matter, which wins over headings of level 1.

    Raises :class:`DocumentError` for what cannot be carried to every channel, and where a block has no partner.
    """
    front, body, first_line = frontmatter.split(text, source)
    if len(body) > _LARGEST:
        raise DocumentError(
            f"The text has more than {_LARGEST:,} characters; keep only the announcement in it.",
            source=source,
        )
    reader = _Reader(body, source, first_line)
    blocks = list(reader.blocks())
    supplied = Bilingual(*(title[code].strip() or front.title[code] for code in Language))
    passages = [each for each in blocks if each.level != 1]
    titles, findings = settle(_candidates(blocks, source), passages, supplied)
    paired, lines = pair_with_lines(passages, source)
    revision = Revision(
        titles,
        paired,
        Markup.MARKDOWN,
        summary=front.summary,
        event=front.event,
        organisations=front.organisations,
        tags=front.tags,
        images=placed(front.images, reader.pictures, lines, source),
    )
    return Document(revision, front.publish_at, front.channels, findings)


def _candidates(blocks: Sequence[Block], source: str) -> dict[Language, Block]:
    found: dict[Language, Block] = {}
    for each in blocks:
        if each.level != 1:
            continue
        if each.language is None:
            raise DocumentError(
                f"The title {opening(each.text)} is in neither language; write it in both.",
                source=source,
                line=each.line,
            )
        if each.language in found:
            raise DocumentError(
                f"{opening(each.text)} is a second {called(each.language)} title; begin headings in the text with ##.",
                source=source,
                line=each.line,
            )
        found[each.language] = each
    return found


@dataclass(frozen=True)
class _Reader:
    """Turns the tokens of one body into blocks; ``first_line`` is the body's first line in the document."""

    body: str
    source: str
    first_line: int
    pictures: list[Marker] = field(default_factory=list)
    """Where a picture stands in the text, in order; filled by :meth:`blocks`."""

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the body."""
        return self.body.split("\n")

    def blocks(self) -> Iterator[Block]:
        """Every top-level block with text, in order; rules between them only separate."""
        for tokens in _top_level(_parser().parse(self.body)):
            if tokens[0].type == "hr":
                continue
            if picture := _lone_picture(tokens):
                self.pictures.append(Marker(picture, self.first_line + _span(tokens[0])[0]))
                continue
            self._refuse(tokens)
            if any(token.type == "inline" and token.content for token in tokens):
                yield from self._read(tokens)

    def _read(self, tokens: Sequence[Token]) -> Iterator[Block]:
        first = tokens[0]
        start, end = _span(first)
        if first.type == "paragraph_open":
            yield self._block(start, _joined(tokens[1].content))
        elif first.type == "heading_open":
            level = int(first.tag[1])
            text = _plain(tokens[1]) if level == 1 else _joined(tokens[1].content)
            yield self._block(start, text, PassageKind.HEADING, level)
        elif first.type == "blockquote_open":
            yield self._block(start, self._source(tokens, start, end), PassageKind.QUOTE)
        else:
            yield from self._lists(tokens, end)

    def _lists(self, tokens: Sequence[Token], end: int) -> Iterator[Block]:
        """One list, or two: CommonMark reads a Chinese list and the English one below it as a single list."""
        runs: list[tuple[int, Language | None]] = []
        for item in (token for token in tokens if token.type == "list_item_open" and token.level == 1):
            start, stop = _span(item)
            language = language_of(self._source((), start, stop))
            if not runs or (language and runs[-1][1] and language is not runs[-1][1]):
                runs.append((start, language))
            elif runs[-1][1] is None:
                runs[-1] = (runs[-1][0], language)
        if len(runs) > 2:
            raise self._error(
                runs[2][0], "The languages change from item to item; write one list, then the other."
            )
        stops = [start for start, _ in runs[1:]] + [end]
        for (start, _), stop in zip(runs, stops, strict=True):
            yield self._block(start, self._source(tokens, start, stop), PassageKind.LIST)

    def _block(
        self, start: int, text: str, kind: PassageKind = PassageKind.PARAGRAPH, level: int = 0
    ) -> Block:
        return block(self.first_line + start, text, self.source, kind, level)

    def _source(self, tokens: Sequence[Token], start: int, end: int) -> str:
        """The lines of a block, the wrapped ones of ``tokens`` put together."""
        lines = self.lines[start:end]
        for token in reversed([token for token in tokens if token.type == "inline"]):
            first, last = (number - start for number in _span(token))
            wrapped = token.content.split("\n")
            if len(wrapped) > 1 and first >= 0 and last <= len(lines) and not any(map(_breaks_hard, wrapped)):
                prefix = lines[first].rstrip().removesuffix(wrapped[0].rstrip())
                lines[first:last] = [prefix + _joined(token.content)]
        return "\n".join(lines).strip("\n").rstrip()

    def _refuse(self, tokens: Sequence[Token]) -> None:
        top = {"heading_open"} if tokens[0].type == "heading_open" else set()
        line = 0
        for token in tokens:
            line = token.map[0] if token.map else line
            if token.nesting >= 0 and token.type not in _NESTED | top:
                raise self._error(
                    line, _REFUSED.get(token.type, "This cannot be shown on every channel; remove it.")
                )
            if token.level > _DEEPEST:
                raise self._error(line, "Lists or quotes are nested too deeply here; make them flatter.")
            for child in token.children or ():
                if child.type in _REFUSED:
                    raise self._error(line, _REFUSED[child.type])
            if token.type == "inline":
                self._refuse_two_languages(token, line)

    def _refuse_two_languages(self, token: Token, line: int) -> None:
        """Refuses Chinese sentences with English ones on the next line: CommonMark reads one paragraph."""
        lines = [(number, text, language_of(text)) for number, text in enumerate(token.content.split("\n"))]
        spoken = [each for each in lines if each[2]]
        changes = [(one, two) for one, two in pairwise(spoken) if one[2] is not two[2]]
        if len(changes) == 1 and ends_sentence(changes[0][0][1].rstrip()):
            number, text, _ = changes[0][1]
            raise self._error(
                line + number,
                f"{opening(text)} changes the language within a paragraph; leave an empty line before it.",
            )

    def _error(self, line: int, message: str) -> DocumentError:
        return DocumentError(message, source=self.source, line=self.first_line + line)


def _top_level(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    start = 0
    for index, token in enumerate(tokens):
        if token.level == 0 and token.nesting <= 0 and token.type != "inline":
            yield tokens[start : index + 1]
            start = index + 1


def _lone_picture(tokens: Sequence[Token]) -> str:
    """The file of a paragraph that is one picture and nothing else; empty for any other block."""
    if tokens[0].type != "paragraph_open":
        return ""
    children = tokens[1].children or []
    lone = len(children) == 1 and children[0].type == "image"
    return unquote(str(children[0].attrGet("src") or "")) if lone else ""


def _span(token: Token) -> tuple[int, int]:
    assert token.map
    return token.map[0], token.map[1]


def _breaks_hard(line: str) -> bool:
    """Whether a line of a paragraph ends in a line break that is meant (CommonMark 0.31, section 6.7)."""
    return line.endswith("  ") or (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _joined(content: str) -> str:
    """A paragraph's source with its wrapped lines joined; line breaks that are meant are written ``\\``."""
    pieces: list[list[str]] = [[]]
    for line in content.split("\n"):
        hard = _breaks_hard(line)
        pieces[-1].append(line.strip().removesuffix("\\") if hard else line.strip())
        if hard:
            pieces.append([])
    return "\\\n".join(join(piece) for piece in pieces if piece)


def _plain(token: Token) -> str:
    lines = "".join("\n" if c.type in ("softbreak", "hardbreak") else c.content for c in token.children or ())
    return join([line.strip() for line in lines.split("\n")]).strip()

"""Finds the pairs: every block in one language meets the block that says the same in the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from publisher.announcement import Language, Passage, PassageKind
from publisher.errors import DocumentError
from publisher.intake.script import called, is_foreign, language_of, opening


@dataclass(frozen=True, slots=True)
class Block:
    """One paragraph, heading, list or quote in one language.

    ``line`` is its first line in the document, from 1; ``language`` is ``None`` where it serves both.
    """

    line: int
    text: str
    language: Language | None
    kind: PassageKind = PassageKind.PARAGRAPH
    level: int = 0


def block(
    line: int, text: str, source: str, kind: PassageKind = PassageKind.PARAGRAPH, level: int = 0
) -> Block:
    """A block with its language found out. Raises :class:`DocumentError` for any but Chinese and English."""
    if is_foreign(text):
        raise DocumentError(
            f"{opening(text)} is neither Chinese nor English; translate or remove it.",
            source=source,
            line=line,
        )
    return Block(line, text, language_of(text), kind, level)


def pair(blocks: Sequence[Block], source: str) -> tuple[Passage, ...]:
    """The passages of a document whose languages take turns, either one first, the same one throughout.

    Raises :class:`DocumentError`, naming the line, for a block without its partner.
    """
    return pair_with_lines(blocks, source)[0]


def pair_with_lines(blocks: Sequence[Block], source: str) -> tuple[tuple[Passage, ...], tuple[int, ...]]:
    """What :func:`pair` gives, and the line in which each passage begins."""
    if not blocks:
        raise DocumentError(
            "There is no paragraph below the title; add the text, each paragraph in both languages.",
            source=source,
        )
    _refuse_one_language(blocks, source)
    table = _Table(source, next((b.language for b in blocks if b.language), None))
    for each in blocks:
        table.seat(each)
    return table.finished(), tuple(table.lines)


def _refuse_one_language(blocks: Iterable[Block], source: str) -> None:
    spoken = [b for b in blocks if b.language]
    if len(spoken) > 1 and len({b.language for b in spoken}) == 1:
        first = spoken[0]
        assert first.language
        raise DocumentError(
            f"Every paragraph from {opening(first.text)} on is in {called(first.language)}; "
            f"add the {called(first.language.other)} directly after each.",
            source=source,
            line=first.line,
        )


@dataclass
class _Table:
    """Blocks are seated one by one; ``waiting`` is the one whose partner has not come yet.

    A neutral block that comes in between follows the pair, and is not repeated where the document repeats it
    after the second language.
    """

    source: str
    leader: Language | None
    passages: list[Passage] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    waiting: Block | None = None
    previous: Block | None = None
    between: list[Block] = field(default_factory=list)
    repeats: list[str] = field(default_factory=list)

    def seat(self, guest: Block) -> None:
        if guest.language is None:
            self._seat_neutral(guest)
            return
        if self.waiting is None:
            if guest.language is not self.leader:
                raise self._unled(guest)
            self.waiting, self.repeats = guest, []
        else:
            self._match(self.waiting, guest)
        self.previous = guest

    def finished(self) -> tuple[Passage, ...]:
        if self.waiting:
            language = self.waiting.language
            assert language
            raise self._error(
                self.waiting,
                f"has no {called(language.other)} partner; add it directly after, or remove the paragraph.",
            )
        return tuple(self.passages)

    def _seat_neutral(self, guest: Block) -> None:
        if self.waiting:
            self.between.append(guest)
        elif self.repeats and self.repeats[0] == guest.text:
            self.repeats.pop(0)
        else:
            self.repeats = []
            self._add(guest, guest)

    def _match(self, first: Block, second: Block) -> None:
        assert first.language
        if first.language is second.language:
            raise self._error(
                first,
                f"is followed by more {called(first.language)} in line {second.line}; "
                f"put its {called(first.language.other)} in between.",
            )
        if (first.kind, first.level) != (second.kind, second.level):
            raise self._error(
                second,
                f"is {_shape(second)}, but its partner in line {first.line} is {_shape(first)}; write both alike.",
            )
        self._add(*((first, second) if first.language is Language.ZH else (second, first)))
        for neutral in self.between:
            self._add(neutral, neutral)
        self.repeats = [neutral.text for neutral in self.between]
        self.waiting, self.between = None, []

    def _add(self, zh: Block, en: Block) -> None:
        self.passages.append(Passage(zh.text, en.text, zh.kind, zh.level))
        self.lines.append(min(zh.line, en.line))

    def _unled(self, guest: Block) -> DocumentError:
        assert guest.language and self.previous
        leader = called(guest.language.other)
        return self._error(
            guest,
            f"is {called(guest.language)} after {called(guest.language)} in line {self.previous.line}; "
            f"put its {leader} before it, as in the pairs above.",
        )

    def _error(self, about: Block, message: str) -> DocumentError:
        return DocumentError(f"{opening(about.text)} {message}", source=self.source, line=about.line)


def _shape(block: Block) -> str:
    if block.kind is PassageKind.HEADING:
        return f"a heading of level {block.level}"
    return f"a {block.kind}"

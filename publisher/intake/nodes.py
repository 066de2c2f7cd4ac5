"""YAML read strictly: every value stays the text that was typed, and every complaint names its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from publisher.announcement import Bilingual, Language
from publisher.errors import DocumentError
from publisher.intake.encoding import refuse_unprintable
from publisher.intake.script import join

_DEEPEST = 6
_QUOTE = "put a text with signs such as , : # ? & * or ! in quotation marks"


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the front matter; ``path`` is how messages call it, ``first_line`` where the YAML begins."""

    node: yaml.Node
    path: str
    source: str
    first_line: int

    @property
    def line(self) -> int:
        """The line of the document this value begins in, from 1."""
        return self.first_line + int(self.node.start_mark.line)

    def error(self, message: str) -> DocumentError:
        """An error that names the document, the line and this value."""
        return DocumentError(f"{self.path} {message}", source=self.source, line=self.line)

    def is_empty(self) -> bool:
        """Whether nothing was written after the key."""
        return isinstance(self.node, yaml.ScalarNode) and not self.node.value.strip()

    def text(self) -> str:
        """The value as typed, not interpreted: ``15:00`` stays ``15:00``. Empty where nothing was written."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.error("must be a text.")
        typed = str(self.node.value).strip()
        refuse_unprintable(typed, self.source, self.line)
        return typed

    def line_of_text(self) -> str:
        """A text that must not be empty and becomes one line."""
        if not (typed := self.text()):
            raise self.error("is empty; fill it in or remove it.")
        return join([line.strip() for line in typed.split("\n") if line.strip()])

    def fields(self, known: Sequence[str]) -> dict[str, Value]:
        """The fields of a mapping, of which all must be ``known``. Those left empty are left out."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"must have {_listed(known)}, each with its value.")
        found: dict[str, Value] = {}
        for key, node in self.node.value:
            name = self._name(key, known)
            if name in found:
                raise self._at(key, f'"{name}" stands here for a second time; keep one of them.')
            found[name] = Value(node, f"{self.path}.{name}".lstrip("."), self.source, self.first_line)
        return {name: value for name, value in found.items() if not value.is_empty()}

    def items(self) -> list[Value]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error("must be a list, such as [one, two].")
        return [
            Value(node, f"{self.path}[{number}]", self.source, self.first_line)
            for number, node in enumerate(self.node.value, 1)
        ]

    def bilingual(self, *, complete: bool = True) -> Bilingual:
        """A text in both languages; unless ``complete``, one may be missing."""
        fields = self.fields(tuple(Language))
        if complete and (missing := [code for code in Language if code not in fields]):
            raise self.error(f"has no {missing[0]}; give it in both languages, as {{zh: …, en: …}}.")
        return Bilingual(**{name: value.line_of_text() for name, value in fields.items()})

    def _name(self, key: yaml.Node, known: Sequence[str]) -> str:
        name = key.value if isinstance(key, yaml.ScalarNode) else "{…}"
        if name in known:
            return str(name)
        close = difflib.get_close_matches(name[:40], known, n=1)
        hint = f'did you mean "{close[0]}"?' if close else f"known here are {_listed(known)}; {_QUOTE}."
        raise self._at(key, f'"{name[:40]}" is not known in {self.path or "the front matter"}; {hint}')

    def _at(self, key: yaml.Node, message: str) -> DocumentError:
        return DocumentError(message, source=self.source, line=self.first_line + int(key.start_mark.line))


def parse(text: str, source: str, first_line: int) -> Value | None:
    """The YAML in ``text``, whose first line is line ``first_line`` of the document; ``None`` for an empty one.

    Raises :class:`DocumentError` for broken YAML and for what a form to fill in has no use for: anchors,
    aliases, type tags and deep nesting.
    """
    try:
        for line in _lines_refused(text):
            raise DocumentError(
                f"Anchors, aliases, type tags and deep nesting are not read in the front matter; {_QUOTE}.",
                source=source,
                line=first_line + line,
            )
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _broken(error, source, first_line) from None
    return None if node is None else Value(node, "", source, first_line)


def _lines_refused(text: str) -> Iterator[int]:
    """The lines, from 0, of what is not allowed. Events come without recursion, however deep a text nests."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        marked = isinstance(event, yaml.NodeEvent) and event.anchor is not None
        tagged = isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None
        if marked or tagged or depth > _DEEPEST:
            yield event.start_mark.line if event.start_mark else 0


def _broken(error: yaml.MarkedYAMLError, source: str, first_line: int) -> DocumentError:
    mark = error.problem_mark or error.context_mark
    return DocumentError(
        f"The front matter cannot be understood here ({error.problem or error.context}); {_QUOTE}.",
        source=source,
        line=first_line + (mark.line if mark else 0),
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"

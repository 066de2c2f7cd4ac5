"""WordPress passes the conformance kit, whichever way an office takes posts back."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from channels.doubles.wordpress import WordPressDouble
from channels.wordpress import WordPressAdapter, WordPressSettings
from publisher.testing.conformance_http import HttpConformance
from tests.wordpress_cases import taking_back


class WordPressConformance(HttpConformance):
    """The suite, over the double. Publishing is the change of a draft, by its number."""

    keyed = True
    prepares = True
    creates = ("POST", "/wp-json/wp/v2/posts/")
    updates = creates
    retracts = creates
    retract: ClassVar[str] = "draft"

    def start(self, folder: Path) -> None:
        self.double = WordPressDouble(str(folder))
        self.reach = {name.lower(): value for name, value in self.double.start().items()}
        self.server, self.secrets = (
            self.double.server,
            (self.double.password, self.reach["application_password"]),
        )

    def stop(self) -> None:
        self.double.stop()

    def adapter(self, patience: float) -> WordPressAdapter:
        settings = WordPressSettings(**self.reach, retract=self.retract, timeout=patience)
        return WordPressAdapter("website", settings)

    def count(self) -> int:
        return len(self.double.public())


class TestWordPressDraft(WordPressConformance):
    """Taken back, a post becomes a draft."""


@taking_back
class TestWordPressNotice(WordPressConformance):
    """Taken back, a post says that it was withdrawn."""

    retract = "notice"


@taking_back
class TestWordPressTrash(WordPressConformance):
    """Taken back, a post lies in the trash."""

    retract = "trash"
    retracts = ("DELETE", "/wp-json/wp/v2/posts/")

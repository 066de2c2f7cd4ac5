"""The Hugo channel passes the conformance kit, over a real git and a real remote, and over a bare folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from channels.hugo import HugoAdapter, HugoSettings
from channels.static_site import folder as disk
from publisher.testing.conformance import AdapterConformance, Step, Trouble
from tests.hugo_clone import Clone, make_site

URL = "https://www.example.org/"


class TestPush(AdapterConformance):
    """The suite, with every change pushed to a remote."""

    keyed = True
    troubles = frozenset(
        {
            Trouble.UNAVAILABLE,
            Trouble.REJECTED,
            Trouble.SIGN_IN_REFUSED,
            Trouble.LOST_BEFORE,
            Trouble.LOST_AFTER,
            Trouble.SILENT,
        }
    )
    secrets = ("s3cret-token",)
    # What the connections of a step meet: it fetches, pushes, and looks where the answer was lost.
    plans: ClassVar[dict[Trouble, tuple[str, ...]]] = {
        Trouble.UNAVAILABLE: ("gone",),
        Trouble.SIGN_IN_REFUSED: ("deny",),
        Trouble.REJECTED: ("ok", "refuse"),
        Trouble.LOST_BEFORE: ("ok", "cut-before"),
        Trouble.LOST_AFTER: ("ok", "cut-after", "gone"),
        Trouble.SILENT: ("ok", "wait", "gone"),
    }

    def start(self, folder: Path) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("HOME", str(folder))
        self.patch.setattr(os, "fsync", lambda handle: None)
        self.clone = Clone(folder)

    def stop(self) -> None:
        self.patch.undo()

    def adapter(self, patience: float) -> HugoAdapter:
        settings = HugoSettings(folder=self.clone.folder, url=URL, git="push", timeout=max(patience, 1.5))
        return HugoAdapter("website", settings)

    def count(self) -> int:
        """Bundles at the remote with a page in each language."""
        found = self.clone.tree()
        pages = {p.rpartition("/")[0] for p in found if p.endswith("/index.zh.md")}
        assert pages == {p.rpartition("/")[0] for p in found if p.endswith("/index.en.md")}
        return len(pages)

    def inject(self, trouble: Trouble, step: Step) -> None:
        self.clone.plan(*self.plans[trouble])


class TestFolder(AdapterConformance):
    """The suite, over a folder without git; its troubles are those of a disk."""

    keyed = True
    troubles = frozenset({Trouble.UNAVAILABLE, Trouble.SIGN_IN_REFUSED})

    def start(self, folder: Path) -> None:
        self.folder = make_site(folder / "site")
        self.patch = pytest.MonkeyPatch()

    def stop(self) -> None:
        self.patch.undo()

    def adapter(self, patience: float) -> HugoAdapter:
        return HugoAdapter("website", HugoSettings(folder=self.folder, url=URL))

    def count(self) -> int:
        return len(list(self.folder.glob("content/news/*/index.zh.md")))

    def inject(self, trouble: Trouble, step: Step) -> None:
        code = errno.EROFS if trouble is Trouble.SIGN_IN_REFUSED else errno.ENOSPC
        owner: Any = {Step.FIND: Path, Step.RETRACT: Path}.get(step, disk.os)
        name = {Step.FIND: "read_bytes", Step.RETRACT: "read_bytes"}.get(step, "fsync")
        if step is Step.CHECK:
            import tempfile

            owner, name = tempfile, "TemporaryFile"
        real = getattr(owner, name)

        def failing(*args: Any, **named: Any) -> Any:
            self.patch.setattr(owner, name, real)
            raise OSError(code, os.strerror(code))

        self.patch.setattr(owner, name, failing)


class TestCommit(AdapterConformance):
    """The suite, with commits in the clone alone."""

    keyed = True
    troubles = frozenset({Trouble.UNAVAILABLE})

    def start(self, folder: Path) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("HOME", str(folder))
        self.patch.setattr(os, "fsync", lambda handle: None)
        self.clone = Clone(folder)

    def stop(self) -> None:
        self.patch.undo()

    def adapter(self, patience: float) -> HugoAdapter:
        return HugoAdapter("website", HugoSettings(folder=self.clone.folder, url=URL, git="commit"))

    def count(self) -> int:
        return len([p for p in self.clone.tree(self.clone.folder) if p.endswith("/index.zh.md")])

    def inject(self, trouble: Trouble, step: Step) -> None:
        # A merge of somebody's that is under way.
        (self.clone.folder / ".git" / "MERGE_HEAD").write_text("0" * 40 + "\n")

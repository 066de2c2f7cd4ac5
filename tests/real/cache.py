"""What was downloaded and built once, outside the tree, kept under a name that holds its version."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class InstallError(Exception):
    """A step of the installation failed; says which one and where its log is."""


def folder() -> Path:
    """PUBLISHER_REAL_CACHE, else ``bilingual-publisher-real`` in the user's cache folder; made where missing."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    given = os.environ.get("PUBLISHER_REAL_CACHE") or Path(home) / "bilingual-publisher-real"
    path = Path(given).absolute()
    (path / "log").mkdir(parents=True, exist_ok=True)
    return path


def once(name: str, build: Callable[[Path], None]) -> Path:
    """The folder ``name`` of the cache, filled by ``build`` where it is not there yet.

    It appears whole or not at all: a broken or interrupted build leaves nothing behind that looks ready.
    """
    target = folder() / name
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(prefix=f"{name}-", suffix=".part", dir=folder()) as part:
        made = Path(part) / "made"
        made.mkdir()
        build(made)
        try:
            made.rename(target)
        except OSError:
            if not target.is_dir():  # another run may have been quicker
                raise
    return target


def run(
    step: str, command: Sequence[str], cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """The output of ``command``. Raises :class:`InstallError` that names ``step`` and the log of what went wrong."""
    log = folder() / "log" / f"{step.replace(' ', '-')}.log"
    known = {**os.environ, **(environment or {})}
    try:
        with log.open("wb") as said:
            done = subprocess.run(
                command, cwd=cwd, env=known, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            )
            said.write(done.stdout)
    except FileNotFoundError as error:
        raise InstallError(f"Step '{step}' needs {command[0]}, which is not installed.") from error
    if done.returncode:
        raise InstallError(f"Step '{step}' failed with code {done.returncode}; its log is {log}.")
    return done.stdout.decode(errors="replace")


def unpacked(package: str, version: str, wanted: Sequence[str] = ()) -> Path:
    """The contents of an npm package (only the ``wanted`` paths in it, where given), downloaded once.

    The registry's client checks the archive against the registry's own hash.
    """

    def build(made: Path) -> None:
        step = f"npm pack {package.rpartition('/')[2]}"
        with tempfile.TemporaryDirectory(dir=made.parent) as down:
            run(step, ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", down])
            (archive,) = Path(down).iterdir()
            members = [f"package/{path}" for path in wanted]
            run(f"unpacking {package.rpartition('/')[2]}",
                ["tar", "xzf", str(archive), "-C", str(made), "--strip-components=1", "--no-same-owner", *members])  # fmt: skip

    return once(f"{package.rpartition('/')[2]}-{version}", build)


def copied(source: Path, target: Path) -> None:
    """A copy of a folder tree, by the quickest means there is."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)

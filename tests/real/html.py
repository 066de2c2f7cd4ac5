"""Whether HTML is right: the Nu checker's opinion, and a strict parser's where there is no Java."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import html5lib
from html5lib.constants import E as SENTENCES

from tests.real import cache

VERSION = "26.9.27"
"""Of the npm package ``vnu-jar``."""
_JAVA = ("-Xss16m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""It is over before thorough compilation would pay; its schemas need a deep stack."""
_JAR = "build/dist/vnu.jar"


def jar() -> Path:
    """The Nu checker, downloaded once."""
    return cache.unpacked("vnu-jar", VERSION) / _JAR


def validate(html: str) -> list[str]:
    """What is wrong with a whole page, a line each; empty where nothing is. Seconds a call: Java starts for it."""
    return validate_all([html])[0]


def validate_all(pages: Sequence[str], *, java: bool | None = None) -> list[list[str]]:
    """What is wrong with each of ``pages``, which are checked together: Java starts once.

    ``java`` is whether the Nu checker is asked; it is where Java is installed.
    """
    if java is None:
        java = shutil.which("java") is not None
    return _by_nu(pages) if java else [_by_parser(page) for page in pages]


def _by_nu(pages: Sequence[str]) -> list[list[str]]:
    with tempfile.TemporaryDirectory(prefix="publisher-nu-") as folder:
        files = [Path(folder) / f"{number}.html" for number in range(len(pages))]
        for file, page in zip(files, pages, strict=True):
            file.write_text(page, encoding="utf-8")
        command = ["java", *_JAVA, "-jar", str(jar()), "--format", "json", "--stdout", "--exit-zero-always"]
        done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"The Nu checker failed: {done.stderr[-2000:]}")
    found: dict[str, list[str]] = {file.name: [] for file in files}
    for message in json.loads(done.stdout)["messages"]:
        found[Path(message["url"]).name].append(_sentence(message))
    return list(found.values())


def _sentence(message: dict[str, object]) -> str:
    kind = message.get("subType") or message["type"]  # a warning is information of that sub-type
    return f"{message.get('lastLine', '?')}:{message.get('lastColumn', '?')} {kind}: {message['message']}"


def _by_parser(page: str) -> list[str]:
    """The first thing that is against the syntax; a parser knows nothing of which element may be where."""
    parser = html5lib.HTMLParser()
    parser.parse(page)
    return [
        f"{line}:{column} error: {SENTENCES[code] % values}" for (line, column), code, values in parser.errors
    ]

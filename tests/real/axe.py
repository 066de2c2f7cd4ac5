"""axe-core, the script that looks for what shuts people out of a page; needs no browser to be downloaded."""

from __future__ import annotations

from pathlib import Path

from tests.real import cache

VERSION = "4.14.1"
"""Of the npm package ``axe-core``."""


def script() -> Path:
    """The script, downloaded once."""
    return cache.unpacked("axe-core", VERSION, ("axe.min.js",)) / "axe.min.js"

"""Ghost passes the conformance kit, over the double."""

from __future__ import annotations

from pathlib import Path

from channels.doubles.ghost import GhostDouble
from channels.ghost import GhostAdapter, GhostSettings
from publisher.testing.conformance_http import HttpConformance

POSTS = "/ghost/api/admin/posts/"


class TestGhost(HttpConformance):
    """The suite. A deletion has an answer without a body, so its cases are with the adapter's own tests."""

    keyed = True
    prepares = True
    creates = ("PUT", POSTS)
    updates = creates
    retracts = creates

    def start(self, folder: Path) -> None:
        self.double = GhostDouble(str(folder))
        self.reach = {name.lower(): value for name, value in self.double.start().items()}
        self.server, self.secrets = self.double.server, (self.double.secret,)

    def stop(self) -> None:
        self.double.stop()

    def adapter(self, patience: float) -> GhostAdapter:
        settings = GhostSettings(**self.reach, timeout=patience)
        return GhostAdapter("ghost", settings)

    def count(self) -> int:
        return len(self.double.received())

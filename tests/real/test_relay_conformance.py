"""The whole conformance kit through a relay: it changes nothing an adapter or a case could tell."""

from __future__ import annotations

from pathlib import Path

from channels.doubles.mastodon import MastodonDouble
from channels.mastodon import MastodonAdapter, MastodonSettings
from publisher.testing.conformance_http import HttpConformance
from tests.real.relay import Relay


class TestRelayedMastodon(HttpConformance):
    """The double stands where a real server would; all faults happen in the relay before it."""

    keyed = True
    creates = ("POST", "/api/v1/statuses")

    def start(self, folder: Path) -> None:
        self.double = MastodonDouble(str(folder))
        reach = {name.lower(): value for name, value in self.double.start().items()}
        (address,) = [name for name, value in reach.items() if value.startswith("http://")]
        self.relay = Relay(reach[address], own_links=True)
        self.reach = {**reach, address: self.relay.start()}
        self.server, self.secrets = self.relay.server, (self.double.token,)

    def stop(self) -> None:
        self.relay.stop()
        self.double.stop()

    def adapter(self, patience: float) -> MastodonAdapter:
        return MastodonAdapter("mastodon", MastodonSettings(**self.reach, timeout=patience))

    def count(self) -> int:
        return len(self.double.posts())

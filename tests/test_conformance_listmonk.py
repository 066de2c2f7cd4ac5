"""listmonk passes the conformance kit, over the double."""

from __future__ import annotations

from pathlib import Path

from channels.doubles.listmonk import ListmonkDouble
from channels.listmonk import ListmonkAdapter, ListmonkSettings
from publisher.channel import Variant
from publisher.testing.bench import AnyAdapter
from publisher.testing.conformance_http import HttpConformance
from tests.newsletter_places import open_variant


class TestListmonk(HttpConformance):
    """The suite."""

    keyed = True
    prepares = True
    creates = ("PUT", "/api/campaigns/")

    def start(self, folder: Path) -> None:
        self.double = ListmonkDouble(str(folder))
        self.reach = {name.lower(): value for name, value in self.double.start().items()}
        self.server, self.secrets = self.double.server, (self.double.token,)

    def stop(self) -> None:
        self.double.stop()

    def adapter(self, patience: float) -> ListmonkAdapter:
        return ListmonkAdapter(
            "newsletter", ListmonkSettings.model_validate({**self.reach, "timeout": patience})
        )

    def variant(self, adapter: AnyAdapter, number: int = 1) -> Variant:
        return open_variant(adapter, number)

    def count(self) -> int:
        return self.double.out()

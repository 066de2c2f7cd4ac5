"""What the doubles of newsletter services share: campaigns and the mail they become, kept in a folder."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from publisher import clock
from publisher.channel import Double
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import LoopbackServer


@dataclass(frozen=True, slots=True)
class Mail:
    """What one reader got."""

    campaign: int | str
    address: str
    subject: str
    html: str
    text: str = ""


class CampaignDouble(Double):
    """A service with campaigns. ``pace`` is what becomes of one that is started.

    ``"whole"``: everybody gets it at once. ``"held"``: half of them, then it is paused. ``"slow"``: nobody yet.
    """

    def __init__(self, folder: str, *, now: clock.Clock = clock.now) -> None:
        super().__init__(folder)
        self.now = now
        self.pace = "whole"
        self.server = LoopbackServer(self._handle)

    def stop(self) -> None:
        """Stops listening; campaigns and mail stay in the folder."""
        self.server.stop()

    def received(self) -> list[str]:
        """Who got what, in order."""
        return [f"{mail.address}  {mail.subject}" for mail in self.mails()]

    def mails(self) -> list[Mail]:
        """All mail, in order."""
        return [Mail(**data) for data in self._read("mails")]

    def campaigns(self) -> list[dict[str, Any]]:
        """All campaigns, oldest first, as they are kept."""
        return list(self._read("campaigns"))

    @abstractmethod
    def out(self) -> int:
        """How many campaigns have been started."""

    @abstractmethod
    async def _handle(self, request: Request) -> Response: ...

    def change(self, identity: int | str, **fields: Any) -> None:
        """Changes a campaign as a person does."""
        campaign = self._campaign(identity)
        assert campaign is not None
        self._keep(campaign | fields)

    def delete(self, identity: int | str) -> None:
        """Deletes a campaign as a person does."""
        self._path("campaigns", identity).unlink()

    def _campaign(self, identity: int | str) -> dict[str, Any] | None:
        return next((one for one in self.campaigns() if str(one["id"]) == str(identity)), None)

    def _keep(self, campaign: dict[str, Any]) -> None:
        self._write("campaigns", campaign["id"], campaign)

    def _deliver(self, mails: Iterable[Mail]) -> int:
        """Delivers as ``pace`` says; how many."""
        wanted = list(mails)
        share = {"whole": len(wanted), "held": len(wanted) // 2, "slow": 0}[self.pace]
        begin = len(self.mails())
        for index, mail in enumerate(wanted[:share], begin + 1):
            self._write("mails", index, asdict(mail))
        return share

    def _read(self, kind: str) -> Iterable[dict[str, Any]]:
        paths = sorted((Path(self.folder) / kind).glob("*.json"), key=lambda path: path.stem.rjust(12, "0"))
        return (json.loads(path.read_text(encoding="utf-8")) for path in paths)

    def _write(self, kind: str, identity: int | str, data: dict[str, Any]) -> None:
        path = self._path(kind, identity)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def _path(self, kind: str, identity: int | str) -> Path:
        return Path(self.folder) / kind / f"{identity}.json"

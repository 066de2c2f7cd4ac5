"""How a campaign is sent once: looked for, drafted under the delivery's key, sent by its number.

Two requests split the risk. The first can only leave a draft that nobody gets, which the next try goes on with; the
second names one campaign, which a service sends once. What became of it is told by the campaign's own status, and
not by the answer.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar, TypeVar

import structlog

from channels.campaign.campaign import Campaign, State, receipt, sorted_out
from channels.campaign.content import CampaignPayload
from channels.campaign.service import Service
from channels.campaign.settings import CampaignSettings
from publisher import clock
from publisher.channel import (
    Adapter,
    AlreadyThere,
    Capabilities,
    DeliveryError,
    Kind,
    Outcome,
    OutcomeUnknown,
    Receipt,
    Rejected,
    Unavailable,
)

SettingsT = TypeVar("SettingsT", bound=CampaignSettings)

log = structlog.get_logger("channels.campaign")


class CampaignAdapter(Adapter[SettingsT, CampaignPayload]):
    """A newsletter that a service sends to its own subscribers. What is sent can be neither changed nor called back."""

    kind: ClassVar[Kind] = Kind.NEWSLETTER
    settles: ClassVar[timedelta] = timedelta(minutes=3)
    """How long the service may still work on a request after a client has left."""

    @property
    def capabilities(self) -> Capabilities:
        """The service writes to each reader; nothing can link to a newsletter."""
        return Capabilities(personal=True, pages=False, settles_after=self.settles)

    @abstractmethod
    def _connect(self) -> Service:
        """The service, with nothing sent yet."""

    _made: Service | None = None

    @property
    def service(self) -> Service:
        """The one service of this channel."""
        if self._made is None:
            self._made = self._connect()
        return self._made

    async def close(self) -> None:
        """Gives the connections back, if there ever were any."""
        if self._made is not None:
            await self._made.http.close()

    # --- Sending -----------------------------------------------------------------------------------------

    async def publish(self, payload: CampaignPayload, key: str) -> Receipt:
        """A draft, unless one was left by an earlier try, and one request that sends it."""
        service = self.service
        shelf = sorted_out(await service.named(key), key)
        if shelf.out:
            raise self._out(shelf.out)
        if shelf.draft is None:
            return await self._sent(await service.draft(payload, key))
        try:
            await service.write(shelf.draft.id, payload, key)
        except Rejected as refused:
            # Where a person has sent the draft meanwhile, that is why it cannot be changed.
            raise await self._seen(shelf.draft.id, refused) from None
        return await self._sent(shelf.draft.id)

    async def _sent(self, number: str) -> Receipt:
        service = self.service
        response = await service.send(number)
        if 200 <= response.status < 300:
            if not service.started(response, number):
                raise OutcomeUnknown(
                    f"{service.host} answered {response.status}, but not that it sends the campaign."
                )
            return await self._taken(number, response.status)
        try:
            service.refuse(response, creates=True)
        except Rejected as refused:
            raise await self._seen(number, refused, repeated=service.repeated(response)) from None
        raise OutcomeUnknown(f"{service.host} answered {response.status}, which says nothing.")

    async def _taken(self, number: str, code: int) -> Receipt:
        """What is known of a campaign that the service has just begun to send."""
        return Receipt(Outcome.ACCEPTED, number, code=str(code), at=clock.now())

    async def _seen(self, number: str, refused: Rejected, *, repeated: bool = False) -> DeliveryError:
        """What a refusal means, by the campaign's own status. ``repeated`` where it says "sent before"."""
        service = self.service
        try:
            found = await service.look(number)
        except DeliveryError as unanswered:
            return OutcomeUnknown(f"{refused} Whether it was sent could not be asked: {unanswered}")
        if found is None:
            return Unavailable(f"The draft on {service.host} was deleted meanwhile; nothing was sent.")
        if found.state is not State.DRAFT:
            return self._out(found)
        if repeated:
            return OutcomeUnknown(
                f"{service.host} says that it was sent before, and calls it {found.status}."
            )
        return refused

    def _out(self, found: Campaign) -> DeliveryError:
        """What it means for a new try that a campaign is no draft any more."""
        service = self.service
        if found.state is State.UNKNOWN:
            return OutcomeUnknown(
                f"{service.host} calls the campaign {service.http.scrub(found.status)!r}; look at it there."
            )
        if found.state is State.STOPPED:
            return Rejected(
                f"The campaign was stopped on {service.host} ({service.http.scrub(found.words)}), and is not sent "
                "again; send it to the rest from there if they should get it."
            )
        return AlreadyThere(self._told(found))

    # --- What became of it -------------------------------------------------------------------------------

    async def find(self, key: str, payload: CampaignPayload) -> Receipt | None:
        """The campaign that bears the key; ``None`` where it is a draft or not there."""
        out = sorted_out(await self.service.named(key), key).out
        if out and out.state is State.UNKNOWN:
            raise self._out(out)
        return self._told(out) if out else None

    async def confirm(self, receipt: Receipt, payload: CampaignPayload) -> Receipt:
        """*Confirmed* once the service has sent it to everybody, or a person has stopped it.

        Raises :class:`Unavailable`, with the reason for people, where it does not go on by itself.
        """
        service = self.service
        found = await service.look(receipt.id)
        if found is None:
            raise Unavailable(
                f"{service.host} does not have campaign {receipt.id} any more; was it deleted there?"
            )
        words = service.http.scrub(found.words)
        if found.state is State.HELD:
            raise Unavailable(
                f"{service.title} has paused the campaign ({words}); see there why, and let it go on."
            )
        if found.state in (State.DRAFT, State.UNKNOWN):
            raise Unavailable(
                f"{service.host} took the campaign over and calls it {words}; look at it there if that lasts."
            )
        if found.state is State.UNDERWAY:
            return receipt
        if found.state is State.STOPPED or found.short:
            log.warning(
                "the campaign ended before everybody had got it; look at it at the service",
                event_name="campaign.ended_early",
                channel=self.channel,
                campaign=found.id,
                status=words,
            )
        told = self._told(found)
        return Receipt(Outcome.CONFIRMED, told.id, code=told.code, at=told.at, raw=told.raw)

    def _told(self, found: Campaign) -> Receipt:
        return receipt(found, self.service.http.scrub)

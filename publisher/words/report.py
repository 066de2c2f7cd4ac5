"""Where one announcement stands, and what the next step is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from publisher.announcement import AnnouncementState, Language
from publisher.delivery import DELIVERED, IN_DOUBT, Action, Delivery, State, posts_out
from publisher.store.announcements import Filed
from publisher.store.log import Event
from publisher.words.office import Outlook, halted, paused, unmanned
from publisher.words.story import Case, Trace, state, story, traces
from publisher.words.todo import ToDo, needs


class Report:
    """An announcement, its deliveries and, where they were read, the ``events`` of its log, told in words."""

    def __init__(
        self,
        filed: Filed,
        deliveries: Sequence[Delivery],
        outlook: Outlook,
        events: Sequence[Event] = (),
    ) -> None:
        self.filed, self.deliveries, self.outlook, self.events = filed, deliveries, outlook, events
        self._traces = traces(events)

    # --- one channel ------------------------------------------------------------------------------------------

    def _case(self, delivery: Delivery) -> Case:
        trace = self._traces.get(delivery.id, Trace())
        return Case(delivery, self.deliveries, self.outlook, trace)

    def name(self, delivery: Delivery) -> str:
        """The channel, with what tells this delivery from the others there."""
        more = [] if delivery.scope == "both" else [Language(delivery.scope).value]
        if len({d.revision for d in self.deliveries}) > 1:
            more.append(f"revision {delivery.revision}")
        if delivery.action is not Action.PUBLISH:
            more.append("correction" if delivery.action is Action.UPDATE else "retraction")
        return f"{delivery.channel} ({', '.join(more)})" if more else delivery.channel

    def state(self, delivery: Delivery) -> str:
        """How a delivery stands, in a word or two."""
        return state(self._case(delivery))

    def story(self, delivery: Delivery) -> list[str]:
        """What happened to a delivery and what follows by itself, in sentences."""
        return story(self._case(delivery))

    def address(self, delivery: Delivery) -> str:
        """Where the post can be seen, or the id it has there; empty where it is not out, or not any more."""
        after = self._case(delivery).after
        gone = delivery.action is Action.RETRACT or (after is not None and after.action is Action.RETRACT)
        receipt = delivery.receipt
        if receipt is None or gone or delivery.state not in DELIVERED or (after and not receipt.links):
            return ""
        if receipt.links or receipt.id == delivery.key:  # a person who settled it by hand knew no id there
            return receipt.links.both if receipt.links else ""
        return f"It is known there as {receipt.id}"

    def need(self, delivery: Delivery) -> ToDo | None:
        """What a person must do about a delivery."""
        title = self.filed.revision.title
        named = {"zh": title.zh, "en": title.en}.get(
            delivery.scope, " / ".join(filter(None, (title.zh, title.en)))
        )
        return needs(delivery, self.outlook.kinds.get(delivery.channel), named)

    @property
    def sent_back(self) -> str:
        """Why the newest revision is a draft again, where an approver sent it back; else empty."""
        mine = [event for event in self.events if event.name.startswith("revision.")]
        if not mine or mine[-1].name != "revision.rejected":
            return ""
        return f"sent back by {mine[-1].actor}, {self.outlook.time(mine[-1].at)}: {mine[-1].detail['why']}"

    # --- the whole --------------------------------------------------------------------------------------------

    @property
    def needing(self) -> list[Delivery]:
        """The deliveries that a person must do something about."""
        return [delivery for delivery in self.deliveries if needs(delivery) is not None]

    @property
    def open(self) -> list[Delivery]:
        """The deliveries about which the program still does something by itself."""
        return [
            d
            for d in self.deliveries
            if d.state is State.WAITING or d.unseen or (d.state in IN_DOUBT and not needs(d))
        ]

    def standing(self) -> str:
        """Where the announcement stands, in a word or two."""
        stands = self.filed.state
        retracts = stands is AnnouncementState.RETRACTED
        mine = [
            d
            for d in self.deliveries
            if (d.action is Action.RETRACT) == retracts and (retracts or d.revision == self.filed.number)
        ]
        done = sum(d.state in DELIVERED and not d.unseen for d in mine)
        count = f"{done} of {len(mine)}" if retracts else f"{done} of {len(mine)} out"
        if self.needing:
            return f"needs a person ({count})" if mine else "needs a person"
        if stands not in (AnnouncementState.SCHEDULED, AnnouncementState.RETRACTED):
            earlier = {d.revision for d in posts_out(self.deliveries).values()} - {self.filed.number}
            named = "waits for approval" if stands is AnnouncementState.SUBMITTED else str(stands)
            if earlier:
                return f"{named}; revision {max(earlier)} is out"
            return f"{named} ({count})" if done else named
        if done == len(mine):
            return "retracted" if retracts else "published"
        if held := self._held():
            return f"{held} ({count})"
        if retracts:
            return f"being taken back ({count})"
        return f"publishing ({count})" if done or self._is_begun() else "scheduled"

    def _held(self) -> str:
        """What keeps the whole from going on; empty for nothing, and before its hour has come."""
        if self.outlook.halt is not None:
            return "halted"
        if not self._is_begun():
            return ""
        if self.outlook.stranded:
            return "no worker is running"
        names = list(
            dict.fromkeys(d.channel for d in self.open if d.due_at and self.outlook.pause(d.channel))
        )
        return f"{names[0] if len(names) == 1 else f'{len(names)} channels'} paused" if names else ""

    def _is_begun(self) -> bool:
        return any(d.attempt or (d.due_at and d.due_at <= self.outlook.now) for d in self.open)

    def todos(self) -> list[ToDo]:
        """What a person must do, what concerns everything first; empty for nothing."""
        office = [halted(self.outlook), unmanned(self.outlook)] if self.open else []
        channels = dict.fromkeys(d.channel for d in self.open if d.due_at is not None)
        pauses = map(partial(paused, self.outlook), channels)
        found = [*office, *(self.need(d) for d in self.needing), *pauses, self._desk_step()]
        return list(dict.fromkeys(todo for todo in found if todo is not None))

    def _desk_step(self) -> ToDo | None:
        """The next step at the desk, where the announcement is not on its way yet."""
        key = self.filed.key
        match self.filed.state:
            case AnnouncementState.DRAFT:
                return ToDo(
                    "Finish it, look at it on every channel, and hand it to an approver.",
                    (
                        ("What is still to mend", f"publisher check {key}"),
                        ("How it looks", f"publisher preview {key}"),
                        ("To hand it on", f"publisher submit {key}"),
                    ),
                )
            case AnnouncementState.SUBMITTED:
                return ToDo(
                    "A person who neither wrote nor submitted it reads and approves it, or sends it back.",
                    (
                        ("To read it", f"publisher preview {key}"),
                        ("To approve it", f"publisher approve {key} --as NAME"),
                        ("To send it back", f'publisher reject {key} --as NAME --why "..."'),
                    ),
                )
            case AnnouncementState.APPROVED if posts_out(self.deliveries):
                return ToDo(
                    "An earlier revision is out; bring this one out in its place.",
                    (("To see what would happen", f"publisher correct {key}"),),
                )
            case AnnouncementState.APPROVED:
                return ToDo(
                    "Set its hour.", (("", f'publisher schedule {key} "2026-10-12 09:00 Asia/Shanghai"'),)
                )
            case _:
                return None

    def calm(self) -> str:
        """What is said where there is nothing to do, with the next moment something happens by itself."""
        moments = [d.due_at for d in self.open if d.due_at is not None]
        if not moments or min(moments) <= self.outlook.now:
            return "Nothing to do. The program goes on by itself." if self.open else "Nothing to do."
        return f"Nothing to do. The next step comes by itself, at {self.outlook.time(min(moments))}."

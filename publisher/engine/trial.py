"""Test letters: a newsletter as it will be, to one address that its sender names, before anyone else gets it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from email_validator import EmailNotValidError, validate_email

from publisher.channel import (
    DeliveryError,
    Fate,
    Letter,
    Links,
    MailingAdapter,
    Payload,
    Unsupported,
    Variant,
)
from publisher.desk import Desk, Dossier
from publisher.engine.deliverer import canonical_links
from publisher.errors import NotAllowedError, SettingsError, UsageError
from publisher.render import links
from publisher.tokens import Purpose, Tokens

_NOBODY = "0" * 8
"""How the reference of somebody begins who is none of the subscribers. The rest is by chance: mail programs hide a
second message that has the Message-ID of the first."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a test letter: ``answer`` is the server's reply."""

    channel: str
    language: str
    fate: Fate
    answer: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One test letter of one channel, ready to be sent. Nothing is written down about it."""

    adapter: MailingAdapter[Any, Any]
    payload: Payload = field(repr=False)
    letter: Letter

    async def send(self) -> Tried:
        """Sends it, once. Where nothing can be sent at all, the adapter's error is the answer."""
        seen = _Seen()
        try:
            await self.adapter.mail(self.payload, _alone(self.letter), seen)
        except DeliveryError as error:
            seen.answer = seen.answer or str(error)
        return Tried(self.adapter.channel, self.letter.scope, seen.fate, seen.answer)


def prepare(desk: Desk, key: str, address: str, language: str = "", channel: str = "") -> list[Trial]:
    """The test letters of an announcement's newsletters, of all its channels with subscribers or of one.

    They are of the sealed variants, or where there is no seal, of what would be sealed now. Without ``language`` each
    is in all the languages of its variant. Links lead to the published page, or to where one could be. Raises
    :class:`UsageError`, :class:`NotAllowedError` or :class:`SettingsError`.
    """
    to, dossier = _checked(address), desk.show(key)
    previews = desk.preview(key, channel)
    mailing = {name for name, adapter in desk.channels.items() if isinstance(adapter, MailingAdapter)}
    if channel and channel not in mailing:
        raise UsageError(
            f'"{channel}" sends no letters to single readers; leave --send-to out to see what it gets.'
        )
    variants = [shown.variant for shown in previews if shown.variant.channel in mailing]
    if not variants:
        raise UsageError(
            f"No channel of {key} sends letters to single readers; leave --send-to out to see its posts."
        )
    wanted = [variant for variant in variants if language in ("", variant.scope) or variant.scope == "both"]
    if not wanted:
        raise UsageError(f'{variants[0].channel} has no letter in "{language}".')
    return [_trial(desk, dossier, variant, to, language or variant.scope) for variant in wanted]


def _trial(desk: Desk, dossier: Dossier, variant: Variant, address: str, language: str) -> Trial:
    adapter = desk.channels[variant.channel]
    assert isinstance(adapter, MailingAdapter)
    try:
        payload = adapter.prepare(links.fill(variant, _links(desk, dossier)))
    except Unsupported as refusal:
        raise NotAllowedError(f"{variant.channel}: {refusal} Revise the announcement.") from None
    return Trial(adapter, payload, _letter(desk, address, language))


def _letter(desk: Desk, address: str, language: str) -> Letter:
    office = desk.settings.office
    if not (office.url and office.secret):
        raise SettingsError(
            "The links in a newsletter need PUBLISHER_URL and PUBLISHER_SECRET; set them in .env."
        )
    tokens, nobody = Tokens(office.secret), _NOBODY + secrets.token_hex(4)
    token = tokens.sign(Purpose.UNSUBSCRIBE, nobody)
    return Letter(
        number=0,
        address=address,
        name="",
        scope=language,
        ref=nobody,
        unsubscribe=f"{office.url}u/{token}",
        token=token,
        bounce=tokens.sign(Purpose.BOUNCE, nobody),
    )


def _links(desk: Desk, dossier: Dossier) -> Links:
    """Where the announcement is, will be, or could be read, and its pictures."""
    filed = dossier.filed
    known = canonical_links(dossier.deliveries)
    if known is None and desk.canonical in desk.channels:
        known = desk.channels[desk.canonical].links(filed.key)
    page = known or Links(both=f"https://example.org/announcements/{filed.key}/")
    pictures = (f"{page.both}{image.sha256[:20]}" for image in filed.revision.images)
    return page if page.pictures else replace(page, pictures=tuple(pictures))


def _checked(address: str) -> str:
    """``address`` as letters have it: its domain in ASCII."""
    try:
        found = validate_email(address.strip(), check_deliverability=False)
    except EmailNotValidError:
        raise UsageError(f'"{address}" is no e-mail address; write it like name@example.org.') from None
    return f"{found.local_part}@{found.ascii_domain}"


async def _alone(letter: Letter) -> AsyncIterator[Sequence[Letter]]:
    yield [letter]


class _Seen:
    """Keeps what became of one letter."""

    def __init__(self) -> None:
        self.fate, self.answer = Fate.UNSENT, ""

    def begin(self, number: int) -> bool:
        """It may be sent; from now on nobody knows whether it was, until :meth:`end`."""
        self.fate = Fate.UNKNOWN
        return True

    def end(self, number: int, fate: Fate, answer: str) -> None:
        """The server has answered."""
        self.fate, self.answer = fate, answer

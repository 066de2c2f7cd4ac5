"""Proofs: what an announcement would look like on each channel, and what the checks say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from publisher import clock, preflight, registry
from publisher.announcement import Finding, Language, Revision, Severity
from publisher.channel import Kind, MediaType, PictureRule, Unsupported, Variant
from publisher.errors import NotAllowedError, PublisherError
from publisher.registry import AnyAdapter, makes_pages
from publisher.render import links
from publisher.render import variant as rendering
from publisher.render.summary import shows, uses_author_summary
from publisher.settings import Settings
from publisher.store.announcements import Filed

_NAMES = {Language.ZH: "Chinese", Language.EN: "English"}
_UNFILED = "0000-0000"
_CLIPPED = 100_000
"""Bytes of HTML above which Gmail shows the beginning of a message only; the links are still to be filled in."""


def _has_summary(variant: Variant, revision: Revision) -> bool:
    if variant.kind is not Kind.SUMMARY or not any(revision.summary[code] for code in variant.languages):
        return True
    return uses_author_summary(variant.text("text"), revision, variant.languages)


def _is_clipped(variant: Variant) -> bool:
    html = (part for part in variant.parts.values() if part.media_type is MediaType.HTML)
    return variant.kind is Kind.NEWSLETTER and any(len(part.data) > _CLIPPED for part in html)


class Proofs:
    """Renders and checks for one set of configured channels."""

    def __init__(self, settings: Settings, channels: Mapping[str, AnyAdapter], now: clock.Clock) -> None:
        self._settings, self._channels, self._now = settings, channels, now

    def channels_of(self, filed: Filed) -> tuple[str, ...]:
        """The channels an announcement goes to. Raises :class:`PublisherError` if one is gone."""
        gone = [name for name in filed.channels if name not in self._channels]
        if gone:
            raise PublisherError(
                f'{filed.key} goes to "{gone[0]}", which is not configured; add it to PUBLISHER_CHANNELS again.'
            )
        return filed.channels or tuple(self._channels)

    def variants(self, filed: Filed, originals: Mapping[str, bytes]) -> list[Variant]:
        """Every variant of the newest revision, as it would be sealed now; ``originals`` are its pictures by hash."""
        edition = self._edition(filed)
        names = self.channels_of(filed)
        return [v for name in names for v in self._rendered(filed.revision, edition, name, originals)]

    def findings(self, filed: Filed, originals: Mapping[str, bytes]) -> list[Finding]:
        """What the checks say about the newest revision, and whether each channel can express it."""
        return self._check(filed.revision, self._edition(filed), self.channels_of(filed), originals)

    def findings_unfiled(
        self, revision: Revision, names: Sequence[str], originals: Mapping[str, bytes]
    ) -> list[Finding]:
        """The same for a document that is not filed."""
        edition = rendering.Edition(_UNFILED, 1, self._today())
        return self._check(revision, edition, names or tuple(self._channels), originals)

    def prove(self, sealed: Sequence[Variant], canonical: str) -> None:
        """Refuses, before approval, what could not be sent. Raises :class:`NotAllowedError`."""
        if not sealed:
            raise NotAllowedError("No channel is configured; set PUBLISHER_CHANNELS in .env first.")
        for variant in sealed:
            try:
                rendering.prove(variant, self._channels[variant.channel])
            except Unsupported as refusal:
                raise NotAllowedError(f"{refusal} Revise the announcement.") from None
        linking = [variant.channel for variant in sealed if links.needs_link(variant)]
        if linking and canonical in self._channels and not makes_pages(self._channels[canonical]):
            raise NotAllowedError(
                f'"{canonical}" makes no page that can be linked to; name a website channel in PUBLISHER_CANONICAL.'
            )
        if linking and canonical not in {variant.channel for variant in sealed}:
            raise NotAllowedError(
                f"{linking[0]} links to the published page, but no channel makes one; "
                "add a website channel and name it in PUBLISHER_CANONICAL."
            )

    def _check(
        self,
        revision: Revision,
        edition: rendering.Edition,
        names: Sequence[str],
        originals: Mapping[str, bytes],
    ) -> list[Finding]:
        found = [*preflight.check(revision), *self._unpictured(revision, names)]
        for name, text in revision.texts().items():
            if links.mentions_token(text):
                message = f"{name} contains an address that is reserved for the canonical link; remove it."
                found.append(Finding("language.reserved", Severity.ERROR, message))
        if any(finding.severity is Severity.ERROR for finding in found):
            return found  # what cannot be approved anyway is not rendered
        return [
            *found,
            *(finding for name in names for finding in self._fit(revision, edition, name, originals)),
        ]

    def _unpictured(self, revision: Revision, names: Sequence[str]) -> Iterator[Finding]:
        """``images.unpublished``, a note, where a channel takes no pictures, and shows none of the canonical page."""
        without = [name for name in names if not self._pictured(name)]
        if revision.images and without:
            shows = "shows" if len(without) == 1 else "show"
            message = f"{', '.join(without)} {shows} no pictures; the text goes out there alone."
            yield Finding("images.unpublished", Severity.NOTE, message)

    def _pictured(self, name: str) -> bool:
        channel = self._channels[name]
        shows = channel.kind is Kind.NEWSLETTER and self._published() is not None
        return shows or channel.capabilities.pictures is not None

    def _fit(
        self, revision: Revision, edition: rendering.Edition, name: str, originals: Mapping[str, bytes]
    ) -> Iterator[Finding]:
        """``fit.unsupported`` for what a channel cannot express, ``fit.summary`` for an author's text left out.

        ``fit.clipped`` for a newsletter that not all readers would see the end of.
        """
        channel = self._channels[name]
        try:
            for variant in self._rendered(revision, edition, name, originals):
                rendering.prove(variant, channel)
                if _is_clipped(variant):
                    message = f"{name}: Gmail cuts off the end of so long a message; shorten the text, or let it stay."
                    yield Finding("fit.clipped", Severity.WARNING, message)
                for code in variant.languages:
                    if variant.kind is Kind.SUMMARY and not shows(variant.text("text"), revision, code):
                        message = f"{name}: there is no room for the {_NAMES[code]}; shorten the titles."
                        yield Finding("fit.language", Severity.WARNING, message)
                if not _has_summary(variant, revision):
                    message = f"{name}: your own summary is too long there; a shorter text is used, see the preview."
                    yield Finding(
                        "fit.summary", Severity.NOTE, message, zh=revision.summary.zh, en=revision.summary.en
                    )
        except (Unsupported, PublisherError) as refusal:
            yield Finding("fit.unsupported", Severity.ERROR, str(refusal))

    def _edition(self, filed: Filed) -> rendering.Edition:
        zone = clock.zone(self._settings.office.timezone)
        planned = filed.publish_at.instant().astimezone(zone).date() if filed.publish_at else self._today()
        return rendering.Edition(filed.key, filed.number, planned, self._now().replace(microsecond=0))

    def _today(self) -> date:
        return self._now().astimezone(clock.zone(self._settings.office.timezone)).date()

    def _rendered(
        self, revision: Revision, edition: rendering.Edition, name: str, originals: Mapping[str, bytes]
    ) -> list[Variant]:
        channel, home = self._channels[name], self._settings.home
        return rendering.render_all(revision, edition, channel, home, originals, self._published())

    def _published(self) -> PictureRule | None:
        """Which pictures the canonical channel publishes; ``None`` where there is none, or it takes no pictures."""
        canonical = self._channels.get(registry.canonical(self._settings, self._channels))
        return canonical.capabilities.pictures if canonical else None

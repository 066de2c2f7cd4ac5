"""The adapter: pages of one announcement in a Hugo site, and how they get there."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

from channels.hugo import bundle, front_matter, live, site_config
from channels.hugo.bundle import BundlePayload, Post
from channels.hugo.repository import Changes, Repository
from channels.hugo.settings import Git, HugoSettings, Retraction
from channels.hugo.shelf import Change, CommitShelf, FolderShelf, PushShelf, Shelf, named
from publisher import clock
from publisher.announcement import Language
from publisher.channel import (
    Adapter,
    Capabilities,
    Kind,
    Links,
    Outcome,
    PictureFormat,
    PictureRule,
    Receipt,
    Rejected,
    SignInFailed,
    Template,
    Variant,
)


class HugoAdapter(Adapter[HugoSettings, BundlePayload]):
    """Writes a page a language into a page bundle; with git, each change is one commit of exactly its files."""

    title = "an existing Hugo site: pages in Markdown, committed and pushed with git"
    kind = Kind.POST
    Settings = HugoSettings
    templates: ClassVar[tuple[Template, ...]] = tuple(
        Template(f"{part}{suffix}", file, languages)
        for part, file in {
            "body": "hugo/body.md",
            "front": "hugo/front_matter.yaml",
            "calendar": "website/event.ics",
        }.items()
        for suffix, languages in {"": None, "_zh": (Language.ZH,), "_en": (Language.EN,)}.items()
    )

    @property
    def capabilities(self) -> Capabilities:
        """What is not in the folder, or at the remote, now will not appear later."""
        rule = PictureRule(longest=2560, formats=(PictureFormat.JPEG, PictureFormat.PNG, PictureFormat.WEBP))
        return Capabilities(pictures=rule, settles_after=timedelta(0))

    def links(self, key: str) -> Links:
        """The page in each language; the leading language's, where one address must do for both."""
        own = {code: self.settings.page(key, code) for code in self.settings.languages}
        first = own[self.settings.languages[0]]
        return Links(first, zh=own.get(Language.ZH, ""), en=own.get(Language.EN, ""))

    def prepare(self, variant: Variant) -> BundlePayload:
        """The files. Refuses what no page can carry, and a page whose own address is not known."""
        return bundle.build(variant, self.settings)

    # --- Publish, find, update, retract ---------------------------------------------------------------

    async def publish(self, payload: BundlePayload, key: str) -> Receipt:
        """Writes the files; with git, commits and pushes them. To publish the same again changes nothing.

        Raises :class:`Unavailable`, :class:`SignInFailed` or :class:`Rejected` where nothing was published, and
        :class:`OutcomeUnknown` where the disk or the remote broke off.
        """
        commit = await self._apply(payload.post, _putting(payload), _message(payload.subject, key))
        return self._receipt(payload.post, commit, payload.pictures)

    async def update(self, receipt: Receipt, payload: BundlePayload) -> Receipt:
        """Replaces the files, and takes away those of before; the first day stays. Raises as :meth:`publish` does."""
        if self._named(receipt).id != payload.post.id:
            raise Rejected(f"{self.channel}: the receipt is of another post; publish this one anew.")
        message = _message(payload.subject, payload.post.key)
        commit = await self._apply(payload.post, _correcting(payload), message)
        return self._receipt(payload.post, commit, payload.pictures)

    async def retract(self, receipt: Receipt) -> Receipt:
        """Takes the files away, or marks the pages as drafts. May be repeated. Raises as :meth:`publish` does."""
        post = self._named(receipt)
        drafting = self.settings.retraction is Retraction.DRAFT
        message = _message(f"Announcement {post.key} withdrawn", post.key)
        return self._receipt(
            post, await self._apply(post, _drafting(post) if drafting else _removing(post), message)
        )

    async def find(self, key: str, payload: BundlePayload) -> Receipt | None:
        """The receipt, once the same files are where :meth:`publish` brings them."""
        there = await asyncio.to_thread(lambda: self._shelf().read(_folders(payload.post)))
        return self._receipt(payload.post, "", payload.pictures) if not _missing(payload, there) else None

    @property
    def can_confirm(self) -> bool:
        """Unless the site is out of this machine's reach."""
        return self.settings.look

    async def confirm(self, receipt: Receipt, payload: BundlePayload) -> Receipt:
        """*Confirmed* once every page of this revision is served.

        Raises :class:`Unavailable` for a site that cannot be asked.
        """
        if await live.missing(self.settings.url, payload.marks):
            return receipt
        return replace(receipt, outcome=Outcome.CONFIRMED, at=clock.now())

    async def _apply(self, post: Post, change: Change, message: str) -> str:
        """The commit that it became; empty where there is none."""
        return await asyncio.to_thread(lambda: self._shelf().apply(change, _folders(post), message))

    def _receipt(self, post: Post, commit: str, pictures: tuple[str, ...] = ()) -> Receipt:
        """Accepted only: the site has yet to be built, and is then seen by :meth:`confirm`."""
        where = replace(self.links(post.key), pictures=pictures)
        return Receipt(Outcome.ACCEPTED, post.id, where, commit[:12], clock.now())

    def _named(self, receipt: Receipt) -> Post:
        post = bundle.named_by(self.settings, receipt.id)
        if post is None:
            raise Rejected(f"{self.channel} has no page that the receipt names; look at the site.")
        return post

    def _shelf(self) -> Shelf:
        if self.settings.git is Git.OFF:
            if not self.settings.folder.is_dir():
                raise SignInFailed(f"The folder {self.settings.folder} does not exist; put the site there.")
            return FolderShelf(self.settings.folder)
        repository = self._repository()
        return CommitShelf(repository) if self.settings.git is Git.COMMIT else PushShelf(repository)

    def _repository(self) -> Repository:
        own = self.settings
        return Repository(
            own.folder, own.timeout, own.remote, own.branch, (own.author_name, own.author_email)
        )

    # --- Check ----------------------------------------------------------------------------------------

    async def check(self) -> str:
        """Reads the site's configuration, writes to its folder and takes it back, and asks git what it would do."""
        return await asyncio.to_thread(self._check)

    def _check(self) -> str:
        self._check_site()
        where = str(self.settings.folder)
        if self.settings.git is not Git.PUSH:
            with named(self.settings.folder):
                for code in self.settings.languages:
                    tempfile.TemporaryFile(dir=self.settings.folder / self._content(code)).close()
        if self.settings.git is Git.OFF:
            return f"{self.channel} can write pages to {where}; a build must follow."
        repository = self._repository()
        with repository.lock():
            if self.settings.git is Git.COMMIT:
                repository.head()
                return f"{self.channel} can commit to {repository.branch} in {where}; a build must follow."
            repository.tip()
            repository.rehearse()
        return f"{self.channel} can push to {repository.branch} of {self.settings.remote}."

    def _check_site(self) -> None:
        try:
            config = site_config.read(self.settings.folder)
        except (ValueError, OSError) as error:
            raise SignInFailed(f"{self.channel}: {error}.") from None
        if config is None:
            raise SignInFailed(
                f"{self.settings.folder} is no Hugo site: it has no hugo.toml, hugo.yaml or config.toml."
            )
        found = site_config.languages(config)
        for code in self.settings.languages:
            tag = self.settings.language(code)
            if tag not in found:
                raise SignInFailed(
                    f'The site has no language "{tag}" but {", ".join(sorted(found))}; set language_{code} to it.'
                )
            content = str(found[tag].get("contentdir") or config.get("contentdir") or "content").strip("/")
            if content != self._content(code):
                raise SignInFailed(
                    f'The site keeps pages in "{tag}" in {content}/; set content_{code} to that.'
                )

    def _content(self, code: Language) -> str:
        return self.settings.content_zh if code is Language.ZH else self.settings.content_en


def _folders(post: Post) -> tuple[str, ...]:
    return tuple(dict.fromkeys(post.folders.values()))


def _putting(payload: BundlePayload) -> Change:
    def change(there: Mapping[str, bytes]) -> Changes:
        wanted = payload.over(there)
        return {**wanted, **dict.fromkeys(bundle.stale(there, wanted, payload.post))}

    return change


def _correcting(payload: BundlePayload) -> Change:
    put = _putting(payload)

    def change(there: Mapping[str, bytes]) -> Changes:
        shown = {path for path, data in there.items() if not front_matter.is_draft(data)}
        if not any(payload.post.is_page(path) for path in shown):
            raise Rejected("The site does not show this page any more; publish it anew.")
        return put(there)

    return change


def _removing(post: Post) -> Change:
    return lambda there: dict.fromkeys(path for path in there if post.owns(path))


def _drafting(post: Post) -> Change:
    return lambda there: {
        path: front_matter.as_draft(data) for path, data in there.items() if post.is_page(path)
    }


def _missing(payload: BundlePayload, there: Mapping[str, bytes]) -> Changes:
    return {path: data for path, data in _putting(payload)(there).items() if there.get(path) != data}


def _message(subject: str, key: str) -> str:
    return f"{subject}\n\nAnnouncement-Key: {key}\n"

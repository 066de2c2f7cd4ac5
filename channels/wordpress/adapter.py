"""The adapter: in which order a post is made, changed, and taken back.

Sources: WordPress's ``class-wp-rest-posts-controller.php``, ``class-wp-rest-attachments-controller.php`` and
``class-wp-rest-terms-controller.php``, and what a real 6.5 and 6.1 answer.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from channels.wordpress import checkup, pairs, posts, shelf, withdrawal
from channels.wordpress.pairs import Polylang
from channels.wordpress.payload import WordPressPayload, build
from channels.wordpress.posts import FIELDS, Post
from channels.wordpress.publication import Publication
from channels.wordpress.settings import WordPressSettings
from channels.wordpress.site import Site
from publisher.channel import (
    Adapter,
    AlreadyThere,
    Capabilities,
    Kind,
    Layout,
    OutcomeUnknown,
    PictureFormat,
    PictureRule,
    Receipt,
    Rejected,
    Template,
    Unavailable,
    Variant,
)
from publisher.render import house


class WordPressAdapter(Adapter[WordPressSettings, WordPressPayload]):
    """Publishes as one user with an application password.

    The announcement's key is the post's address, and a class in its text; by either it is found again.
    """

    title = "WordPress, as posts or pages"
    kind = Kind.POST
    Settings = WordPressSettings
    templates: ClassVar[tuple[Template, ...]] = (
        Template("title", "website/title.txt"),
        Template("body", "website/embedded.html"),
        Template("calendar", "website/embedded.ics"),
        Template("other", "website/other.html"),
        Template("other_back", "website/other_back.html"),
    )

    def __init__(self, channel: str, settings: WordPressSettings, office: Path | None = None) -> None:
        super().__init__(channel, settings, office)
        self._opened: Site | None = None
        self._known: Polylang | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Pictures that WordPress does not make smaller by itself, which it does above 2560 pixels.

        PHP works on after its client has left: 30 seconds by its default, a minute or two where a host allows more,
        and web servers wait for it as long; what is not there after three minutes will not come.
        """
        formats = (PictureFormat.JPEG, PictureFormat.PNG)
        rule = PictureRule(longest=2560, largest=8 * 1024 * 1024, formats=formats)
        return Capabilities(pictures=rule, settles_after=timedelta(minutes=3))

    async def check(self) -> str:
        """Signs in, and says what the user may not do, or why it was not let in."""
        return await checkup.check(self._site, self.settings)

    def prepare(self, variant: Variant) -> WordPressPayload:
        """The post. Raises :class:`~publisher.channel.Unsupported` for what no page can carry."""
        return build(variant, self.settings)

    async def publish(self, payload: WordPressPayload, key: str) -> Receipt:
        """Looks, makes terms, files and a draft, publishes the draft by its number, and pairs the two languages.

        Until the draft is published nothing is public, and any failure is at most :class:`Unavailable`. A post that
        is there already is :class:`AlreadyThere`. The failure of pairing is :class:`OutcomeUnknown`: ``find`` then
        completes it.
        """
        polylang = await self._polylang(payload)
        work = Publication(self._site, payload, polylang.query(payload))
        there = await shelf.look(self._site, work.route, payload.slug)
        if there.published:
            await work.locate()
            raise AlreadyThere(await self._paired(payload, work.receipt(there.published), polylang))
        there.refuse_what_a_person_did(self._site.host)
        other = await pairs.sibling(self._site, payload)
        fields = await work.fields(pairs.paragraph(payload, other, polylang))
        found = there.unfinished
        if found and found.is_public:  # a notice, which becomes the post again in one step
            receipt = await work.go_public(found, fields)
        else:
            receipt = await work.go_public(await work.draft(fields, found))
        return await self._paired(payload, receipt, polylang)

    async def find(self, key: str, payload: WordPressPayload) -> Receipt | None:
        """The receipt of the public post; a draft, a notice and what lies in the trash are none.

        Completes the pairing that a crash may have left undone.
        """
        work = Publication(self._site, payload, {})
        there = (await shelf.look(self._site, work.route, payload.slug)).published
        if there is None:
            return None
        await pairs.join(self._site, payload, str(there.id), await self._polylang(payload))
        await work.locate()
        return work.receipt(there)

    async def update(self, receipt: Receipt, payload: WordPressPayload) -> Receipt:
        """Writes everything anew, by the post's number; address, author and date stay. May be repeated.

        Raises :class:`Rejected` where the post is not public any more: to correct is not to publish again.
        """
        number = self._number(receipt)
        polylang = await self._polylang(payload)
        work = Publication(self._site, payload, polylang.query(payload))
        self._must_be_public(await self._read(number))
        other = await pairs.sibling(self._site, payload)
        fields = await work.fields(pairs.paragraph(payload, other, polylang))
        query = {**work.query, "context": "edit", "_fields": FIELDS}
        response = await self._site.send("POST", f"/{work.route}/{number}", fields, query)
        if posts.is_gone(response):
            self._must_be_public(None)
        self._site.refuse(response, f"/{work.route}", creates=True)
        post = posts.answered(response)
        if post is None or str(post.id) != number:
            raise OutcomeUnknown(
                f"{self._site.host} answered {response.status}, but not with the changed post."
            )
        self._must_be_public(post)
        return await self._paired(payload, work.receipt(post, response.status), polylang)

    async def retract(self, receipt: Receipt) -> Receipt:
        """Makes a draft of it, or puts it into the trash, or a notice in its place, as the office chose.

        May be repeated: what is not public is taken back.
        """
        number = self._number(receipt)
        taken = withdrawal.Withdrawing(self._site, self.settings, house.load(self.office), self.office)
        return await taken.take_back(receipt, number)

    async def close(self) -> None:
        """Gives the connections back, if there ever were any."""
        if self._opened is not None:
            await self._opened.close()

    # --- What the methods share -------------------------------------------------------------------------

    @property
    def _site(self) -> Site:
        if self._opened is None:
            self._opened = Site(self.channel, self.settings)
        return self._opened

    async def _polylang(self, payload: WordPressPayload) -> Polylang:
        """Asked once, and only for a post in one language; a site that changes its plug-ins is seen after a restart."""
        if payload.language is None or self.settings.layout is not Layout.SEPARATE:
            return Polylang()
        if self._known is None:
            self._known = await pairs.detect(self._site, payload.type.route, house.load(self.office))
        return self._known

    async def _paired(self, payload: WordPressPayload, receipt: Receipt, polylang: Polylang) -> Receipt:
        try:
            await pairs.join(self._site, payload, receipt.id, polylang)
        except Unavailable as error:
            raise OutcomeUnknown(
                f"The post is out; the other language's does not name it yet. {error}"
            ) from None
        return receipt

    def _number(self, receipt: Receipt) -> str:
        if number := posts.number_of(receipt):
            return number
        raise Rejected(f"The receipt does not name a post on {self._site.host}; look at the site.")

    async def _read(self, number: str) -> Post | None:
        return await withdrawal.read(self._site, self.settings.type.route, number)

    def _must_be_public(self, post: Post | None) -> None:
        if post is not None and post.is_public and not post.is_withdrawn:
            return
        how = (
            "has no longer"
            if post is None
            else "has withdrawn"
            if post.is_public
            else f"keeps as {post.status[:20]}"
        )
        raise Rejected(
            f"{self._site.host} {how} the post that should be changed; look at the site, and publish it anew if it "
            "is missed."
        )

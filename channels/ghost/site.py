"""What a site has of an announcement, and what it answered when that was changed."""

from __future__ import annotations

import structlog

from channels.ghost import posts, trouble
from channels.ghost.api import Api
from channels.ghost.payload import GhostPayload
from channels.ghost.posts import Post, Shelf
from channels.ghost.settings import GhostSettings
from publisher.channel import OutcomeUnknown, Receipt, Rejected, Unavailable
from publisher.http import Response

log = structlog.get_logger("channels.ghost")

FIELDS = {"formats": "html", "include": "tags,email,newsletter"}
"""What is asked for of a post, so that :func:`channels.ghost.posts.read` finds everything."""


class Site:
    """One site for one channel; ``api`` is how it is reached."""

    def __init__(self, channel: str, settings: GhostSettings) -> None:
        self.api = Api(channel, settings)
        self._channel = channel
        self._uploaded: dict[str, str] = {}
        """Where files are that this process has uploaded, by name: Ghost has no list of them to ask for."""

    async def stored(self, payload: GhostPayload, post: Post | None) -> dict[str, str]:
        """The addresses of all files, by name; only those are uploaded that neither the post nor we know."""
        names = {upload.name for upload in payload.uploads}
        found = {name: where for name, where in self._uploaded.items() if name in names}
        found |= posts.known(post, payload.uploads)
        for upload in payload.uploads:
            if upload.name not in found:
                where = await self.api.upload(upload.kind, upload.name, upload.media_type, upload.data)
                found[upload.name] = self._uploaded[upload.name] = where
        return found

    async def shelf(self, payload: GhostPayload) -> Shelf:
        """What the site has of the announcement. Raises :class:`Unavailable` for an answer that is none."""
        # Ghost's own name for an internal tag; a comma means "or".
        wanted = f"slug:'{payload.slug}',tag:'hash-{payload.slug}'"
        answer = await self.api.get("posts/", filter=wanted, limit="15", **FIELDS)
        found = posts.listed(answer)
        if found is None:
            raise Unavailable(f"{self.api.host} did not answer with a list of posts.")
        return posts.sorted_out(found, payload.slug, payload.mark)

    async def post(self, receipt: Receipt) -> Post | None:
        """The post as it is now; ``None`` where Ghost says that it has none of that number."""
        response = await self.api.ask(f"posts/{self.number(receipt)}/", **FIELDS)
        if response.status == 404 and trouble.said(response).gone:
            return None
        self.api.refuse(response, creates=False)
        found = posts.listed(self.api.object(response))
        if not found or found[0].id != receipt.id:
            raise Unavailable(f"{self.api.host} did not answer with the post that was asked for.")
        return found[0]

    def number(self, receipt: Receipt) -> str:
        """The post's number. Raises :class:`Rejected` for an id that Ghost does not give."""
        if not posts.ID.fullmatch(receipt.id):
            raise Rejected(f"The receipt does not name a post on {self.api.host}; look at the site.")
        return receipt.id

    def changed(self, response: Response, number: str, *, public: bool) -> Post:
        """The post as it is after a change. Raises what a refusal means, and :class:`OutcomeUnknown`."""
        self.api.refuse(response, creates=True)
        found = posts.listed(response.json_object)
        if not found or found[0].id != number or found[0].public is not public:
            raise OutcomeUnknown(
                f"{self.api.host} answered {response.status}, but not with the changed post."
            )
        return found[0]

    def told(self, post: Post, payload: GhostPayload, code: int) -> Receipt:
        """The receipt of a public post of ``payload``; the log says where its newsletter was not handed on."""
        receipt = posts.receipt(post, payload.pictures, code, self.api.http.scrub)
        if receipt is None:
            raise OutcomeUnknown(f"{self.api.host} has the post, but does not say where.")
        if post.newsletter and post.email in ("", "failed"):
            log.warning(
                "the post is public, and Ghost has not mailed it; look at it in Ghost",
                event_name="ghost.not_mailed",
                channel=self._channel,
                post=post.id,
            )
        return receipt

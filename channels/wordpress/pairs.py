"""Two posts of one announcement that name each other: by Polylang where the site has it, else by a paragraph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from channels.wordpress import content as blocks
from channels.wordpress import posts, shelf
from channels.wordpress.payload import WordPressPayload, sibling_of
from channels.wordpress.posts import FIELDS, Post
from channels.wordpress.site import Site
from publisher.announcement import Language
from publisher.channel import OutcomeUnknown, Rejected, SignInFailed
from publisher.render.house import House


@dataclass(frozen=True, slots=True)
class Polylang:
    """What the site says of itself: the slugs of its languages, and whether posts can be linked over REST.

    ``codes`` is empty without Polylang. ``links`` is Polylang Pro's: its fields are in the description of a post.
    """

    codes: dict[Language, str] = field(default_factory=dict)
    links: bool = False

    def query(self, payload: WordPressPayload) -> dict[str, str]:
        """``lang`` for a post in one language."""
        code = self.codes.get(payload.language) if payload.language else None
        return {"lang": code} if code else {}


async def detect(site: Site, route: str, house: House) -> Polylang:
    """Asks the site; raises what a question may raise, since a post in the wrong language is not mended later."""
    index = await site.index("namespaces")
    if "pll/v1" not in index.get("namespaces", ()):
        return Polylang()
    listed = await site.get_below("/wp-json/pll/v1/languages")
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    codes = {code: slug for code in Language if (slug := _slug(known, house.tag(code)))}
    return Polylang(codes, await _has_fields(site, route))


async def _has_fields(site: Site, route: str) -> bool:
    described = await site.describe(f"/{route}")
    schema = described.get("schema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return isinstance(properties, dict) and {"lang", "translations"} <= set(properties)


_SCRIPTS = {"zh-Hans": ("hans", "cn", "sg", "my"), "zh-Hant": ("hant", "tw", "hk", "mo")}


def _slug(known: list[dict[str, Any]], tag: str) -> str:
    """The site's slug for the language ``tag``: the one of the same script, else the only or the first one."""
    mine = [one for one in known if tag.split("-")[0] == _parts(one)[0]]
    exact = [one for one in mine if set(_SCRIPTS.get(tag, ())) & set(_parts(one))]
    return next((str(one["slug"]) for one in (*exact, *mine) if one.get("slug")), "")


def _parts(language: dict[str, Any]) -> list[str]:
    """The pieces of a language's locale, such as ``zh_CN``."""
    locale = str(language.get("locale") or language.get("w3c") or language.get("slug") or "")
    return locale.lower().replace("_", "-").split("-")


async def sibling(site: Site, payload: WordPressPayload) -> Post | None:
    """The other language's post, where people can read it."""
    if not payload.sibling:
        return None
    return (await shelf.look(site, payload.type.route, payload.sibling)).published


def paragraph(payload: WordPressPayload, other: Post | None, polylang: Polylang) -> str:
    """What our post says of ``other``; nothing where Polylang's own switch says it."""
    return blocks.naming(payload.other, other.link) if other and not polylang.links else ""


async def join(site: Site, payload: WordPressPayload, number: str, polylang: Polylang) -> None:
    """Makes both posts name each other, once both are out; may be repeated, and then changes nothing.

    A site that does not let us change the other post leaves it at that: our own post is out and right. Raises
    :class:`~publisher.channel.Unavailable` and :class:`OutcomeUnknown` for what is worth another attempt.
    """
    other = await sibling(site, payload)
    if other is None:
        return
    mine = posts.read(await site.get(f"/{payload.type.route}/{number}", context="edit", _fields=FIELDS))
    if mine is None or not mine.is_public or mine.is_withdrawn:
        return
    try:
        if polylang.links:
            await _translate(site, payload, mine, other, polylang)
        else:
            await _say(site, payload, mine, blocks.naming(payload.other, other.link))
            await _say(site, payload, other, blocks.naming(payload.other_back, mine.link))
    except (Rejected, SignInFailed):
        return


async def _translate(
    site: Site, payload: WordPressPayload, mine: Post, other: Post, polylang: Polylang
) -> None:
    codes = [code for code in Language if code is not payload.language and code in polylang.codes]
    if other.id in mine.translations or not codes:
        return
    query = {**polylang.query(payload), f"translations[{polylang.codes[codes[0]]}]": str(other.id)}
    await site.act("POST", f"/{payload.type.route}/{mine.id}", {}, query)


async def _say(site: Site, payload: WordPressPayload, post: Post, paragraph: str) -> None:
    wanted = blocks.with_other(post.content, paragraph)
    if wanted == post.content:
        return
    response = await site.act("POST", f"/{payload.type.route}/{post.id}", {"content": wanted})
    if posts.answered(response) is None:
        raise OutcomeUnknown(f"{site.host} answered {response.status}, but not with the post it changed.")


async def part(site: Site, route: str, slug: str) -> None:
    """Takes the paragraph that names a post that is withdrawn out of the other language's post."""
    if not sibling_of(slug):
        return
    other = (await shelf.look(site, route, sibling_of(slug))).published
    if other is None or (wanted := blocks.with_other(other.content, "")) == other.content:
        return
    try:
        await site.act("POST", f"/{route}/{other.id}", {"content": wanted})
    except (Rejected, SignInFailed):
        return

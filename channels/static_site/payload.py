"""From a sealed variant to the files of the site. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from channels.static_site.folder import DATA
from channels.static_site.pages import identity
from channels.static_site.record import Record
from publisher.announcement import KEY, Language
from publisher.channel import Layout, Payload, Unsupported, Variant
from publisher.render.calendar import refolded, sequence
from publisher.render.html import refuse_unprintable
from publisher.render.links import mentions_token, place

CALENDAR = "event.ics"
PICTURES = "pictures"
"""The folder of all pictures, each once, by a name made of its content. The pages of ours know it, too."""


@dataclass(frozen=True)
class SitePayload(Payload):
    """What one variant writes: ``files`` by relative path, and its ``record``, whose times are not yet set."""

    record: Record
    record_path: str
    files: Mapping[str, bytes]

    @property
    def pictures(self) -> tuple[str, ...]:
        """The paths of the pictures among the files, in the order of the document."""
        return tuple(path for path in self.files if path.startswith(f"{PICTURES}/"))


def page_folder(key: str, scope: str) -> str:
    """The relative folder of a page, with a slash at the end. Refuses a key that is not one."""
    if not KEY.fullmatch(key):
        raise Unsupported(f"{key!r} is not the key of an announcement, so it can name no page.")
    return f"{key}/" if scope == "both" else f"{Language(scope)}/{key}/"


def build(variant: Variant, base: str) -> SitePayload:
    """The files and the record of ``variant`` on the site at ``base``.

    Raises :class:`Unsupported` for what no page may carry, and for a page whose own address is not known.
    """
    variant = _with_pictures(variant, base)
    _refuse(variant)
    # The part of each page: a variant in two languages has a page of both, and one in each.
    parts = {variant.scope: ""}
    if len(variant.languages) > 1:
        parts |= {str(code): f"_{code}" for code in variant.languages}
    # Pictures come first, so that no page is seen without them.
    files = {f"{PICTURES}/{picture.name}": picture.data for picture in variant.pictures}
    for scope, suffix in parts.items():
        place = page_folder(variant.key, scope)
        if calendar := variant.parts[f"calendar{suffix}"].data:
            files[f"{place}{CALENDAR}"] = refolded(calendar.decode()).encode()
        files[f"{place}index.html"] = variant.parts[f"page{suffix}"].data
    separate = variant.facts["layout"] == Layout.SEPARATE
    name = f"{variant.key}-{variant.scope}" if separate else variant.key
    return SitePayload(_record(variant, base, parts, files), f"{DATA}/{name}.json", files)


def _with_pictures(variant: Variant, base: str) -> Variant:
    """The variant with the addresses of its pictures."""
    addresses = {picture.name: f"{base}{PICTURES}/{picture.name}" for picture in variant.pictures}
    return replace(variant, parts={name: place(part, addresses) for name, part in variant.parts.items()})


def _refuse(variant: Variant) -> None:
    for part in variant.parts.values():
        if mentions_token(part.text):
            raise Unsupported("The page's own address is not filled in; set PUBLISHER_CANONICAL.")
        refuse_unprintable(part.text)


def _record(variant: Variant, base: str, parts: Mapping[str, str], files: Mapping[str, bytes]) -> Record:
    facts = variant.facts
    own = {str(code): parts.get(str(code), "") for code in variant.languages}
    return Record(
        key=variant.key,
        revision=variant.revision,
        date=facts["date"],
        published="",
        updated="",
        title=facts["title"],
        excerpt=facts["excerpt"],
        tags=facts["tags"],
        event=facts["event"],
        pages={scope: page_folder(variant.key, scope) for scope in parts},
        content={code: variant.text(f"body{suffix}") for code, suffix in own.items()},
        ids={code: identity(f"{base}{variant.key}/{code}") for code in own},
        sequence=sequence(variant.revision),
        image=f"{base}{PICTURES}/{variant.pictures[0].name}" if variant.pictures else "",
        sha256={path: hashlib.sha256(data).hexdigest() for path, data in files.items()},
    )

"""Categories and tags: found by their names, or made."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Mapping

from channels.wordpress import trouble
from channels.wordpress.site import Site, address
from publisher.channel import OutcomeUnknown, Unavailable


async def numbers(site: Site, route: str, names: Iterable[str], query: Mapping[str, str]) -> list[int]:
    """The numbers of the terms called ``names`` (``route`` is ``categories`` or ``tags``), in their order.

    ``query`` is sent along, for sites that have their terms by language. What is missing is made.
    """
    return [await _number(site, route, name, query) for name in names]


async def find(site: Site, route: str, name: str, query: Mapping[str, str]) -> int | None:
    """The number of the term called ``name``, an office's own included; ``None`` where there is none."""
    # Names are kept with &, < and > escaped, and are searched for as they are kept.
    kept = html.escape(name, quote=False)
    found = await _list(site, route, {**query, "search": kept, "per_page": "100"})
    for number, called in found:
        if called == name:
            return number
    return next((number for number, called in found if called.casefold() == name.casefold()), None)


async def _number(site: Site, route: str, name: str, query: Mapping[str, str]) -> int:
    known = await find(site, route, name, query)
    if known is None and not name.isascii():
        # A name that WordPress keeps in another form is known by our slug.
        known = next((n for n, _ in await _list(site, route, {**query, "slug": slug_of(name, query)})), None)
    return known if known is not None else await _make(site, route, name, query)


async def _make(site: Site, route: str, name: str, query: Mapping[str, str]) -> int:
    try:
        # WordPress makes a good slug of an English name by itself.
        wanted = {"name": name} if name.isascii() else {"name": name, "slug": slug_of(name, query)}
        response = await site.http.send("POST", address(f"/{route}", query), json=wanted, creates=True)
        try:
            data = response.json()
        except ValueError:
            data = None
        if isinstance(data, dict) and response.status == 400 and trouble.code_of(response) == "term_exists":
            extra = data.get("data")
            number = extra.get("term_id") if isinstance(extra, dict) else None
        else:
            site.refuse(response, f"/{route}", creates=True)
            number = data.get("id") if isinstance(data, dict) else None
    except OutcomeUnknown as error:
        raise Unavailable(f"{error} Nothing is public yet.") from None
    if not isinstance(number, int):
        raise Unavailable(
            f"{site.host} did not say which number {name} has among its {route}; nothing is public yet."
        )
    return number


async def _list(site: Site, route: str, query: Mapping[str, str]) -> list[tuple[int, str]]:
    data = await site.get(f"/{route}", **query, _fields="id,name,slug")
    if not isinstance(data, list):
        raise Unavailable(f"{site.host} could not list its {route}; nothing is public yet.")
    return [
        (one["id"], html.unescape(str(one.get("name", ""))))
        for one in data
        if isinstance(one, dict) and isinstance(one.get("id"), int)
    ]


def slug_of(name: str, query: Mapping[str, str]) -> str:
    """A slug of our own: WordPress would cut that of a Chinese name after 22 characters."""
    language = "".join(f"{value}/" for value in query.values())
    return f"t-{hashlib.sha256(f'{language}{name}'.encode()).hexdigest()[:12]}"

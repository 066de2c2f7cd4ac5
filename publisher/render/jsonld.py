"""schema.org data of an announcement, one block a page.

Sources: schema.org (NewsArticle, Event, ``inLanguage``); an Event has no translation property, so both pages
name the same ``@id`` for it. A search engine shows an event only with name, start and location, and wants to read of
one that is called off with its old start.
"""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup as SafeHtml

from publisher.announcement import NO_TEXT, Bilingual, Language, Revision
from publisher.render.house import House
from publisher.render.links import TOKENS, web_address

_SCHEMA = "https://schema.org"
Thing = dict[str, Any]


def script(data: Thing) -> SafeHtml:
    """``data`` for a ``<script type="application/ld+json">``: no character can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    text = text.replace("/", "\\/").replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return SafeHtml(text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def graph(
    revision: Revision,
    languages: tuple[Language, ...],
    house: House,
    date: str,
    times: tuple[str, str] | None,
    channel_languages: tuple[Language, ...] = tuple(Language),
    *,
    about: Bilingual = NO_TEXT,
    changed: str = "",
    images: tuple[str, ...] = (),
) -> Thing:
    """NewsArticle, and Event where there is one, for a page in ``languages``.

    ``date`` is YYYY-MM-DD; ``times`` are start and end of the event in ISO 8601 with offset, end may be empty.
    ``about`` is the excerpt, ``changed`` the moment of a correction in ISO 8601, ``images`` the pictures' full
    addresses, the leading one first. A translation is named only where its language is among ``channel_languages``.
    """
    scope = str(languages[0]) if len(languages) == 1 else "both"
    shared = _filled(
        description=" ".join(about[code] for code in languages if about[code]),
        inLanguage=_one_or_all([house.tag(code) for code in languages]),
        keywords=list(dict.fromkeys(tag for code in languages for tag in revision.tags[code])),
        image=list(images),
    )
    things = [{**_article(revision, languages, house, scope, date, changed), **shared}]
    if revision.event and times:
        things[0]["about"] = {"@id": f"{TOKENS['both']}#event"}
        link = web_address(revision.event.link)
        event = _event(revision.title, languages, revision.event.place, link, times)
        event["@id"] = f"{TOKENS['both']}#event"
        event["url"] = link or TOKENS[scope]
        event["mainEntityOfPage"] = TOKENS[scope]
        event["organizer"] = _one_or_all(_organizers(revision, languages, house))
        things.append({**event, **shared})
    other = languages[0].other
    if scope != "both" and other in channel_languages:
        things[0]["workTranslation"] = {"@id": f"{TOKENS[other]}#article"}
    return {"@context": _SCHEMA, "@graph": things}


def called_off(
    title: Bilingual,
    place: Bilingual,
    link: str,
    times: tuple[str, str],
    addresses: tuple[str, str],
    languages: tuple[Language, ...],
    house: House,
) -> Thing:
    """The Event of an announcement that was withdrawn, for the notice in its place, with its old hours.

    ``addresses`` are the one its pages name it by, and the notice's own.
    """
    event = _event(title, languages, place, web_address(link), times)
    event["@id"], event["url"] = f"{addresses[0]}#event", addresses[1]
    event["eventStatus"] = f"{_SCHEMA}/EventCancelled"
    event["inLanguage"] = _one_or_all([house.tag(code) for code in languages])
    event["organizer"] = _office(house, languages)
    return {"@context": _SCHEMA, "@graph": [event]}


def _article(
    revision: Revision, languages: tuple[Language, ...], house: House, scope: str, date: str, changed: str
) -> Thing:
    titles = _texts(revision.title, languages)
    office = _office(house, languages)
    return _filled(
        **{"@type": "NewsArticle", "@id": f"{TOKENS[scope]}#article"},
        url=TOKENS[scope],
        mainEntityOfPage=TOKENS[scope],
        headline=titles[0] if titles else "",
        alternativeHeadline=titles[1] if len(titles) > 1 else "",
        datePublished=date,
        dateModified=changed,
        author=office,
        publisher=office,
        isPartOf={"@type": "WebSite", "name": office["name"]},
    )


def _event(
    title: Bilingual, languages: tuple[Language, ...], place: Bilingual, link: str, times: tuple[str, str]
) -> Thing:
    """What an event is by itself; without a place and with a ``link`` it is online."""
    where = _named(place, languages)
    location: Thing = {}
    if where:
        location = {"@type": "Place", "name": where, "address": where}
    elif link:
        location = {"@type": "VirtualLocation", "url": link}
    mode = "Offline" if where else "Online" if link else ""
    return _filled(
        **{"@type": "Event"},
        name=_named(title, languages),
        startDate=times[0],
        endDate=times[1],
        eventStatus=f"{_SCHEMA}/EventScheduled",
        eventAttendanceMode=f"{_SCHEMA}/{mode}EventAttendanceMode" if mode else "",
        location=location,
    )


def _office(house: House, languages: tuple[Language, ...]) -> Thing:
    return _filled(
        **{"@type": "Organization"},
        name=_named(house.name, languages),
        address=_named(house.address, languages),
        email=house.email,
    )


def _organizers(revision: Revision, languages: tuple[Language, ...], house: House) -> list[Thing]:
    """The office, and the organisations that the announcement names beside it."""
    ours = {house.name.zh, house.name.en} - {""}
    named = [o for o in revision.organisations if o and not ours & {o.zh, o.en}]
    return [
        _office(house, languages),
        *({"@type": "Organization", "name": _named(o, languages)} for o in named),
    ]


def _texts(value: Bilingual, languages: tuple[Language, ...]) -> list[str]:
    """The texts in ``languages``, else the one in the other."""
    return [value[code] for code in languages if value[code]] or [
        text for text in (value.zh, value.en) if text
    ]


def _named(value: Bilingual, languages: tuple[Language, ...]) -> str:
    return next(iter(_texts(value, languages)), "")


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _filled(**values: Any) -> Thing:
    """What has a value: schema.org knows no empty ones."""
    return {name: value for name, value in values.items() if value}

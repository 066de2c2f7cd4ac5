"""schema.org data of an announcement, one block a page.

Sources: schema.org (NewsArticle, Event, ``inLanguage``); an Event has no translation property, so both pages
name the same ``@id`` for it.
"""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup as SafeHtml

from publisher.announcement import Language, Revision
from publisher.render.house import House
from publisher.render.links import TOKENS


def script(data: dict[str, Any]) -> SafeHtml:
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
) -> dict[str, Any]:
    """NewsArticle, and Event where there is one, for a page in ``languages``.

    ``date`` is YYYY-MM-DD; ``times`` are start and end of the event in ISO 8601 with offset, end may be empty.
    A translation is named only where its language is among ``channel_languages``.
    """
    scope = str(languages[0]) if len(languages) == 1 else "both"
    tags = [house.tag(code) for code in languages]
    in_language: str | list[str] = tags[0] if len(tags) == 1 else tags
    headline = [revision.title[code] for code in languages if revision.title[code]]
    article: dict[str, Any] = {
        "@type": "NewsArticle",
        "@id": f"{TOKENS[scope]}#article",
        "url": TOKENS[scope],
        "headline": headline[0] if headline else "",
        "inLanguage": in_language,
        "datePublished": date,
        "publisher": {"@type": "Organization", "name": house.name[languages[0]]},
    }
    if len(headline) > 1:
        article["alternativeHeadline"] = headline[1]
    other = languages[0].other
    if scope != "both" and other in channel_languages:
        article["workTranslation"] = {"@id": f"{TOKENS[other]}#article"}
    things = [article]
    if revision.event and times:
        article["about"] = {"@id": f"{TOKENS['both']}#event"}
        things.append(_event(revision, languages, house, times, in_language))
    return {"@context": "https://schema.org", "@graph": things}


def _event(
    revision: Revision,
    languages: tuple[Language, ...],
    house: House,
    times: tuple[str, str],
    in_language: str | list[str],
) -> dict[str, Any]:
    event = revision.event
    assert event is not None
    first = languages[0]
    place = event.place[first] or event.place[first.other]
    thing: dict[str, Any] = {
        "@type": "Event",
        "@id": f"{TOKENS['both']}#event",
        "name": revision.title[first],
        "inLanguage": in_language,
        "startDate": times[0],
        "eventStatus": "https://schema.org/EventScheduled",
        "organizer": {"@type": "Organization", "name": house.name[first]},
        "url": event.link or TOKENS[str(first) if len(languages) == 1 else "both"],
    }
    if times[1]:
        thing["endDate"] = times[1]
    if place:
        thing["eventAttendanceMode"] = "https://schema.org/OfflineEventAttendanceMode"
        thing["location"] = {"@type": "Place", "name": place, "address": place}
    return thing

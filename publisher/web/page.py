"""Makes the pages: the languages a visitor reads, the templates, the headers that keep a secret address secret."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from publisher.announcement import Language
from publisher.errors import PublisherError
from publisher.render import house as house_style
from publisher.render.environment import render
from publisher.subscriber import Reading, Subscriber

log = structlog.get_logger("publisher.web")

Languages = tuple[Language, ...]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer. The address of a page holds a token: no other site is told it, no search engine keeps it."""
_CHOICES = {"zh": (Language.ZH,), "en": (Language.EN,), "both": (Language.ZH, Language.EN)}
_SORRY = "暂时无法办理，请稍后再试。\nThis does not work at the moment. Please try again later.\n"


class Pages:
    """The pages of one office. ``office`` is its folder, ``url`` the address under which subscribers reach them."""

    def __init__(self, office: Path | None, url: str) -> None:
        self._office = office
        self.root = urlsplit(url).path or "/"
        self.url = url

    def notice(
        self,
        name: str,
        languages: Languages,
        *,
        status: int = 200,
        who: str = "",
        action: str = "",
        link: str = "",
    ) -> Response:
        """The page that says what ``web/words.html`` has under ``name``.

        ``action`` and ``link`` are paths below the first page: where its button posts to, and where its link leads.
        """
        said = {"name": name, "who": who}
        said |= {"action": self.root + action if action else "", "link": self.root + link if link else ""}
        return self.shown("web/notice.html", languages, status=status, **said)

    def shown(self, template: str, languages: Languages, *, status: int = 200, **context: Any) -> Response:
        """A page made of ``template``; a plain sentence where an office's own template fails."""
        try:
            return HTMLResponse(self._rendered(template, languages, **context), status)
        except PublisherError as error:
            log.error("a page cannot be made", event_name="web.template_failed", reason=str(error))
            return PlainTextResponse(_SORRY, 500)

    def consent(self, language: Language) -> str:
        """What a person agrees to who subscribes, in one language, in one line."""
        said = render(
            "web/consent.txt", self._office, code=str(language), house=house_style.load(self._office)
        )
        return " ".join(said.split())

    def style(self) -> str:
        """The style sheet."""
        return render("web/web.css", self._office, house=house_style.load(self._office))

    def _rendered(self, template: str, languages: Languages, **context: Any) -> str:
        house = house_style.load(self._office)
        given: dict[str, Any] = {
            "house": house,
            "lang": {code: house.tag(code) for code in Language},
            "languages": languages,
            "scope": str(languages[0]) if len(languages) == 1 else "both",
            "root": self.root,
            "here": "",
        }
        return render(template, self._office, **given | context)


def languages_of(request: Request, subscriber: Subscriber | None = None) -> Languages:
    """What a page is written in: as asked in the address, as the subscriber reads, else as the browser prefers.

    Both where nothing is known: whoever ends a subscription must understand the page.
    """
    if chosen := asked(request):
        return _CHOICES[chosen]
    if subscriber is not None:
        return _CHOICES[str(subscriber.reading)]
    return _CHOICES[str(preferred(request))]


def asked(request: Request) -> str:
    """``zh``, ``en`` or ``both`` as the address says with ``?lang=``; empty where it does not."""
    lang = request.query_params.get("lang", "")
    return lang if lang in _CHOICES else ""


def preferred(request: Request) -> Reading:
    """Which of our languages ``Accept-Language`` (RFC 9110, 12.5.4) puts first; both, where it names neither."""
    best, found = 0.0, Reading.BOTH
    for item in request.headers.get("accept-language", "")[:500].split(","):
        tag, _, weight = item.strip().partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", weight) if weight else None
        quality = float(match[1]) if match else 0.0 if weight else 1.0
        primary = tag.strip().lower().partition("-")[0]
        if primary in ("zh", "en") and quality > best:
            best, found = quality, Reading(primary)
    return found


def masked(address: str) -> str:
    """An address that its owner recognises and nobody else can write to: ``l***@example.org``."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"

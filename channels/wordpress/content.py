"""A post's content as WordPress keeps it: our blocks, and the marks by which they are known again. Pure.

Everything stands in Custom HTML blocks, which WordPress neither wraps in paragraphs nor gives line breaks. The marks
are classes, since those survive the cleaning that WordPress does for users who may not write any HTML (KSES).
"""

from __future__ import annotations

import html
import re

from publisher.render import links

_OTHER = re.compile(
    r'<!-- wp:html -->\s*<div class="publisher-other">.*?</div>\s*<!-- /wp:html -->\s*', re.DOTALL
)
_CLASSES = re.compile(r'<div class="(publisher-(?:post|withdrawn) [^"]*)"')
_CALENDAR = re.compile(r'href="([^"]+/(event-[0-9a-f]{20})\.ics)"')


def mark(slug: str) -> str:
    """The class that says which announcement a post is, and in which language."""
    return f"publisher-{slug}"


def written(slug: str, body: str, other: str = "") -> str:
    """The content of a post: ``other`` names the other language's post, where there is one."""
    post = f'<div class="publisher-post {mark(slug)}">\n{body}\n</div>'
    return _other(other) + _block(post)


def notice(slug: str, text: str) -> str:
    """The content of a post that has been withdrawn."""
    return _block(f'<div class="publisher-withdrawn {mark(slug)}">\n{text}\n</div>')


def is_ours(content: str, slug: str) -> bool:
    """Whether ``content`` is this announcement's, as we wrote it or as a person changed it since."""
    return mark(slug) in _classes(content)


def slug_in(content: str) -> str:
    """The announcement that ``content`` is marked with; empty where it is not."""
    found = [one.removeprefix("publisher-") for one in _classes(content) if re.search(r"-\d", one)]
    return found[0] if found else ""


def is_withdrawn(content: str) -> bool:
    """Whether ``content`` is a notice that the announcement has been withdrawn."""
    return "publisher-withdrawn" in _classes(content)


def with_other(content: str, other: str) -> str:
    """``content`` with the paragraph ``other`` in the place of the one it had; without any, where it is empty."""
    return _other(other) + _OTHER.sub("", content)


def naming(paragraph: str, address: str) -> str:
    """The paragraph that names the other post, with its address."""
    return paragraph.replace(links.SIBLING, html.escape(address)).replace("[", "&#91;")


def calendar_in(content: str) -> tuple[str, str] | None:
    """Address and slug of the calendar file a post links to, where it is ours."""
    found = _CALENDAR.search(content)
    return (html.unescape(found[1]), found[2]) if found else None


def _classes(content: str) -> list[str]:
    found = _CLASSES.search(content)
    return found[1].split() if found else []


def _block(text: str) -> str:
    return f"<!-- wp:html -->\n{text}\n<!-- /wp:html -->"


def _other(paragraph: str) -> str:
    return _block(f'<div class="publisher-other">{paragraph}</div>') + "\n\n" if paragraph else ""

"""MJML into the HTML that mail programs can show: tables, widths and conditions for Outlook's Word engine.

MJML (mjml.io, version 4) is rendered by mrml. What it includes, it would fetch: a template includes through Jinja2.
"""

from __future__ import annotations

import re
from functools import lru_cache

import mrml

from publisher.errors import TemplateError

ENDING = ".mjml"
"""How the names of templates end that are written in MJML."""

_STYLE = re.compile(r"<style(?= type=\"text/css\">| media=)")
"""A style sheet of MJML's own; a template writes its own ones without a type, in mj-raw."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML cannot carry, and no mail program shows."""
_UNKNOWN = re.compile(r"<(mj-[a-z-]+)")


@lru_cache(maxsize=1)
def _options() -> tuple[mrml.ParserOptions, mrml.RenderOptions]:
    # No fonts: their style sheets would be fetched by every reader.
    return mrml.ParserOptions(include_loader=mrml.noop_loader()), mrml.RenderOptions(fonts={})


def to_html(text: str, name: str) -> str:
    """The HTML document that the MJML document ``text`` describes; ``name`` is that of its template.

    MJML's own style sheets are marked so that :func:`publisher.render.inline.inlined` does not write them into every
    element: they are for columns, which a message of one column has not. Raises :class:`TemplateError`, which names
    the file.
    """
    try:
        page: str = mrml.to_html(_UNPRINTABLE.sub("", text), *_options()).content
    except Exception as error:  # it raises OSError for what cannot be read, and panics for little else
        raise TemplateError(f"The template {name} is no MJML: {error}; check its elements.") from None
    if unknown := _UNKNOWN.search(page):
        raise TemplateError(f"The template {name} uses <{unknown[1]}>, which MJML has not; remove it.")
    head, end, body = page.partition("</head>")
    return _STYLE.sub('<style data-css-inline="ignore"', head) + end + body

"""Style sheets into ``style`` attributes: many mail programs drop ``<style>``, and some keep it.

A ``<style data-css-inline="keep">`` also stays where it is, for what cannot be inlined: media queries, dark mode.
Nothing is fetched, neither over the network nor from files.
"""

from __future__ import annotations

from functools import lru_cache

import css_inline

from publisher.errors import TemplateError


@lru_cache(maxsize=1)
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False)


def inlined(page: str) -> str:
    """The HTML document ``page`` with its style sheets inlined. Raises :class:`TemplateError`."""
    try:
        return _inliner().inline(page)
    except css_inline.InlineError as error:
        raise TemplateError(
            f"The styles of the newsletter cannot be inlined: {error}; check its CSS."
        ) from None

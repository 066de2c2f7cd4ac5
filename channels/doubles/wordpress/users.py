"""Who is signed in, and what each role may do (``wp-admin/includes/schema.php``, ``populate_roles``)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from channels.doubles.wordpress.answers import Refused
from publisher.testing.exchange import Request

_CONTRIBUTOR = frozenset({"read", "edit_posts", "delete_posts"})
_AUTHOR = _CONTRIBUTOR | {"upload_files", "publish_posts", "edit_published_posts", "delete_published_posts"}
_EDITOR = _AUTHOR | {
    "unfiltered_html", "manage_categories", "edit_others_posts", "delete_others_posts", "edit_pages",
    "edit_others_pages", "edit_published_pages", "publish_pages", "delete_pages", "delete_published_pages",
}  # fmt: skip
ROLES: Mapping[str, frozenset[str]] = {
    "subscriber": frozenset({"read"}), "contributor": _CONTRIBUTOR, "author": _AUTHOR, "editor": _EDITOR,
}  # fmt: skip


def signed_in(request: Request, username: str, password: str) -> bool:
    """Whether the request carries the application password; a wrong one makes a visitor, and is no error."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, word = base64.b64decode(given).decode().partition(":")
    except ValueError:
        return False
    return kind == "Basic" and name == username and "".join(filter(str.isalnum, word)) == password


def must(allowed: bool, visitor: bool, code: str, message: str) -> None:
    """Raises :class:`Refused` with 401 for a visitor and 403 for a user who may not."""
    if not allowed:
        raise Refused(code, message, 401 if visitor else 403)

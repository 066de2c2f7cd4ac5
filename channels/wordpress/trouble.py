"""WordPress's own error codes, and what each means for what happens next.

Source: ``wp-includes/rest-api/endpoints/*`` and ``wp-includes/user.php``, seen on 6.1 and 6.5.
"""

from __future__ import annotations

from collections.abc import Mapping

from publisher.channel import DeliveryError, Rejected, SignInFailed, Unavailable
from publisher.http import Response

_SIGN_IN = (
    "does not let {user} in: make a new application password for that user and put it into "
    "{application_password}, and see that the web server hands the Authorization header on to PHP"
)
_UPLOAD = "does not let {user} upload files: give the user the role Author or Editor"
_EDIT = "does not let {user} change this post: give the user the role Editor, or let it make the posts itself"

_MEANS: Mapping[str, tuple[type[DeliveryError], str]] = {
    "rest_not_logged_in": (SignInFailed, _SIGN_IN),
    "incorrect_password": (SignInFailed, _SIGN_IN),
    "invalid_username": (SignInFailed, "does not know the user {user}; correct {username}"),
    "invalid_email": (SignInFailed, "does not know the user {user}; correct {username}"),
    "application_passwords_disabled": (
        SignInFailed,
        "has application passwords switched off; switch them on, or let the site be reached by https",
    ),
    "application_passwords_disabled_for_user": (
        SignInFailed,
        "does not let {user} use application passwords; switch them on for that user",
    ),
    "rest_forbidden_status": (
        SignInFailed,
        "does not let {user} see drafts: the password in {application_password} is wrong, or the user has a "
        "role below Author",
    ),
    "rest_cannot_publish": (
        SignInFailed,
        "does not let {user} publish: give the user the role Author or Editor",
    ),
    "rest_cannot_edit": (SignInFailed, _EDIT),
    "rest_cannot_edit_others": (SignInFailed, _EDIT),
    "rest_cannot_update": (SignInFailed, _EDIT),
    "rest_cannot_delete": (
        SignInFailed,
        "does not let {user} delete this post: give the user the role Editor, or let it make the posts itself",
    ),
    "rest_cannot_assign_term": (
        SignInFailed,
        "does not let {user} use one of the categories or tags: give the user the role Editor",
    ),
    "rest_forbidden": (SignInFailed, "refuses this to {user}: a plug-in, or the user's role, forbids it"),
    "rest_forbidden_context": (
        SignInFailed,
        "does not show {user} posts for editing: give the user the role Author or Editor",
    ),
    "rest_no_route": (
        SignInFailed,
        "does not have this part of the REST API: a plug-in has switched it off, or {url} is not the site's address",
    ),
    "rest_upload_sideload_error": (Rejected, "does not take this file: {message}"),
    "rest_upload_unknown_error": (Rejected, "could not keep this file: {message}"),
    "rest_upload_file_too_big": (Rejected, "does not take a file of this size: {message}"),
    "rest_upload_limited_space": (Rejected, "has no space left for files: {message}"),
    "rest_upload_image_type_not_supported": (Rejected, "cannot show pictures of this format: {message}"),
    "rest_upload_hash_mismatch": (Unavailable, "got this file damaged on the way; nothing is public yet"),
    "rest_trash_not_supported": (
        Rejected,
        "has no trash; set {retract} to draft or to notice",
    ),
    "empty_content": (Rejected, "refuses an empty post"),
}
"""A sentence goes on after the site's name; names of settings and of the user are filled in."""

_CREATING: Mapping[str, str] = {
    "media": _UPLOAD,
    "categories": "lacks a category and does not let {user} make it: make it on the site, or give the user the "
    "role Editor",
    "tags": "does not let {user} make tags: give the user the role Author or Editor",
    "pages": "does not let {user} make pages: give the user the role Editor",
    "posts": "does not let {user} write posts: give the user the role Author or Editor",
}
"""What ``rest_cannot_create`` means, by what should have been made."""


KNOWN = frozenset({*_MEANS, "rest_cannot_create"})
"""The codes that have a sentence."""


def code_of(response: Response) -> str:
    """WordPress's code of an error; the inner one where a parameter was refused for a reason of its own."""
    data = response.json_object
    code = str(data.get("code") or "")
    details = data.get("data", {}).get("details", {}) if isinstance(data.get("data"), dict) else {}
    if code == "rest_invalid_param" and isinstance(details, dict):
        inner = details.get("status")
        return (
            str(inner["code"])
            if isinstance(inner, dict) and inner.get("code") == "rest_forbidden_status"
            else code
        )
    return code


def named(response: Response, host: str, route: str, words: Mapping[str, str]) -> DeliveryError | None:
    """What an error of WordPress's own means; ``None`` for one that has no meaning of its own here.

    ``route`` is what was asked for: ``posts``, ``media``, ``tags``; ``words`` are those of the sentences, scrubbed.
    """
    code = code_of(response)
    known = _MEANS.get(code)
    if code == "rest_cannot_create":
        signed_in = response.status != 401
        known = (SignInFailed, _CREATING.get(route, _CREATING["posts"]) if signed_in else _SIGN_IN)
    if known is None:
        return None
    kind, sentence = known
    return kind(f"{host} {sentence.format_map(words)} ({response.status} {code}).")

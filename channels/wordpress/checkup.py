"""What is wrong with a site, its user or its password, one sentence each; publishes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.wordpress import terms, trouble
from channels.wordpress.settings import PostType, Withdrawal, WordPressSettings
from channels.wordpress.site import Site, address
from publisher.channel import DeliveryError, SignInFailed, Unavailable
from publisher.http import Response

_RIGHTS: Mapping[str, str] = {
    "edit": "write",
    "publish": "publish",
    "edit_published": "correct what is published",
    "delete_published": "put what is published into the trash",
}
"""The rights a publisher needs, by the beginning of WordPress's name for them."""


async def check(site: Site, settings: WordPressSettings) -> str:
    """Whether the user is let in and may do what it must. Raises :class:`SignInFailed` with the way to mend it."""
    wanted = {"context": "edit", "_fields": "id,name,slug,roles,capabilities"}
    response = await site.http.send("GET", address("/users/me", wanted), creates=False)
    user = response.json_object
    if response.status != 200 or not isinstance(user.get("id"), int):
        await _say_why(site, response)
    rights = user.get("capabilities")
    if not isinstance(rights, dict):
        raise Unavailable(f"{site.host} does not say what {settings.username} may do.")
    _must_have(site, settings, rights)
    name = str((await _index(site)).get("name") or site.host)
    roles = user.get("roles")
    role = ", ".join(map(str, roles)) if isinstance(roles, list) and roles else "no role"
    said = f"Signed in to {name} ({site.host}) as {settings.username} ({role}); may publish {settings.type.route}"
    lacking = await _lacking(site, settings)
    if lacking and not rights.get("manage_categories"):
        raise SignInFailed(
            f"{site.host} has no category {lacking[0]}, and {settings.username} may not make one: make it on the site, "
            "or give the user the role Editor."
        )
    more = f"; will make the category {', '.join(lacking)}" if lacking else ""
    return site.http.scrub(f"{said} and upload pictures{more}.")


def _must_have(site: Site, settings: WordPressSettings, rights: Mapping[str, Any]) -> None:
    route = settings.type.route
    needed = dict(_RIGHTS)
    if settings.retract is not Withdrawal.TRASH:
        del needed["delete_published"]
    missing = [words for right, words in needed.items() if not rights.get(f"{right}_{route}")]
    if not rights.get("upload_files"):
        missing.append("upload pictures")
    if missing:
        role = "Editor" if settings.type is PostType.PAGE else "Author or Editor"
        raise SignInFailed(
            f"{settings.username} may not {', '.join(missing)} on {site.host}; give the user the role {role} "
            f"(Users, then {settings.username}, Role)."
        )


async def _lacking(site: Site, settings: WordPressSettings) -> list[str]:
    names = dict.fromkeys((*settings.categories, *settings.categories_zh, *settings.categories_en))
    return [name for name in names if await terms.find(site, "categories", name, {}) is None]


async def _say_why(site: Site, response: Response) -> None:
    """Raises the reason why the user was not let in."""
    code = trouble.code_of(response)
    if response.status == 401 and code in ("rest_not_logged_in", "incorrect_password"):
        await _say_why_not_signed_in(site, code)
    # WordPress sends such an address on to its front page, and some web servers answer themselves.
    if response.status in (200, 301, 302, 404) and not code and await _has_plain_permalinks(site):
        raise SignInFailed(
            f"{site.host} has plain permalinks, with which /wp-json/ does not work: choose any other structure under "
            "Settings, Permalinks."
        )
    if response.status in (401, 403) and code not in trouble.KNOWN:
        raise SignInFailed(
            f"{site.host} keeps its REST API closed ({response.status} {code or 'and a web page'}): a security "
            "plug-in, a firewall or a password of the web server stands before it; let "
            f"{site.user} through to /wp-json/."
        )
    site.refuse(response, "/users", creates=False)
    raise Unavailable(
        f"{site.host} does not answer like WordPress ({response.status}); check {site.setting('url')}, and whether a "
        "security plug-in shows a page instead."
    )


async def _say_why_not_signed_in(site: Site, code: str) -> None:
    index = await _index(site)
    offered = index.get("authentication")
    if index and not (isinstance(offered, dict) and "application-passwords" in offered):
        raise SignInFailed(
            f"{site.host} does not take application passwords: it believes that it is not reached by https, or a "
            "plug-in has switched them off."
        )
    also = (
        ""
        if code == "incorrect_password"
        else (
            "; if they are right, the web server does not hand the Authorization header on to PHP (see the page on "
            "WordPress in the documentation)"
        )
    )
    raise SignInFailed(
        f"{site.host} does not know {site.user} with this password: check "
        f"{site.setting('username')} and make a new application password for "
        f"{site.setting('application_password')}{also}."
    )


async def _index(site: Site) -> Mapping[str, Any]:
    """What the site says of itself to everybody; empty where it says nothing."""
    try:
        return await site.index("name,authentication")
    except DeliveryError:
        return {}


async def _has_plain_permalinks(site: Site) -> bool:
    """Whether the API answers, but not at its good address."""
    if await _index(site):
        return False
    try:
        response = await site.http.send("GET", "/?rest_route=/&_fields=namespaces", creates=False)
    except DeliveryError:
        return False
    return "namespaces" in response.json_object

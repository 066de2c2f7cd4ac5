"""Whether a revision is live: the site was built, and what was built is served.

Hugo publishes the files of a bundle beside its page, and of a draft not. So the small file that each language's page
has beside it, with key and revision in it, is there exactly when that revision can be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from publisher.http import HttpClient

_PATIENCE = 20.0
"""Seconds one look may take."""


async def missing(site: str, marks: Mapping[str, bytes]) -> list[str]:
    """The addresses of ``marks`` where something else is served, or nothing; all of them are below ``site``.

    Raises :class:`~publisher.channel.Unavailable` where the site cannot be asked at all.
    """
    client = HttpClient(site, timeout=_PATIENCE)
    found = []
    try:
        for address, expected in marks.items():
            path = address.removeprefix(client.base_url)
            # A cache in between may keep an older page; it is told to ask the site itself.
            answer = await client.send("GET", path, headers={"Cache-Control": "no-cache"}, creates=False)
            if answer.status != 200 or answer.body != expected:
                found.append(address)
    finally:
        await client.close()
    return found

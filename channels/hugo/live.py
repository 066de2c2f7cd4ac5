"""Whether a revision is live: the site was built, and what was built is served.

Hugo publishes the files of a bundle beside its page, and of a draft not. So the small file that each language's page
has beside it, with key and revision in it, is there exactly when that revision can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from publisher.channel import DeliveryError, Unavailable
from publisher.http import HttpClient

_PATIENCE = 20.0
"""Seconds one look may take."""


async def missing(marks: Mapping[str, bytes]) -> list[str]:
    """The addresses of ``marks`` where something else is served, or nothing.

    Raises :class:`~publisher.channel.Unavailable` where the site cannot be asked at all.
    """
    found = []
    for address, expected in marks.items():
        split = urlsplit(address)
        client = HttpClient(f"{split.scheme}://{split.netloc}", timeout=_PATIENCE)
        try:
            # What lies in between may keep an older page; a question of its own is answered by the site itself.
            answer = await client.send(
                "GET", split.path, headers={"Cache-Control": "no-cache"}, creates=False
            )
        except DeliveryError as error:
            raise Unavailable(str(error)) from None
        finally:
            await client.close()
        if answer.status != 200 or answer.body != expected:
            found.append(address)
    return found

"""Puts the pictures of a document where its text has them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from publisher.announcement import Image
from publisher.errors import DocumentError


@dataclass(frozen=True, slots=True)
class Marker:
    """A picture in the text: ``file`` as it is named there, ``line`` in the document, from 1."""

    file: str
    line: int


def placed(
    images: tuple[Image, ...], markers: Sequence[Marker], lines: Sequence[int], source: str
) -> tuple[Image, ...]:
    """``images`` with the passage that each follows; ``lines`` are those in which the passages begin.

    A picture above all text leads, and so comes first. One that stands in both languages' text counts where it
    stands first. Raises :class:`DocumentError` for a marker of a picture that the front matter does not list.
    """
    places: dict[str, int] = {}
    known = {image.file for image in images}
    for marker in markers:
        if marker.file not in known:
            raise DocumentError(
                f"The picture {marker.file} is not listed; add it under images: in the front matter, "
                "with what it shows in both languages.",
                source=source,
                line=marker.line,
            )
        places.setdefault(marker.file, bisect_left(lines, marker.line) - 1)
    found = [replace(image, after=places.get(image.file, -1)) for image in images]
    return tuple(sorted(found, key=lambda image: places.get(image.file, 0) != -1))

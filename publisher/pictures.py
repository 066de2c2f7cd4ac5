"""Pictures: read once with care, kept without what nobody should learn from them, fitted to each channel.

Pillow is imported when the first picture is met: most commands meet none.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from publisher.announcement import Image, Revision
from publisher.channel import Picture, PictureFormat, PictureRule
from publisher.errors import DocumentError

if TYPE_CHECKING:
    from PIL import Image as Pillow

LARGEST_FILE = 40 * 1024 * 1024
"""Bytes of a picture as an officer brings it: what cameras and telephones make, and no more."""
_SMALLEST = 200
"""Pixels of the longer side: what is smaller is a mark or a mistake, and would be shown blown up."""
_KEPT = PictureRule(longest=4096, largest=12 * 1024 * 1024, formats=tuple(PictureFormat))
"""What is kept of a picture, enough for every channel."""
_QUALITIES = (90, 84, 76, 66, 55)
_READ = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")

Open = Callable[[str], bytes]
"""Reads a file beside the document, by its name. Raises ``OSError``."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture as the store keeps it; ``sha256`` is that of ``data``, in hex."""

    sha256: str
    data: bytes = field(repr=False)


def take(revision: Revision, open_file: Open, source: str) -> tuple[Revision, tuple[Kept, ...]]:
    """``revision`` with the hashes of its pictures, and the pictures; ``source`` names the document.

    Raises :class:`DocumentError`, which names the picture, for one that cannot be found, read or published.
    """
    kept: dict[str, Kept] = {}
    images: list[Image] = []
    for image in revision.images:
        found = keep(_opened(image.file, open_file, source), image.file, source)
        kept[found.sha256] = found
        images.append(replace(image, sha256=found.sha256))
    return replace(revision, images=tuple(images)), tuple(kept.values())


def _opened(name: str, open_file: Open, source: str) -> bytes:
    try:
        data = open_file(name)
    except FileNotFoundError:
        raise DocumentError(
            f"The picture {name} is not beside the document; put it there, or correct its name.",
            source=source,
        ) from None
    except OSError as error:
        raise DocumentError(
            f"The picture {name} cannot be read: {error.strerror}; check its permissions.", source=source
        ) from None
    if len(data) > LARGEST_FILE:
        raise DocumentError(
            f"The picture {name} has {len(data) // 2**20} MB and may have {LARGEST_FILE // 2**20}; "
            "save it smaller.",
            source=source,
        )
    return data


def keep(data: bytes, name: str, source: str) -> Kept:
    """What is kept of the picture in ``data``: upright, in sRGB, without place, time and camera.

    Raises :class:`DocumentError`, which names the picture.
    """
    picture = _read(data, name, source)
    if max(picture.size) < _SMALLEST:
        raise DocumentError(
            f"The picture {name} has only {picture.width} × {picture.height} pixels; "
            f"bring one with at least {_SMALLEST} on its longer side.",
            source=source,
        )
    kept = _fitted(picture, _KEPT)[-1]
    return Kept(hashlib.sha256(kept).hexdigest(), kept)


def _read(data: bytes, name: str, source: str) -> Pillow.Image:
    from PIL import Image as Pillow
    from PIL import ImageOps, UnidentifiedImageError

    def refused(why: str) -> DocumentError:
        return DocumentError(f"The picture {name} {why}", source=source)

    try:
        with warnings.catch_warnings():
            # A small file can unfold into more than a machine has memory for: Pillow knows the size beforehand.
            warnings.simplefilter("error", Pillow.DecompressionBombWarning)
            opened = Pillow.open(io.BytesIO(data), formats=_READ)
        # MPO is what telephones call a JPEG with a second one behind it.
        if getattr(opened, "is_animated", False) and opened.format != "MPO":
            raise refused("moves, which not every channel shows; save one of its frames as JPEG or PNG.")
        opened.load()
        return _in_srgb(ImageOps.exif_transpose(opened))
    except DocumentError:
        raise
    except (Pillow.DecompressionBombWarning, Pillow.DecompressionBombError):
        raise refused("has more pixels than a page can use; save it smaller.") from None
    except UnidentifiedImageError:
        raise refused("is none that can be read; save it as JPEG, PNG or WebP.") from None
    except Exception:  # damaged files make the decoders trip in every way
        raise refused("is damaged; save it anew as JPEG or PNG.") from None


def _in_srgb(picture: Pillow.Image) -> Pillow.Image:
    """Colours as every screen shows them; a profile that cannot be understood is left out."""
    from PIL import ImageCms

    profile = picture.info.get("icc_profile")
    shown = picture if picture.mode in ("RGB", "RGBA", "L") else picture.convert(_mode_of(picture))
    if not profile or shown.mode == "L":
        return shown
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(shown, source, target, outputMode=shown.mode) or shown
    except (ImageCms.PyCMSError, OSError):
        return shown


def _mode_of(picture: Pillow.Image) -> str:
    return "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"


def fitted(
    revision: Revision, rule: PictureRule | None, originals: Mapping[str, bytes]
) -> tuple[tuple[Image, Picture], ...]:
    """The pictures of ``revision``, each as a channel of ``rule`` takes it; none where it takes none.

    ``originals`` are what is kept, by hash; a picture that was never looked at is left out. The same picture
    gives the same bytes wherever the same Pillow runs.
    """
    if rule is None:
        return ()
    return tuple(
        (image, Picture(digest, fmt, width, height, image.alt, data))
        for image in revision.images
        if image.sha256 in originals
        for digest, fmt, width, height, data in [_channel_copy(originals[image.sha256], rule)]
    )


@lru_cache(maxsize=32)
def _channel_copy(data: bytes, rule: PictureRule) -> tuple[str, PictureFormat, int, int, bytes]:
    """A kept picture as ``rule`` takes it; unchanged where it is within the rule already."""
    from PIL import Image as Pillow

    picture = Pillow.open(io.BytesIO(data))
    fmt = PictureFormat(Pillow.MIME[picture.format or ""])
    width, height = picture.size
    if fmt not in rule.formats or max(width, height) > rule.longest or len(data) > rule.largest:
        picture.load()
        fmt, width, height, data = _fitted(picture, rule)
    return hashlib.sha256(data).hexdigest(), fmt, width, height, data


def _fitted(picture: Pillow.Image, rule: PictureRule) -> tuple[PictureFormat, int, int, bytes]:
    """The first of ever smaller forms that is small enough."""
    for fmt, size, data in _forms(picture, rule):
        if len(data) <= rule.largest:
            return fmt, *size, data
    raise AssertionError("a picture of a few pixels fits every rule")


def _forms(
    picture: Pillow.Image, rule: PictureRule
) -> Iterator[tuple[PictureFormat, tuple[int, int], bytes]]:
    from PIL import Image as Pillow

    clear = picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255)
    drawn = clear or _few_colours(picture)
    longest = min(rule.longest, max(picture.size))
    while longest >= 1:
        smaller = picture.copy()
        smaller.thumbnail((longest, longest), Pillow.Resampling.LANCZOS)
        if drawn and PictureFormat.PNG in rule.formats:
            yield PictureFormat.PNG, smaller.size, _saved(smaller, "PNG", optimize=True)
        if not clear or PictureFormat.PNG not in rule.formats:
            flat = _on_white(smaller)
            fmt = PictureFormat.JPEG if PictureFormat.JPEG in rule.formats else rule.formats[0]
            for quality in _QUALITIES:
                yield fmt, flat.size, _saved(flat, fmt.name, quality=quality, optimize=True)
        longest = longest * 3 // 4


def _few_colours(picture: Pillow.Image) -> bool:
    """Whether it is a drawing, a chart or a mark, which JPEG would smear."""
    from PIL import Image as Pillow

    small = picture.convert("RGB")
    small.thumbnail((512, 512), Pillow.Resampling.NEAREST)  # makes no new colours
    return small.getcolors(128) is not None


def _on_white(picture: Pillow.Image) -> Pillow.Image:
    from PIL import Image as Pillow

    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Pillow.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _saved(picture: Pillow.Image, form: str, **options: object) -> bytes:
    """The file, with nothing in it but the picture."""
    picture.info.clear()
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()

"""Where templates and configuration are: the office's folder, then the checkout, then the package."""

from __future__ import annotations

from pathlib import Path

from publisher.errors import PublisherError

_PACKAGE = Path(__file__).resolve().parent


def folders(kind: str, office: Path | None = None) -> list[Path]:
    """The folders of ``kind`` (``"templates"`` or ``"config"``), the one that wins first.

    ``office`` is the office's own folder, which may hold a ``templates/`` and a ``config/``. Beside a checkout's
    ``publisher/`` stands the folder itself; an installed wheel carries it as package data.
    """
    places = [office / kind] if office else []
    checkout = _PACKAGE.parent / kind
    is_checkout = (_PACKAGE.parent / "pyproject.toml").is_file() and checkout.is_dir()
    places.append(checkout if is_checkout else _PACKAGE / "_assets" / kind)
    return [place for place in places if place.is_dir()]


def find(kind: str, name: str, office: Path | None = None) -> Path:
    """The file ``name`` of ``kind`` that wins. Raises :class:`PublisherError` where there is none."""
    for place in folders(kind, office):
        if (place / name).is_file():
            return place / name
    raise PublisherError(f"{kind}/{name} is missing from this installation; install it again.")

"""All that the letters of one scope share, encoded: headers, and a MIME body with places in it.

Sources: RFC 2045 and 2046 (MIME), RFC 6047, 2.4 and RFC 5545, 8.1 (text/calendar: its ``method`` is said where the
file has one; ours has none, see :mod:`publisher.render.calendar`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from channels.mailing import headers, segments
from channels.mailing.letterhead import Letterhead
from channels.mailing.segments import Segments
from channels.smtp.message import canonical
from publisher.channel import Unsupported, Variant
from publisher.render.calendar import refolded

SCOPES = ("zh", "en", "both")
_BASE64 = "\r\nContent-Transfer-Encoding: base64\r\n\r\n"
_TEXT = f"\r\nContent-Type: text/plain; charset=utf-8{_BASE64}"
_HTML = f"\r\nContent-Type: text/html; charset=utf-8{_BASE64}"
_METHOD = re.compile(r"(?m)^METHOD:([A-Z]+)\r?$")


@dataclass(frozen=True)
class Sheet:
    """``fields`` are header fields, folded, without CRLF at their ends.

    The body is ``opening``, which goes up to the first place in ``text``, and what :meth:`rest` gives.
    """

    fields: tuple[str, ...]
    opening: bytes
    text: Segments
    between: bytes
    html: Segments
    closing: bytes

    def rest(self, values: Sequence[bytes], escaped: Sequence[bytes]) -> bytes:
        """The body after its opening. ``values`` fill the places of the text, ``escaped`` those of the HTML."""
        return b"".join([*self.text.filled(values), self.between, *self.html.filled(escaped), self.closing])


def sheets(variant: Variant, letterhead: Letterhead) -> Mapping[str, Sheet]:
    """The sheet of each scope. Raises :class:`~publisher.channel.Unsupported`."""
    return {scope: _sheet(variant, letterhead, scope) for scope in SCOPES}


def _sheet(variant: Variant, letterhead: Letterhead, scope: str) -> Sheet:
    subject, text, html = (_written(variant, part, scope) for part in ("subject", "text", "html"))
    calendar = refolded(_written(variant, "calendar", scope))
    for part in (subject, calendar):
        segments.refuse_open(part)
    named = headers.shared(variant, letterhead, scope, subject)
    boundary = "=_" + hashlib.sha256("\0".join((text, html, calendar)).encode()).hexdigest()[:40]
    both = _multipart("alternative", boundary)
    opening = f"--{boundary}{_TEXT}"
    closing = f"--{boundary}--\r\n"
    if calendar:
        outer = "=_m" + boundary[2:]
        opening = f"--{outer}\r\n{both}\r\n\r\n{opening}"
        closing += f"--{outer}\r\n{_attached(calendar)}--{outer}--\r\n"
        both = _multipart("mixed", outer)
    plain, rich = segments.cut(text), segments.cut(html)
    return Sheet(
        fields=(*named, "MIME-Version: 1.0", both),
        opening=opening.encode() + plain.opening,
        text=plain,
        between=f"--{boundary}{_HTML}".encode() + rich.opening,
        html=rich,
        closing=closing.encode(),
    )


def _written(variant: Variant, part: str, scope: str) -> str:
    """The part of ``scope``, else the one that all share; a calendar may be missing."""
    found = variant.parts.get(f"{part}_{scope}") or variant.parts.get(part)
    if not found and part != "calendar":
        raise Unsupported(f"The newsletter has no {part}; ask for its templates.")
    return found.text if found else ""


def _multipart(subtype: str, boundary: str) -> str:
    return f'Content-Type: multipart/{subtype};\r\n boundary="{boundary}"'


def _attached(calendar: str) -> str:
    method = _METHOD.search(calendar)
    said = f" method={method[1]};" if method else ""
    data = segments.lines(canonical(calendar)).decode()
    return (
        f'Content-Type: text/calendar; charset=utf-8;{said}\r\n name="event.ics"\r\n'
        f'Content-Disposition: attachment; filename="event.ics"{_BASE64}{data}'
    )

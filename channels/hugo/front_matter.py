"""The front matter of a page: YAML that every reader of YAML takes for the same.

Every text is a JSON string, which is a YAML string too (YAML 1.2, chapter 1), so that nothing in it is taken for a
date, a number, a comment or a mark. Fields: gohugo.io/content-management/front-matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time

import yaml

from publisher import clock
from publisher.channel import Unsupported

Value = str | bool | int | Sequence[str] | Mapping[str, "Value"]

# What YAML 1.2 (5.1) does not let stand in a file as it is, and two line ends that only some readers know.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_DATE = re.compile(rb"^date: .*$", re.MULTILINE)
_FIELD = re.compile(r"^([A-Za-z_]+):", re.MULTILINE)
_FENCE = b"---\n"
DRAFT, SHOWN = b"\ndraft: true\n", b"\ndraft: false\n"


def day_begins(iso: str, zone: str) -> str:
    """The first moment of a day in ``zone``, with its offset.

    Hugo leaves out, without a word, a page whose date is still to come; the day of publication has begun by then.
    """
    moment = datetime.combine(date.fromisoformat(iso), time(), clock.zone(zone))
    # In some zones a day of the year begins at one o'clock; the moment itself is right all the same.
    return moment.isoformat()


def write(fields: Mapping[str, Value], extra: str = "") -> str:
    """The front matter with its fences; ``extra`` is an office's own lines of YAML, already checked."""
    own = f"{extra.strip()}\n" if extra.strip() else ""
    return f"---\n{_mapping(fields, '')}{own}---\n"


def _mapping(fields: Mapping[str, Value], indent: str) -> str:
    lines = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{name}:\n{_mapping(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{name}: {_scalar(name, value)}\n")
    return "".join(lines)


def _scalar(name: str, value: str | bool | int | Sequence[str]) -> str:
    if name in ("date", "lastmod") and isinstance(value, str):
        return value
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def check_extra(extra: str, taken: Mapping[str, Value]) -> None:
    """Raises :class:`Unsupported` where an office's own lines are no YAML fields, or repeat one of ours."""
    try:
        found = yaml.safe_load(extra) if extra.strip() else {}
    except yaml.YAMLError:
        found = None
    if found is None and not re.sub(r"#.*", "", extra).strip():
        found = {}
    if not isinstance(found, dict):
        raise Unsupported("The template hugo/front_matter.yaml makes no fields of YAML; mend it.")
    if repeated := sorted(set(map(str, found)) & set(taken)):
        raise Unsupported(
            f'The template hugo/front_matter.yaml sets "{repeated[0]}", which is set already; take it out.'
        )
    if re.search(r"^(---|\.\.\.)", extra, re.MULTILINE):
        raise Unsupported(
            "The template hugo/front_matter.yaml ends the front matter; take the line of dashes out."
        )


def with_first_day(page: bytes, earlier: bytes | None) -> bytes:
    """``page`` with the date of the page that is there: a correction does not move it in the site's lists."""
    if earlier is None or is_draft(earlier):
        return page
    found = _DATE.search(_head(earlier))
    return _DATE.sub(lambda _: found[0], page, count=1) if found else page


def is_draft(page: bytes) -> bool:
    """Whether a page is taken back."""
    return DRAFT in _head(page)


def as_draft(page: bytes) -> bytes:
    """``page`` as Hugo leaves it out. One that is not ours, or a draft already, stays as it is."""
    head = _head(page)
    return head.replace(SHOWN, DRAFT, 1) + page[len(head) :]


def _head(page: bytes) -> bytes:
    end = page.find(b"\n---\n") if page.startswith(_FENCE) else -1
    return page[: end + 1] if end >= 0 else b""

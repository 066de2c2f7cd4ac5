"""The iCalendar file of an event: RFC 5545 to the letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.announcement import Bilingual, Language
from publisher.render import calendar, house

BOTH = (Language.ZH, Language.EN)


def written(revision, languages=BOTH, number=1):
    """The file of a revision."""
    return calendar.write(revision, "2026-0042", number, date(2026, 9, 20), languages, house.load())


def lines(text):
    """Unfolded content lines."""
    assert text.endswith("\r\n")
    return text.replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def test_calendar__has_the_event_in_utc(lecture):
    """Start and end are the same moments in UTC, so that no VTIMEZONE is needed."""
    found = lines(written(lecture))
    assert "DTSTART:20261012T070000Z" in found
    assert "DTEND:20261012T090000Z" in found
    assert found[0] == "BEGIN:VCALENDAR" and found[-1] == "END:VCALENDAR"


def test_calendar__is_empty_without_an_event(visit):
    """An announcement that is no event has no file."""
    assert written(visit) == ""


def test_uid__is_one_for_all_languages_and_revisions(lecture):
    """A newer file of the same event replaces the older one in a reader's calendar."""
    files = [
        written(lecture),
        written(lecture, (Language.EN,)),
        written(replace(lecture, tags=lecture.tags), number=2),
    ]
    assert len({line for file in files for line in lines(file) if line.startswith("UID:")}) == 1
    assert "SEQUENCE:0" in lines(files[0]) and "SEQUENCE:2" in lines(files[2])


def test_text__is_escaped(lecture):
    """Commas, semicolons, backslashes and line breaks in a title cannot begin a property."""
    hostile = replace(lecture, title=Bilingual("甲", "a,b;c\\d\r\nATTACH:x"))
    assert "SUMMARY;LANGUAGE=en:a\\,b\\;c\\\\d\\nATTACH:x" in lines(written(hostile, (Language.EN,)))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n")))
def test_fold__keeps_every_character_whole(text):
    """Each line has at most 75 octets, and unfolding gives the text back."""
    folded = calendar.fold(text)
    assert all(len(line.encode()) <= 75 for line in folded.split("\r\n"))
    assert folded.replace("\r\n ", "") == text


@pytest.mark.parametrize("text", ["", "a" * 75])
def test_fold__leaves_short_lines_alone(text):
    """A line that fits is not touched."""
    assert calendar.fold(text) == text

"""The officers' verbs: who may do what, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from publisher.announcement import AnnouncementState, Bilingual, Person, Severity
from publisher.errors import DocumentError, NotAllowedError, NotFoundError, UsageError
from publisher.store import Store
from tests.toy import APPROVER, DOCUMENT, OFFICER, Office, office


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it, on both databases."""
    return office(store, tmp_path / "home")


def _submitted(bureau: Office) -> str:
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    bureau.desk.submit(key, OFFICER)
    return key


def test_add__keys_count_up(bureau: Office) -> None:
    """Keys are the year and a running number."""
    keys = [bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)[0] for _ in range(3)]
    assert keys == ["2026-0001", "2026-0002", "2026-0003"]


def test_add__unreadable_files_nothing(bureau: Office) -> None:
    """A document that cannot be read leaves no trace and takes no number."""
    with pytest.raises(DocumentError):
        bureau.desk.add("只有中文。\n".encode(), "x.txt", OFFICER)
    assert bureau.desk.all() == []


def test_add__channels(bureau: Office) -> None:
    """Unknown channels are refused, and so is a choice without the channel the others link to."""
    with pytest.raises(UsageError, match="no channel"):
        bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER, channels=["site", "fax"])
    with pytest.raises(UsageError, match="must be among"):
        bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER, channels=["note"])
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER, channels=["site"])
    bureau.desk.submit(key, OFFICER)
    bureau.desk.approve(key, APPROVER)
    assert [p.variant.channel for p in bureau.desk.preview(key)] == ["site"]


@pytest.mark.parametrize("name", ["Lin", " lin ", "LIN", "Ｌｉｎ"])
def test_approve__not_the_author(bureau: Office, name: str) -> None:
    """The author cannot approve, however the name is written."""
    key = _submitted(bureau)
    with pytest.raises(NotAllowedError, match="another person must"):
        bureau.desk.approve(key, Person(name, "other-account"))
    assert bureau.desk.show(key).seal is None


def test_approve__not_the_submitter(bureau: Office) -> None:
    """Whoever submitted it cannot approve it either."""
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    bureau.desk.submit(key, APPROVER)
    with pytest.raises(NotAllowedError, match="submitted"):
        bureau.desk.approve(key, APPROVER)
    bureau.desk.approve(key, Person("Wang", "office"))


def test_approve__only_what_was_submitted(bureau: Office) -> None:
    """A draft cannot be approved, and nothing is approved twice."""
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    with pytest.raises(NotAllowedError, match="submit it first"):
        bureau.desk.approve(key, APPROVER)
    bureau.desk.submit(key, OFFICER)
    bureau.desk.approve(key, APPROVER)
    with pytest.raises(NotAllowedError, match="nothing to approve"):
        bureau.desk.approve(key, APPROVER)


def test_approve__records_both_names(bureau: Office) -> None:
    """The log has the person and the account behind every step."""
    key = _submitted(bureau)
    bureau.desk.approve(key, Person("Chen", "terminal-3"))
    with bureau.store.read() as tx:
        events = {e.name: (e.actor, e.account) for e in tx.log.of(key)}
    assert events["revision.added"] == ("Lin", "office")
    assert events["revision.approved"] == ("Chen", "terminal-3")


def test_approve__with_a_planned_hour_is_scheduled(bureau: Office) -> None:
    """An hour given with the document holds once it is approved."""
    key, _ = bureau.desk.add(
        DOCUMENT.encode(), "corner.md", OFFICER, publish_at="2026-10-01 12:00 Asia/Shanghai"
    )
    bureau.desk.submit(key, OFFICER)
    dossier = bureau.desk.approve(key, APPROVER)
    assert dossier.filed.state is AnnouncementState.SCHEDULED
    assert {d.channel: d.due_at and d.due_at.hour for d in dossier.deliveries} == {"site": 4, "note": None}


def test_approve__a_planned_hour_that_passed_is_not_used(bureau: Office) -> None:
    """If the hour passed while it lay on the approver's desk, somebody must choose another."""
    key, _ = bureau.desk.add(
        DOCUMENT.encode(), "corner.md", OFFICER, publish_at="2026-10-01 12:00 Asia/Shanghai"
    )
    bureau.desk.submit(key, OFFICER)
    bureau.clock.forward(hours=5)
    assert bureau.desk.approve(key, APPROVER).filed.state is AnnouncementState.APPROVED


def test_submit__errors_block(bureau: Office) -> None:
    """A missing title is an error; a title alone can be supplied."""
    untitled = DOCUMENT.replace(", en: Reading Corner Opens", "")
    key, found = bureau.desk.add(untitled.encode(), "corner.md", OFFICER)
    assert [f.code for f in found if f.severity is Severity.ERROR] == ["titles.missing"]
    with pytest.raises(NotAllowedError, match="cannot be submitted"):
        bureau.desk.submit(key, OFFICER)
    number, _ = bureau.desk.revise(
        key, OFFICER, data=None, name="", title=Bilingual(en="Reading Corner Opens")
    )
    assert number == 2
    bureau.desk.submit(key, OFFICER)


def test_submit__what_a_channel_cannot_express(bureau: Office) -> None:
    """What a channel cannot express is an error before approval, and names the channel."""
    document = DOCUMENT.replace("Tea will", "unprintable")
    key, found = bureau.desk.add(document.encode(), "corner.md", OFFICER)
    assert [(f.code, f.severity) for f in found][-1] == ("fit.unsupported", Severity.ERROR)
    assert "site" in found[-1].message
    with pytest.raises(NotAllowedError, match="cannot be printed"):
        bureau.desk.submit(key, OFFICER)


def test_submit__reserved_address(bureau: Office) -> None:
    """Nobody can write the address that stands for the canonical link."""
    document = DOCUMENT.replace("Tea", "https://link.publisher.invalid/both Tea")
    _, found = bureau.desk.add(document.encode(), "corner.md", OFFICER)
    assert "language.reserved" in {f.code for f in found}


def test_reject__back_to_the_author(bureau: Office) -> None:
    """A rejected revision is a draft again, with the reason in the log; a reason is required."""
    key = _submitted(bureau)
    with pytest.raises(UsageError, match="--why"):
        bureau.desk.reject(key, APPROVER, " ")
    bureau.desk.reject(key, APPROVER, "Which floor?")
    assert bureau.desk.show(key).filed.state is AnnouncementState.DRAFT
    with bureau.store.read() as tx:
        assert tx.log.of(key)[-1].detail["why"] == "Which floor?"


def test_revise__no_change_is_no_revision(bureau: Office) -> None:
    """The same content again is refused, so that an approval is not lost by accident."""
    key = _submitted(bureau)
    with pytest.raises(NotAllowedError, match="exactly this"):
        bureau.desk.revise(key, OFFICER, data=DOCUMENT.encode(), name="corner.md")


def test_schedule__needs_approval(bureau: Office) -> None:
    """Nothing that is not approved can be scheduled, and no hour in the past."""
    key = _submitted(bureau)
    with pytest.raises(NotAllowedError, match="must be approved"):
        bureau.desk.schedule(key, "now", OFFICER)
    bureau.desk.approve(key, APPROVER)
    with pytest.raises(UsageError, match="has passed"):
        bureau.desk.schedule(key, "2025-09-20 09:00 Asia/Shanghai", OFFICER)


def test_preview__with_length(bureau: Office) -> None:
    """A preview counts as the channel counts, before and after approval alike."""
    key = _submitted(bureau)
    before = {p.variant.channel: (p.length, p.maximum) for p in bureau.desk.preview(key)}
    assert before["site"] == (None, None)
    assert before["note"] == (len("图书角开放 Reading Corner Opens ") + 23, 200)
    bureau.desk.approve(key, APPROVER)
    sealed = bureau.desk.preview(key)
    assert all(p.sealed for p in sealed)
    assert {p.variant.channel: (p.length, p.maximum) for p in sealed} == before


def test_show__unknown(bureau: Office) -> None:
    """An id that does not exist is named with the next step."""
    with pytest.raises(NotFoundError, match="publisher list"):
        bureau.desk.show("2026-9999")


def test_schedule__says_when_the_printed_date_differs(bureau: Office) -> None:
    """The sealed posts carry the day of approval; scheduled for another day, the officer is told."""
    key = _submitted(bureau)
    bureau.desk.approve(key, APPROVER)
    assert bureau.desk.schedule(key, "now", OFFICER).dated == ""
    assert bureau.desk.schedule(key, "2026-10-12 09:00 Asia/Shanghai", OFFICER).dated == "2026-10-01"


def test_check__an_own_summary_that_does_not_fit_is_said(bureau: Office) -> None:
    """An author's summary that a channel has no room for is replaced by a shorter text, and the author is told."""
    (bureau.home / "templates" / "toy" / "note.txt").write_text(
        "{{ blocks.values()|join(' ') }} {{ link[scope] }}"
    )
    short = DOCUMENT.replace("---\n阅览", "summary: {zh: 欢迎来。, en: Do come.}\n---\n阅览")
    assert [f.code for f in bureau.desk.check(short.encode(), "corner.md")[1]] == []
    long = short.replace("Do come.", "Do come. " * 30)
    _, found = bureau.desk.check(long.encode(), "corner.md")
    assert [f.code for f in found] == ["fit.summary"]
    assert "note" in found[0].message


def test_check__a_language_without_room_is_said(bureau: Office) -> None:
    """A post that has room for one language only is never a surprise: the other one is named before approval."""
    (bureau.home / "templates" / "toy" / "note.txt").write_text("{{ title.zh }} {{ link[scope] }}")
    _, found = bureau.desk.check(DOCUMENT.encode(), "corner.md")
    assert [(f.code, f.severity) for f in found] == [("fit.language", Severity.WARNING)]
    assert "English" in found[0].message


def test_revise__hour_and_channels_of_the_new_document_hold(bureau: Office) -> None:
    """A revision that asks for another hour or other channels gets them, also if nothing else has changed."""
    key, _ = bureau.desk.add(DOCUMENT.encode(), "c.md", OFFICER, publish_at="2026-10-02 09:00 Asia/Shanghai")
    plan = "publish_at: 2026-10-05 09:00 Asia/Shanghai\nchannels: [site]\n---\n阅览"
    bureau.desk.revise(key, OFFICER, data=DOCUMENT.replace("---\n阅览", plan).encode(), name="c.md")
    bureau.desk.submit(key, OFFICER)
    dossier = bureau.desk.approve(key, APPROVER)
    assert [(d.channel, d.due_at and d.due_at.day) for d in dossier.deliveries] == [("site", 5)]


def test_add__now_is_when_it_is_approved(bureau: Office) -> None:
    """ "now" at the start means the moment of approval, however long the approver takes."""
    key, _ = bureau.desk.add(DOCUMENT.encode(), "c.md", OFFICER, publish_at="now")
    bureau.desk.submit(key, OFFICER)
    bureau.clock.forward(hours=30)
    dossier = bureau.desk.approve(key, APPROVER)
    assert {d.channel: d.due_at for d in dossier.deliveries}["site"] == bureau.clock.time


def test_add__far_years_are_refused(bureau: Office) -> None:
    """A year nobody can plan for is refused when it is typed, not when it is shown."""
    for when in ("9999-12-31 23:59 Z", "0001-01-01 00:00 Asia/Shanghai"):
        with pytest.raises(UsageError, match="check the year"):
            bureau.desk.add(DOCUMENT.encode(), "c.md", OFFICER, publish_at=when)
    assert bureau.desk.all() == []


def test_approve__the_canonical_channel_must_make_pages(bureau: Office) -> None:
    """A canonical channel without pages to link to is refused before anything is sealed."""
    key = _submitted(bureau)
    bureau.desk.canonical = "note"
    with pytest.raises(NotAllowedError, match="makes no page"):
        bureau.desk.approve(key, APPROVER)


def test_template__whatever_it_does_is_one_sentence(bureau: Office) -> None:
    """A template that calls itself, counts for ever or divides by nothing is a finding, not a crash."""
    path = bureau.home / "templates" / "toy" / "note.txt"
    for text in (
        "{% include 'toy/note.txt' %}",
        "{% for i in range(999999999) %}{% endfor %}",
        "{{ 1 // 0 }}",
    ):
        path.write_text(text)
        _, found = bureau.desk.check(DOCUMENT.encode(), "corner.md")
        assert [f.code for f in found] == ["fit.unsupported"]
        assert "toy/note.txt" in found[0].message

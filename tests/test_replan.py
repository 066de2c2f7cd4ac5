"""What was signed is an hour on a wall: a zone's rules may change between signing and sending."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from publisher import clock, planning
from publisher.store import Store
from publisher.worker import assemble
from tests.toy import OFFICER, Office, office

_FOUND = zoneinfo.TZPATH


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it, at 01:00 UTC on 1 October 2026."""
    return office(store, tmp_path / "home")


@pytest.fixture
def decree(tmp_path: Path) -> Iterator[object]:
    """From now on a zone keeps the hours of another, as zone files do after an update of the machine."""

    def rules(name: str, like: str) -> None:
        file = tmp_path / "zones" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_file(like))
        zoneinfo.reset_tzpath(to=[str(tmp_path / "zones"), *_FOUND])

    yield rules
    zoneinfo.reset_tzpath(to=_FOUND)
    clock.forget_zones()


def _file(name: str) -> bytes:
    for folder in _FOUND:
        if (path := Path(folder) / name).is_file():
            return path.read_bytes()
    import importlib.resources

    return importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


async def _turn(bureau: Office) -> None:
    await assemble(bureau.store, bureau.desk.channels, home=bureau.home, now=bureau.clock).run_once()


def _due(bureau: Office, key: str) -> dict[str, datetime | None]:
    return {d.channel: d.due_at for d in bureau.desk.show(key).deliveries}


async def test_replan__the_wall_time_holds(bureau: Office, decree: object) -> None:
    """Shanghai puts its clocks an hour ahead after the signing: nine o'clock is nine o'clock there, an hour earlier."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 18:00 Asia/Shanghai", OFFICER)
    assert _due(bureau, key)["site"] == datetime(2026, 10, 1, 10, tzinfo=UTC)
    before = {d.channel: d.not_after for d in bureau.desk.show(key).deliveries}
    decree("Asia/Shanghai", "Asia/Tokyo")
    bureau.clock.forward(hours=7)
    await _turn(bureau)
    assert _due(bureau, key) == {"site": datetime(2026, 10, 1, 9, tzinfo=UTC), "note": None}
    after = {d.channel: d.not_after for d in bureau.desk.show(key).deliveries}
    assert {before[name] - after[name] for name in before} == {before["site"] - after["site"]}
    assert (before["site"] - after["site"]).total_seconds() == 3600
    bureau.clock.forward(hours=1)
    await _turn(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert "announcement.replanned" in {e.name for e in bureau.desk.log(key)}


async def test_replan__later_is_not_early(bureau: Office, decree: object) -> None:
    """The clocks are put back: nothing goes out at the old instant, and everything at the new one."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 18:00 Asia/Tokyo", OFFICER)
    decree("Asia/Tokyo", "Asia/Shanghai")
    await _turn(bureau)
    bureau.clock.forward(hours=8, minutes=30)
    await _turn(bureau)
    assert bureau.service.posts == []
    bureau.clock.forward(minutes=30)
    await _turn(bureau)
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}


async def test_replan__unchanged_rules_write_nothing(bureau: Office) -> None:
    """While the rules stay as they are, looking again changes nothing and logs nothing."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 18:00 Asia/Shanghai", OFFICER)
    before = (bureau.desk.show(key).deliveries, bureau.desk.log(key))
    await _turn(bureau)
    assert (bureau.desk.show(key).deliveries, bureau.desk.log(key)) == before


async def test_replan__a_retry_keeps_its_own_time(bureau: Office, decree: object) -> None:
    """What has been tried waits for its next attempt, not for the hour on the wall."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-01 18:00 Asia/Shanghai", OFFICER)
    with bureau.store.write() as tx:
        tx.deliveries.claim("worker-1", datetime(2026, 10, 1, 10, tzinfo=UTC), timedelta(seconds=5), 9)
    decree("Asia/Shanghai", "Asia/Tokyo")
    clock.forget_zones()
    with bureau.store.write() as tx:
        assert planning.replan(tx, bureau.desk.channels, bureau.home, bureau.clock()) == []


async def test_replan__an_hour_that_was_abolished(bureau: Office, decree: object) -> None:
    """New rules skip the very hour: the instant stays as it was signed, and the worker's log names both readings."""
    key = bureau.approved()
    bureau.desk.schedule(key, "2026-10-04 02:30 Australia/Brisbane", OFFICER)
    bureau.clock.time = datetime(2026, 10, 3, 3, tzinfo=UTC)
    due = _due(bureau, key)
    decree("Australia/Brisbane", "Australia/Sydney")  # its clocks go forward at two that morning
    clock.forget_zones()
    with bureau.store.write() as tx:
        ((named, sentence),) = planning.replan(tx, bureau.desk.channels, bureau.home, bureau.clock())
    assert named == key
    assert "does not exist" in sentence and "01:30" in sentence and "03:30" in sentence
    assert _due(bureau, key) == due

"""The whole job on this machine, as an office would do it: real worker process, real HTTP, real SMTP, on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from publisher import addresses, clock, registry, settings
from publisher.announcement import Bilingual, Finding, Person, Severity
from publisher.audience import Audience
from publisher.channel import Double
from publisher.delivery import DELIVERED, Delivery, State
from publisher.desk import Desk
from publisher.errors import NotAllowedError, PublisherError
from publisher.readership import reaches
from publisher.store import Store
from publisher.subscriber import Consent, Reading, Subscriber

_MARKER = ".publisher-demo"
_HERE = Path(__file__).parent
_PATIENCE_SECONDS = 15.0
_AHEAD = timedelta(seconds=3)
_READERS = {
    "林若澜 <lin@readers.example.org>": Reading.ZH,
    "Grace Turner <turner@readers.example.org>": Reading.EN,
    "周以宁 Zhou Yining <zhou@readers.example.org>": Reading.BOTH,
}
_TITLE_EN = "Hailan Arts Education Delegation Visits Linyu Youth Aesthetic Education Center"


@dataclass(frozen=True)
class Result:
    """What the demo left: its folder, and every delivery."""

    folder: Path
    deliveries: tuple[Delivery, ...]

    @property
    def complete(self) -> bool:
        """Whether everything was delivered."""
        return bool(self.deliveries) and all(d.state in DELIVERED for d in self.deliveries)


def run(folder: Path, out: Console) -> Result:
    """Runs the demo, showing each step on ``out``; everything it makes is left in ``folder``.

    Raises :class:`PublisherError` if ``folder`` is in use for something else.
    """
    folder = _emptied(folder)
    doubles = {name: registry.double(name, str(folder)) for name in ("smtp", "mastodon")}
    with _running(doubles) as reached:
        env = _write_env(folder, reached)
        loaded = settings.load(env, {})
        store = Store.open(loaded.home)
        try:
            desk = Desk(loaded, store, registry.build(loaded))
            keys = _approve_two(desk, out)
            _publish(desk, keys, env, out)
            result = Result(folder, tuple(d for key in keys for d in desk.show(key).deliveries))
            _show(result, doubles, out)
            return result
        finally:
            store.close()


def _emptied(folder: Path) -> Path:
    folder = folder.resolve()
    if folder.exists() and not (folder / _MARKER).is_file() and any(folder.iterdir()):
        raise PublisherError(f"{folder} holds something else; name an empty or new folder with --folder.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARKER).write_text("This folder is made anew by every run of publisher demo.\n")
    return folder


@contextmanager
def _running(doubles: Mapping[str, Double]) -> Iterator[dict[str, Mapping[str, str]]]:
    started: list[Double] = []
    try:
        reached = {}
        for name, double in doubles.items():
            reached[name] = double.start()
            started.append(double)
        yield reached
    finally:
        for double in started:
            double.stop()


def _write_env(folder: Path, reached: Mapping[str, Mapping[str, str]]) -> Path:
    values = {
        "PUBLISHER_CHANNELS": "website,newsletter,mastodon",
        "PUBLISHER_CANONICAL": "website",
        "WEBSITE_ADAPTER": "static_site",
        "WEBSITE_FOLDER": "site",
        "WEBSITE_URL": "https://news.example.org",
        "PUBLISHER_URL": "https://news.example.org/newsletter/",
        "PUBLISHER_SECRET": secrets.token_hex(32),
        "NEWSLETTER_ADAPTER": "mailing",
        "NEWSLETTER_SENDER": "示例协会 Example Association <news@example.org>",
        "NEWSLETTER_BOUNCES": "bounces@example.org",
        "NEWSLETTER_LIST_ID": "announce.example.org",
        "MASTODON_ADAPTER": "mastodon",
    }
    server = {key: value for key, value in reached["smtp"].items() if key in ("HOST", "PORT", "SECURITY")}
    values |= {f"NEWSLETTER_{key}": value for key, value in server.items()}
    values |= {f"MASTODON_{key.upper()}": value for key, value in reached["mastodon"].items()}
    path = folder / ".env"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{key}='{value}'\n" for key, value in values.items())
    return path


# --- the desk's part ----------------------------------------------------------------------------------------


def _subscribe(store: Store, officer: Person) -> None:
    """Three readers, one of each language and one of both."""
    audience, consent = Audience(store), Consent(clock.now(), "the demo")
    for text, reading in _READERS.items():
        address = addresses.read(text)
        audience.add(
            Subscriber(address.sent, address.normal, address.name, reading, consent=consent), officer
        )


def _approve_two(desk: Desk, out: Console) -> list[str]:
    officer, approver = Person("Lin, officer", "demo"), Person("Chen, approver", "demo")
    _subscribe(desk.store, officer)
    out.rule("[bold]1  An officer brings two documents in", align="left")
    visit, found = desk.add((_HERE / "sample.txt").read_bytes(), "sample.txt", officer)
    out.print(f"[bold]{visit}[/]  sample.txt: a visit, plain text as it was received")
    _findings(found, out)
    lecture, found = desk.add(
        (_HERE / "sample-event.md").read_bytes(),
        "sample-event.md",
        officer,
        beside=lambda name: (_HERE / name).read_bytes(),
    )
    out.print(f"[bold]{lecture}[/]  sample-event.md: a lecture, with an event")
    _findings(found, out)

    out.rule("[bold]2  The checks stop what is not complete; the officer mends it", align="left")
    _refused(lambda: desk.submit(visit, officer), out)
    number, found = desk.revise(visit, officer, data=None, name="", title=Bilingual(en=_TITLE_EN))
    out.print(f'The officer adds the English title: "{_TITLE_EN}"; {visit} is now revision {number}.')

    out.rule("[bold]3  Another person approves", align="left")
    for key in (visit, lecture):
        desk.submit(key, officer)
    _refused(lambda: desk.approve(visit, officer), out)
    for key in (visit, lecture):
        seal = desk.approve(key, approver).seal
        assert seal is not None
        variants = desk.preview(key)
        sizes = [f"{v.variant.channel}" + (f" {v.length}/{v.maximum}" if v.length else "") for v in variants]
        out.print(f"{approver.name} seals {key}: {', '.join(sizes)}; seal [dim]{seal.hash[:16]}[/]")
    for reach in reaches(desk.store, desk.channels, desk.channels):
        out.print(str(reach))
    return [visit, lecture]


def _findings(found: list[Finding], out: Console) -> None:
    colours = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
    for finding in sorted(found, key=lambda f: list(Severity).index(f.severity)):
        line = Text(f"  {finding.severity:<7} ", style=colours[finding.severity])
        where = f"passage {finding.passage + 1}: " if finding.passage is not None else ""
        out.print(line.append(where + finding.message, style="default"))


def _refused(step: Callable[[], object], out: Console) -> None:
    try:
        step()
    except NotAllowedError as refusal:
        out.print(Text("  refused ", style="red").append(str(refusal), style="default"))
        return
    raise PublisherError("A step that must be refused was not; this installation is broken.")


# --- the worker's part --------------------------------------------------------------------------------------


def _publish(desk: Desk, keys: list[str], env: Path, out: Console) -> None:
    hour = clock.now() + _AHEAD
    stamp = f"{hour:%Y-%m-%dT%H:%M:%S}Z"
    for key in keys:
        desk.schedule(key, stamp, Person("Lin, officer", "demo"))
    zone = desk.settings.office.timezone
    out.rule(f"[bold]4  Scheduled for {clock.show(hour, zone)}; the worker is alone now", align="left")
    with _worker(env):
        _watch(desk, keys, out)


@contextmanager
def _worker(env: Path) -> Iterator[None]:
    """A real worker process, ended with SIGTERM as a service manager does; its log is left beside the results."""
    with (env.parent / "worker.log").open("w") as log:
        command = [sys.executable, "-m", "publisher", "worker", "--env", str(env)]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  # our own program
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _watch(desk: Desk, keys: list[str], out: Console) -> None:
    over = frozenset(State) - {State.WAITING, State.SENDING}
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with Progress(*columns, console=out, transient=not out.is_terminal) as progress:
        total = sum(len(desk.show(key).deliveries) for key in keys)
        task = progress.add_task("waiting for the hour", total=total)
        while time.monotonic() < deadline:
            ended = [d for key in keys for d in desk.show(key).deliveries if d.state in over]
            names = ", ".join(f"{d.announcement} {d.channel}" for d in ended[-1:])
            progress.update(
                task, completed=len(ended), description=f"{len(ended)} of {total} delivered  {names}"
            )
            if len(ended) == total:
                return
            time.sleep(0.1)  # a person is watching; there is nothing to be notified by across processes


def _show(result: Result, doubles: Mapping[str, Double], out: Console) -> None:
    out.rule("[bold]5  What is out", align="left")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in ("Announcement", "Channel", "State", "Where"):
        table.add_column(header, overflow="fold")
    for delivery in result.deliveries:
        good = delivery.state in DELIVERED
        state = Text(delivery.state, style="green" if good else "red")
        table.add_row(delivery.announcement, delivery.channel, state, Text(_where(delivery)))
    out.print(table)
    out.print()
    out.print(f"Website     {result.folder / 'site' / 'index.html'}", soft_wrap=True)
    for name, double in doubles.items():
        for line in double.received():
            out.print(Text(f"{'Newsletter' if name == 'smtp' else 'Social post':<11} {line}"), soft_wrap=True)
    out.print(
        Text(f"Social posts are kept in {result.folder / 'posts'}; their addresses ended with the demo."),
        soft_wrap=True,
    )
    out.print(
        Text(f"Everything is in {result.folder}; look around: publisher list --env {result.folder / '.env'}")
    )


def _where(delivery: Delivery) -> str:
    if delivery.receipt is None:
        return delivery.reason
    return delivery.receipt.links.both if delivery.receipt.links else delivery.reason or delivery.receipt.id

"""bounces: report, read, fetch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from publisher import clock
from publisher.audience import Audience
from publisher.bounces import Kind
from publisher.cli import output
from publisher.cli.office import load_settings
from publisher.errors import SettingsError, UsageError
from publisher.returns import Collected, Returns, files, mailbox
from publisher.settings import Settings, imap_account
from publisher.store import Store
from publisher.store.bounces import Bounce, Tally
from publisher.tokens import Tokens

_MOST = 20
"""So many mailings, and so many reports that a person must look at, are shown."""
_SHOWN = (Kind.HARD, Kind.SOFT, Kind.POLICY, Kind.COMPLAINT, Kind.UNSUBSCRIBE)


def bounces(arguments: argparse.Namespace) -> int:
    """What came back so far; with ``read`` or ``fetch``, takes in what is in a file or in the mailbox."""
    if (arguments.file is not None) != (arguments.what == "read"):
        raise UsageError("Name a file after read, and only there: publisher bounces read FILE")
    with _open(arguments) as (store, loaded):
        if arguments.what is None:
            with store.read() as tx:
                tallies, unknown = tx.bounces.tallies(_MOST), tx.bounces.recent(_MOST, [Kind.UNKNOWN])
                counts = tx.bounces.counts()
            return _report(arguments, tallies, unknown, counts, loaded.office.timezone)
        returns = _returns(store, loaded)
        collected = _read(arguments.file, returns) if arguments.what == "read" else _fetch(loaded, returns)
    return _print_collected(arguments, collected)


@contextmanager
def _open(arguments: argparse.Namespace) -> Iterator[tuple[Store, Settings]]:
    loaded = load_settings(arguments)
    store = Store.open(loaded.home, loaded.office.database_url.get_secret_value())
    try:
        yield store, loaded
    finally:
        store.close()


def _returns(store: Store, loaded: Settings) -> Returns:
    if not loaded.office.secret:
        raise SettingsError(
            "PUBLISHER_SECRET is missing, by which our own letters are known; "
            'take it from where the newsletters are sent, or run "publisher init".'
        )
    return Returns(store, Audience(store), Tokens(loaded.office.secret))


def _read(file: str, returns: Returns) -> Collected:
    found = files.split(sys.stdin.buffer.read()) if file == "-" else files.messages(Path(file))
    return returns.take_all(found)


def _fetch(loaded: Settings, returns: Returns) -> Collected:
    if not loaded.office.bounces_imap.get_secret_value():
        raise SettingsError(
            "PUBLISHER_BOUNCES_IMAP is missing: the mailbox in which bounces arrive, such as "
            "imaps://name:password@imap.example.org/INBOX."
        )
    return mailbox.empty(imap_account(loaded.office.bounces_imap), returns)


def _print_collected(arguments: argparse.Namespace, done: Collected) -> int:
    if arguments.json:
        kinds = {str(kind): count for kind, count in sorted(done.kinds.items())}
        output.as_json({"read": done.read, "new": done.new, "kinds": kinds})
        return 0
    what = ", ".join(f"{count:,} {kind}" for kind, count in sorted(done.kinds.items()))
    known = f", {done.read - done.new:,} known already" if done.read > done.new else ""
    messages = "1 message" if done.read == 1 else f"{done.read:,} messages"
    print(f"{messages} read{known}{f': {what}' if what else ''}.")
    if done.kinds.get(Kind.UNKNOWN):
        print('"publisher bounces" shows those that a person must look at.')
    return 0


def _report(
    arguments: argparse.Namespace,
    tallies: Sequence[Tally],
    unknown: Sequence[Bounce],
    counts: Mapping[Kind, int],
    zone: str,
) -> int:
    if arguments.json:
        output.as_json(
            {
                "mailings": [_tally_data(one) for one in tallies],
                "unknown": [{"at": one.at, "status": one.status, "said": one.said} for one in unknown],
                "counts": {str(kind): counts.get(kind, 0) for kind in Kind},
            }
        )
        return 0
    if not tallies and not counts:
        print("Nothing has come back yet, and no newsletter was sent to subscribers.")
        return 0
    headers = ("Mailing", "Sent", "No mailbox", "Not taken", "Refused", "Complaints", "Unsubscribed by mail")
    rows = [
        (one.key, f"{one.sent:,}", *(f"{one.kinds.get(kind, 0):,}" for kind in _SHOWN)) for one in tallies
    ]
    if rows:
        output.table(headers, rows, whole=headers[:1])
    if unknown:
        print("What a person must look at, the newest first:")
        output.listing(("When", "What"), [(clock.show(one.at, zone), one.said) for one in unknown])
    return 0


def _tally_data(one: Tally) -> dict[str, object]:
    return {
        "mailing": one.key,
        "announcement": one.announcement,
        "channel": one.channel,
        "sent": one.sent,
        **{str(kind): one.kinds.get(kind, 0) for kind in (*_SHOWN, Kind.DELAYED)},
    }

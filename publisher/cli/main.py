"""The command ``publisher``: what can be typed, and one sentence for everything that goes wrong.

Only the standard library is imported here, so that ``--help`` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from publisher import __version__
from publisher.errors import PublisherError, UsageError

if TYPE_CHECKING:
    from typing import Any, NoReturn

_WHEN = 'a time such as "2026-10-12 09:00 Asia/Shanghai", or "now"'


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong use: one sentence, code 2."""
        sentence = message[:1].upper() + message[1:]
        print(f'{sentence}; "{self.prog} --help" shows how.', file=sys.stderr)
        raise SystemExit(2)


def _shared() -> _Parser:
    shared = _Parser(add_help=False)
    shared.add_argument("--env", metavar="FILE", help="the settings file (default: .env in this folder)")
    shared.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    return shared


def _acting(shared: _Parser) -> _Parser:
    acting = _Parser(add_help=False, parents=[shared])
    acting.add_argument("--as", dest="actor", metavar="NAME", help="who acts (default: your account's name)")
    return acting


def parser() -> argparse.ArgumentParser:
    """Everything that can be typed."""
    top = _Parser(
        prog="publisher",
        description="Bilingual announcements, approved once, published everywhere, unattended.",
        epilog="Start with: publisher demo",
    )
    top.add_argument("--version", action="version", version=f"publisher {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    shared = _shared()
    acting = _acting(shared)

    def command(name: str, handler: str, help_: str, *, acts: bool = False) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=help_,
            description=help_[:1].upper() + help_[1:] + ".",
            parents=[acting if acts else shared],
        )
        made.set_defaults(handler=handler)
        return made

    _set_up(command)
    _documents(command)
    _review(command)
    _publish(command)
    _look(command)
    return top


def _set_up(command: Any) -> None:
    demo = command(
        "demo", "demo:run", "run the whole job on this machine: no account, no network, ends by itself"
    )
    demo.add_argument(
        "--folder", default="publisher-demo", help="where the results are left (default: %(default)s)"
    )
    command("init", "setup:init", "write .env (readable by you alone) and make the data folder")
    channels = command(
        "channels", "setup:channels", "what is configured; with check, sign in without publishing"
    )
    channels.add_argument(
        "what", nargs="?", choices=["check"], help="sign in to every channel, publish nothing"
    )
    command("adapters", "setup:adapters", "what can be configured, with every setting")


def _title_options(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--title-zh", default="", metavar="TEXT", help="the Chinese title, if the document has none"
    )
    made.add_argument(
        "--title-en", default="", metavar="TEXT", help="the English title, if the document has none"
    )


def _documents(command: Any) -> None:
    add = command(
        "add", "documents:add", "bring a document in as a new announcement; prints its id", acts=True
    )
    add.add_argument("file", metavar="FILE", help="a text or Markdown document in Chinese and English")
    _title_options(add)
    add.add_argument("--publish-at", default="", metavar="WHEN", help=f"publish once approved: {_WHEN}")
    add.add_argument("--channels", default="", metavar="A,B", help="only these channels (default: all)")
    check = command("check", "documents:check", "what the checks find in a document or an announcement")
    check.add_argument("target", metavar="FILE|ID", help="a document, or the id of an announcement")
    _title_options(check)
    preview = command(
        "preview", "documents:preview", "what each channel would get, with length against limit"
    )
    preview.add_argument("id", metavar="ID")
    preview.add_argument("--channel", default="", metavar="NAME", help="only this channel")
    revise = command(
        "revise", "documents:revise", "file a new revision, which needs a new approval", acts=True
    )
    revise.add_argument("id", metavar="ID")
    revise.add_argument(
        "file", metavar="FILE", nargs="?", help="the new document; leave out to change a title only"
    )
    _title_options(revise)


def _review(command: Any) -> None:
    for name, help_ in (
        ("submit", "hand the newest revision to an approver"),
        ("approve", "sign the newest revision: seal the bytes of every variant"),
        ("reject", "send a submitted revision back with a reason"),
    ):
        made = command(name, f"review:{name}", help_, acts=True)
        made.add_argument("id", metavar="ID")
        if name == "reject":
            made.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the author")


def _publish(command: Any) -> None:
    schedule = command(
        "schedule", "publishing:schedule", "set the hour at which the approved text goes out", acts=True
    )
    schedule.add_argument("id", metavar="ID")
    schedule.add_argument("when", metavar="WHEN", nargs="+", help=_WHEN)
    cancel = command("cancel", "publishing:cancel", "stop what has not begun", acts=True)
    cancel.add_argument("id", metavar="ID")
    resolve = command("resolve", "publishing:resolve", "settle an uncertain delivery by hand", acts=True)
    resolve.add_argument("delivery", metavar="DELIVERY", help='as "publisher show ID" names it')
    answer = resolve.add_mutually_exclusive_group(required=True)
    answer.add_argument("--delivered", metavar="URL", help="it is published, here")
    answer.add_argument("--not-delivered", action="store_true", help="it certainly is not; send it again")
    worker = command("worker", "publishing:worker", "publish unattended, until it is stopped")
    worker.add_argument("--once", action="store_true", help="publish what is due, then end")


def _look(command: Any) -> None:
    command("list", "looking:list_all", "all announcements, the newest first")
    for name, help_ in (
        ("show", "where an announcement stands on each channel, and what to do"),
        ("log", "everything that happened to an announcement, and who did it"),
    ):
        made = command(name, f"looking:{name}", help_)
        made.add_argument("id", metavar="ID")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code: 0 done, 1 the answer is no, 2 wrong use."""
    top = parser()
    try:
        arguments = top.parse_args(argv)
        if not arguments.command:
            top.print_help()
            return 0
        return _run(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def _run(arguments: argparse.Namespace) -> int:
    module, _, function = arguments.handler.partition(":")
    try:
        handler = getattr(import_module(f"publisher.cli.{module}"), function)
        return int(handler(arguments))
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except PublisherError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of our output has gone, as with "| head": nothing is wrong.
        sys.stderr.close()
        return 0

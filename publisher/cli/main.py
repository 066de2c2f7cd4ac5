"""The command ``publisher``: what can be typed, and one sentence for everything that goes wrong.

Only the standard library is imported here, so that ``--help`` answers at once; each command imports what it needs.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import import_module

from publisher import __version__
from publisher.errors import PublisherError, UsageError

TYPE_CHECKING = False  # the type checker knows this name; typing itself takes longer to import than argparse
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_WHEN = 'a time such as "2026-10-12 09:00 Asia/Shanghai", or "now"'


def _formatter(prog: str) -> argparse.HelpFormatter:
    # argparse would import shutil for this, and with it every compression library.
    try:
        columns = int(os.environ.get("COLUMNS", "")) or 80
    except ValueError:
        columns = os.get_terminal_size().columns if sys.stdout.isatty() else 80
    return argparse.HelpFormatter(prog, width=max(40, min(columns, 110) - 2))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong use: one sentence, code 2."""
        sentence = message[:1].upper() + message[1:]
        print(f'{sentence}; "{self.prog} --help" shows how.', file=sys.stderr)
        raise SystemExit(2)


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """Everything that can be typed; with ``only``, other commands have their name and help but no options."""
    top = _Parser(
        prog="publisher",
        formatter_class=_formatter,
        description="Bilingual announcements, approved once, published everywhere, unattended.",
        epilog="Start with: publisher demo",
    )
    top.add_argument("--version", action="version", version=f"publisher {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, (handler, help_, arguments) in COMMANDS.items():
        made = commands.add_parser(
            name, help=help_, description=help_[:1].upper() + help_[1:] + ".", formatter_class=_formatter
        )
        made.set_defaults(handler=handler)
        if only in (None, name):
            arguments(made)
    return top


def _facts(made: argparse.ArgumentParser) -> None:
    made.add_argument("--env", metavar="FILE", help="the settings file (default: .env in this folder)")
    made.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _acts(made: argparse.ArgumentParser) -> None:
    _facts(made)
    made.add_argument("--as", dest="actor", metavar="NAME", help="who acts (default: your account's name)")


def _demo(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
    default = "publisher-demo"
    made.add_argument("--folder", default=default, help="where the results are left (default: %(default)s)")


def _channels(made: argparse.ArgumentParser) -> None:
    _acts(made)
    what = "check: sign in to every channel, publish nothing; resume: let a paused channel go on"
    made.add_argument("what", nargs="?", choices=["check", "resume"], help=what)
    made.add_argument("name", nargs="?", metavar="NAME", help="the channel to resume")


def _titles(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--title-zh", default="", metavar="TEXT", help="the Chinese title, if the document has none"
    )
    made.add_argument(
        "--title-en", default="", metavar="TEXT", help="the English title, if the document has none"
    )


def _add(made: argparse.ArgumentParser) -> None:
    _acts(made)
    made.add_argument("file", metavar="FILE", help="a text or Markdown document in Chinese and English")
    _titles(made)
    made.add_argument("--publish-at", default="", metavar="WHEN", help=f"publish once approved: {_WHEN}")
    made.add_argument("--channels", default="", metavar="A,B", help="only these channels (default: all)")


def _check(made: argparse.ArgumentParser) -> None:
    _facts(made)
    made.add_argument("target", metavar="FILE|ID", help="a document, or the id of an announcement")
    _titles(made)


def _preview(made: argparse.ArgumentParser) -> None:
    _one(made)
    made.add_argument("--channel", default="", metavar="NAME", help="only this channel")
    made.add_argument(
        "--send-to", default="", metavar="ADDRESS", help="send the newsletter to this address, as a test"
    )
    made.add_argument(
        "--language", default="", choices=("zh", "en", "both"), help="the language of the test; all there are"
    )


def _revise(made: argparse.ArgumentParser) -> None:
    _acts_on_one(made)
    made.add_argument(
        "file", metavar="FILE", nargs="?", help="the new document; leave out to change a title only"
    )
    _titles(made)


def _one(made: argparse.ArgumentParser) -> None:
    _facts(made)
    made.add_argument("id", metavar="ID", help='an announcement, as "publisher list" shows them')


def _acts_on_one(made: argparse.ArgumentParser) -> None:
    _acts(made)
    made.add_argument("id", metavar="ID", help='an announcement, as "publisher list" shows them')


def _reject(made: argparse.ArgumentParser) -> None:
    _acts_on_one(made)
    made.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the author")


def _schedule(made: argparse.ArgumentParser) -> None:
    _acts_on_one(made)
    made.add_argument("when", metavar="WHEN", nargs="+", help=_WHEN)


def _confirmed(made: argparse.ArgumentParser) -> None:
    _acts_on_one(made)
    made.add_argument("--yes", action="store_true", help="do it; without, only what would happen is shown")


def _resolve(made: argparse.ArgumentParser) -> None:
    _acts(made)
    made.add_argument("delivery", metavar="DELIVERY", help='as "publisher show ID" names it')
    answer = made.add_mutually_exclusive_group(required=True)
    answer.add_argument(
        "--delivered", metavar="URL", nargs="?", const="", help="it is published, here (no URL for e-mail)"
    )
    answer.add_argument(
        "--not-delivered",
        metavar="ADDRESS",
        nargs="*",
        help="it certainly is not; send it again (of a newsletter to subscribers: to those in doubt, or to these only)",
    )


def _log(made: argparse.ArgumentParser) -> None:
    _facts(made)
    what = "an announcement; without it, halts and pauses, and who ended them"
    made.add_argument("id", metavar="ID", nargs="?", help=what)


def _alerts(made: argparse.ArgumentParser) -> None:
    _facts(made)
    made.add_argument(
        "--tell",
        action="store_true",
        help="tell whom PUBLISHER_ALERTS names, once for each cause, again now and then while it lasts and once when "
        "it is over, unless a live worker does; prints only what was told. For cron or a timer, on this machine, or "
        "with PostgreSQL on another one: */5 * * * * publisher alerts --tell",
    )


def _subscribers(made: argparse.ArgumentParser) -> None:
    verbs = made.add_subparsers(dest="what", metavar="WHAT", parser_class=_Parser, required=True)

    def verb(name: str, function: str, help_: str) -> argparse.ArgumentParser:
        one = verbs.add_parser(
            name, help=help_, description=help_[:1].upper() + help_[1:] + ".", formatter_class=_formatter
        )
        one.set_defaults(handler=f"subscribers:{function}")
        _acts(one)
        return one

    states = ["pending", "active", "unsubscribed", "bounced", "complained"]
    languages = ["zh", "en", "both"]
    consent = 'how she agreed, such as "form at the spring fair"'
    one = verb("import", "bring_in", "bring a CSV file of subscribers in; again, it changes nothing")
    one.add_argument(
        "file", metavar="FILE", help="CSV with a column email (邮箱), and name, language, lists if you like"
    )
    one.add_argument("--list", default="", metavar="A,B", help="put them on these lists")
    one.add_argument(
        "--language", choices=languages, default="both", help="what those read whose line does not say"
    )
    one.add_argument(
        "--consent-how",
        default="",
        metavar="TEXT",
        help=f"for lines that do not say it in a column: {consent}",
    )
    one.add_argument(
        "--consent-text", "--consent", default="", metavar="TEXT", help="the words they agreed to"
    )
    one.add_argument(
        "--source", default="", metavar="TEXT", help="where they come from (default: the file's name)"
    )
    one.add_argument("--dry-run", action="store_true", help="only say what would happen")
    one.add_argument(
        "--report", default="", metavar="FILE", help="write every refused line with its reason to FILE"
    )
    one = verb("export", "bring_out", "write subscribers to a CSV file that Excel opens")
    one.add_argument("file", metavar="FILE", nargs="?", default="-", help="a new file (default: print it)")
    one.add_argument("--list", default="", metavar="NAME", help="only those of this list")
    one.add_argument("--state", default="", choices=["", *states], help="only those in this state")
    one = verb("list", "list_all", "how many there are; with --list, --state or --all, who")
    one.add_argument("--list", default="", metavar="NAME", help="those of this list")
    one.add_argument("--state", default="", choices=["", *states], help="those in this state")
    one.add_argument("--all", action="store_true", help="everybody")
    one = verb("show", "show", "what is known of one address")
    one.add_argument("address", metavar="ADDRESS")
    one = verb("add", "add", "add one subscriber who has agreed")
    one.add_argument("address", metavar="ADDRESS", help='reader@example.org, or "Name <reader@example.org>"')
    one.add_argument("--name", default="", metavar="TEXT", help="her name")
    one.add_argument(
        "--language", choices=languages, default="both", help="what she reads (default: %(default)s)"
    )
    one.add_argument("--list", default="", metavar="A,B", help="lists to put her on")
    one.add_argument("--consent-how", required=True, metavar="TEXT", help=consent)
    one.add_argument(
        "--consent-text", "--consent", default="", metavar="TEXT", help="the words she agreed to"
    )
    one = verb("change", "change", "change name, language or lists of one subscriber")
    one.add_argument("address", metavar="ADDRESS")
    one.add_argument("--name", metavar="TEXT", help="her name")
    one.add_argument("--language", choices=languages, help="what she reads")
    one.add_argument("--list", metavar="A,B", help="exactly these lists")
    one = verb("remove", "remove", "delete one subscriber for good; she is never written to again")
    one.add_argument("address", metavar="ADDRESS")


def _bounces(made: argparse.ArgumentParser) -> None:
    _facts(made)
    what = "read: messages in FILE; fetch: empty the mailbox PUBLISHER_BOUNCES_IMAP now"
    made.add_argument("what", nargs="?", choices=["read", "fetch"], help=what)
    where = "a message, an mbox, a Maildir or another folder of messages; - for a message or mbox piped in"
    made.add_argument("file", nargs="?", metavar="FILE", help=where)


def _worker(made: argparse.ArgumentParser) -> None:
    _facts(made)
    made.add_argument("--once", action="store_true", help="publish what is due, then end")


def _serve(made: argparse.ArgumentParser) -> None:
    made.add_argument("--env", metavar="FILE", help="the settings file (default: .env in this folder)")
    made.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    made.add_argument("--port", type=int, default=8025, help="the port to listen at (default: %(default)s)")
    made.add_argument(
        "--trust-proxy",
        default="",
        metavar="ADDRESSES",
        help="addresses or networks of the web server in front, with commas between them, whose X-Forwarded-For says "
        "who the visitor is (default: none)",
    )
    made.add_argument(
        "--without-worker", action="store_true", help="serve the pages only; a worker runs elsewhere"
    )


COMMANDS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": ("demo:run", "run the whole job on this machine: no account, no network, ends by itself", _demo),
    "init": ("setup:init", "write .env (readable by you alone) and make the data folder", _facts),
    "channels": (
        "setup:channels",
        "what is configured and how it does; check signs in without publishing",
        _channels,
    ),
    "adapters": ("setup:adapters", "what can be configured, with every setting", _facts),
    "add": ("documents:add", "bring a document in as a new announcement; prints its id", _add),
    "check": ("documents:check", "what the checks find in a document or an announcement", _check),
    "preview": ("documents:preview", "what each channel would get, with length against limit", _preview),
    "revise": ("documents:revise", "file a new revision, which needs a new approval", _revise),
    "submit": ("review:submit", "hand the newest revision to an approver", _acts_on_one),
    "approve": ("review:approve", "sign the newest revision: seal the bytes of every variant", _acts_on_one),
    "reject": ("review:reject", "send a submitted revision back with a reason", _reject),
    "schedule": ("publishing:schedule", "set the hour at which the approved text goes out", _schedule),
    "cancel": ("publishing:cancel", "stop what has not begun", _acts_on_one),
    "correct": (
        "publishing:correct",
        "bring an approved newer revision out where the old one is",
        _confirmed,
    ),
    "retract": ("publishing:retract", "take a published announcement back", _confirmed),
    "resolve": ("publishing:resolve", "settle an uncertain delivery by hand", _resolve),
    "halt": ("publishing:halt", "stop everything at once, whatever is due", _acts),
    "unhalt": ("publishing:unhalt", "let everything go on", _acts),
    "worker": ("publishing:worker", "publish unattended, until it is stopped", _worker),
    "serve": (
        "serving:serve",
        "serve the pages on which people subscribe and unsubscribe, and publish",
        _serve,
    ),
    "list": ("looking:list_all", "all announcements, the newest first", _facts),
    "show": ("looking:show", "where an announcement stands on each channel, and what to do", _one),
    "log": (
        "looking:log",
        "everything that happened to an announcement, or to the office as a whole, and who did it",
        _log,
    ),
    "subscribers": (
        "subscribers:list_all",
        "who gets the newsletter: import, export, add, remove",
        _subscribers,
    ),
    "bounces": (
        "bounces:bounces",
        "what came back of newsletters: bounces, complaints, wishes to unsubscribe",
        _bounces,
    ),
    "alerts": (
        "watching:alerts",
        "what somebody must be told of at this moment; code 1 if there is anything",
        _alerts,
    ),
}
"""Every command: the function behind it (in ``publisher.cli``), its help, and what adds its options."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; its exit code: 0 done, 1 the answer is no, 2 wrong use."""
    typed = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None or sys.stderr is None:
        return 1  # started with a closed output: there is nobody to answer
    if any("\ud800" <= letter <= "\udfff" for word in typed for letter in word):
        print(
            "An argument is not readable text; check the terminal's encoding, or rename the file.",
            file=sys.stderr,
        )
        return 2
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Chinese shows ?, and nothing breaks
    top = parser(only=next((word for word in typed if not word.startswith("-")), ""))
    try:
        arguments = top.parse_args(typed)
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
        code = int(handler(arguments))
        sys.stdout.flush()
        return code
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"This could not be finished: {error.strerror or error}.", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1

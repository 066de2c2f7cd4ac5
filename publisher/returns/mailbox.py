"""The mailbox in which bounces arrive, read over IMAP (RFC 9051), always encrypted and with certificates checked."""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence

from imap_tools import BaseMailBox, ImapToolsError, MailBox, MailboxLoginError, MailBoxStartTls

from publisher.bounces import Kind
from publisher.errors import PublisherError
from publisher.returns.taking import Collected, Returns
from publisher.settings import ImapAccount

PROCESSED, UNKNOWN = "Processed", "Unknown"
"""The folders into which messages are moved: what was understood, and what a person must look at."""
_TIMEOUT = 60.0
_TOGETHER = 25
"""How many messages are asked for, and moved, at a time."""
_UID = re.compile(rb"\bUID (\d+)\b")


def empty(account: ImapAccount, returns: Returns) -> Collected:
    """Reads every message, acts on it and moves it away.

    A message is moved only when what followed from it is in the store; one that is read twice counts once. Where
    folders cannot be made, messages stay, flagged as seen. Raises :class:`PublisherError`, without the password.
    """
    collected = Collected()
    with _in_words(account), _open(account) as box:
        folders = {kind: _folder(box, kind) for kind in (PROCESSED, UNKNOWN)}
        wanted = "UNDELETED" if all(folders.values()) else "UNDELETED UNSEEN"
        uids = box.uids(wanted)
        for first in range(0, len(uids), _TOGETHER):
            _take(box, uids[first : first + _TOGETHER], returns, folders, collected)
    return collected


def _take(
    box: BaseMailBox,
    uids: Sequence[str],
    returns: Returns,
    folders: dict[str, str | None],
    collected: Collected,
) -> None:
    """Some messages: all are acted on before any is moved."""
    moving: dict[str, list[str]] = {PROCESSED: [], UNKNOWN: []}
    for uid, raw in _fetched(box, uids):
        taken = returns.take(raw)
        collected.add(taken)
        moving[UNKNOWN if taken.kind is Kind.UNKNOWN else PROCESSED].append(uid)
    for name, some in moving.items():
        folder = folders[name]
        if not folder:
            box.flag(some, r"\Seen", True)
        else:
            box.move(some, folder)


def _fetched(box: BaseMailBox, uids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """UID and bytes of each; looking at them leaves them unseen."""
    outcome, answer = box.client.uid("FETCH", ",".join(uids), "(UID BODY.PEEK[])")
    if outcome != "OK":
        raise imaplib.IMAP4.error(f"FETCH was answered with {outcome}")
    for item in answer:
        if isinstance(item, tuple) and (found := _UID.search(item[0])):
            yield found[1].decode(), item[1]


def _folder(box: BaseMailBox, name: str) -> str | None:
    """The folder's full name, made where it is not there yet; ``None`` where it cannot be."""
    delimiter = next((one.delim for one in box.folder.list("", "%")), "/")
    for full in (name, f"INBOX{delimiter}{name}"):  # some servers allow folders in INBOX only
        try:
            if not box.folder.exists(full):
                box.folder.create(full)
            return full
        except ImapToolsError:
            continue
    return None


@contextlib.contextmanager
def _open(account: ImapAccount) -> Iterator[BaseMailBox]:
    made = MailBox if account.is_tls else MailBoxStartTls
    box = made(account.host, account.port, timeout=_TIMEOUT, ssl_context=ssl.create_default_context())
    try:
        sign_in = box.login if (account.user + account.password).isascii() else box.login_utf8
        sign_in(account.user, account.password, None)
        box.folder.set(account.folder)
        yield box
    finally:
        with contextlib.suppress(OSError, imaplib.IMAP4.error, ImapToolsError):
            box.logout()


@contextlib.contextmanager
def _in_words(account: ImapAccount) -> Iterator[None]:
    """Says what went wrong, without the name and the password."""
    try:
        yield
    except (MailboxLoginError, UnicodeError):
        raise PublisherError(
            f"{account.host} refused the sign-in; check name and password in PUBLISHER_BOUNCES_IMAP."
        ) from None
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or "no reason given"
        raise PublisherError(
            f"No trusted connection to {account.host} for bounces ({reason}); check the certificate and the name "
            "in PUBLISHER_BOUNCES_IMAP."
        ) from None
    except (OSError, imaplib.IMAP4.error, ImapToolsError) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        for secret in (account.password, account.user):
            said = said.replace(secret, "***")
        raise PublisherError(
            f"The mailbox of bounces at {account.host} cannot be read ({' '.join(said.split())[:200]}); "
            "check PUBLISHER_BOUNCES_IMAP and the server."
        ) from None

"""The worker's part: empties the mailbox of bounces now and then, and does not mind when it cannot."""

from __future__ import annotations

import structlog

from publisher.audience import Audience
from publisher.errors import PublisherError
from publisher.returns import mailbox
from publisher.returns.taking import Collected, Returns
from publisher.settings import ImapAccount, Settings, imap_account
from publisher.store import Store
from publisher.tokens import Tokens

log = structlog.get_logger("publisher.returns")


class Collector:
    """Empties one mailbox. :meth:`collect` blocks, for minutes at worst: call it in a thread, one at a time."""

    def __init__(self, returns: Returns, account: ImapAccount) -> None:
        self._returns, self._account = returns, account
        self._failing = False

    @classmethod
    def of(cls, settings: Settings, store: Store) -> Collector | None:
        """As the settings say; ``None`` where they name no mailbox, or nothing by which our letters are known."""
        office = settings.office
        if not (office.bounces_imap.get_secret_value() and office.secret):
            return None
        returns = Returns(store, Audience(store), Tokens(office.secret))
        return cls(returns, imap_account(office.bounces_imap))

    def collect(self) -> Collected | None:
        """What was read; ``None`` where the mailbox could not be. Raises nothing: the next time comes.

        That it cannot be read is logged once, and once that it can be again.
        """
        try:
            collected = mailbox.empty(self._account, self._returns)
        except PublisherError as error:
            self._failed(str(error))
            return None
        except Exception as error:  # a slip of ours, or a server beyond belief, must not end the worker
            self._failed(f"It broke off with {type(error).__name__}.")
            return None
        if self._failing:
            log.info("the mailbox of bounces can be read again", event_name="bounces.readable")
        self._failing = False
        if collected.new:
            kinds = {str(kind): count for kind, count in collected.kinds.items()}
            log.info("bounces were read", event_name="bounces.read", **kinds)
        return collected

    def _failed(self, reason: str) -> None:
        if not self._failing:
            log.error("the mailbox of bounces cannot be read", event_name="bounces.unreadable", reason=reason)
        self._failing = True

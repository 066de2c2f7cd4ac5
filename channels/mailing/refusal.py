"""What a refused letter means: for the letter, and for all that would come after it."""

from __future__ import annotations

import re

from channels.mailing.task import Step
from channels.smtp.reply import Reply
from channels.smtp.session import SIGN_IN_FIRST, is_too_often
from publisher.channel import DeliveryError, Fate, Rejected, SignInFailed, Throttled, Unavailable

_RUN = 25
"""After so many letters in a row that were refused alike, and for no reason of their own, the mailing stops."""
_ABOUT_ONE = re.compile(r"[45]\.[12]\.[0-9]+")
"""Enhanced codes that speak of an address or a mailbox (RFC 3463, 3.2 and 3.3)."""
_DIGITS = re.compile(r"[0-9A-Fa-f-]{6,}|\S+@\S+")
"""What differs between two answers that say the same: ids and addresses."""


def fate(reply: Reply) -> Fate:
    """What becomes of a letter that was refused with ``reply`` (4yz or 5yz).

    QQ Mail says 550 to a sender, or for a recipient, that it only wants less from.
    """
    return Fate.DEFERRED if reply.is_temporary or is_too_often(reply) else Fate.REFUSED


class Refusals:
    """Watches the refusals of one mailing: a server that refuses everybody says nothing about a subscriber."""

    def __init__(self, channel: str, server: str) -> None:
        self._channel, self._server = channel, server
        self._said = ""
        self._run = 0
        self._some_sent = False

    def sent(self) -> None:
        """A letter was taken."""
        self._some_sent = True
        self._run = 0

    def stop(self, step: Step, reply: Reply, utf8: bool) -> DeliveryError | None:
        """Why nothing more should be sent after this refusal, if so; ``utf8``: the letter has an address of its kind.

        The letter itself is then not refused: whoever had come first would have met the same.
        """
        if reply.code in SIGN_IN_FIRST:
            return SignInFailed(
                f"{self._server} wants a sign-in ({reply}); check USERNAME and PASSWORD ({self._channel})."
            )
        if step is Step.MAIL and not utf8:
            return self._of_sender(reply)
        if step is not Step.RCPT or reply.is_permanent:
            return self._in_a_row(reply)
        return None

    def _of_sender(self, reply: Reply) -> DeliveryError | None:
        if is_too_often(reply):
            return Throttled(f"{self._server} asks {self._channel} to wait ({reply}).")
        if reply.is_permanent:
            return Rejected(f"{self._server} refuses the sender ({reply}); check SENDER ({self._channel}).")
        return self._in_a_row(reply)

    def _in_a_row(self, reply: Reply) -> DeliveryError | None:
        said = _DIGITS.sub("", str(reply))
        self._run = self._run + 1 if said == self._said else 1
        self._said = said
        if self._run < _RUN or _ABOUT_ONE.match(reply.text) or (reply.is_permanent and self._some_sent):
            return None
        if reply.is_temporary or is_too_often(reply):
            return Unavailable(f"{self._server} takes no message of {self._channel} now ({reply}).")
        return Rejected(f"{self._server} refuses every message of {self._channel} ({reply}); see its answer.")

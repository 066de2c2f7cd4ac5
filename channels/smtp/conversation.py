"""One message in one SMTP session, from greeting to QUIT.

From the first byte of the message on only an explicit reply is certain; silence, a lost connection and an answer that
cannot be read leave the outcome unknown.
Sources: RFC 5321, 3.3, 3.8 and 6.1; RFC 1870 (SIZE).
"""

from __future__ import annotations

from collections.abc import Mapping

from channels.smtp.reply import Reply
from channels.smtp.session import Session, Steps, reason
from channels.smtp.settings import ServerSettings
from channels.smtp.wire import transparent
from publisher.channel import DeliveryError, OutcomeUnknown, Rejected, SignInFailed, Throttled, Unavailable


class Conversation:
    """One session of channel ``channel``; used once, in one thread. :meth:`abort` may come from another."""

    def __init__(self, channel: str, settings: ServerSettings, recipients: str = "TO") -> None:
        """``recipients`` is the setting that names them, for errors."""
        self._settings = settings
        self._session = Session(channel, settings, recipients)
        self._accepted = False

    def submit(self, sender: str, recipients: tuple[str, ...], message: bytes) -> Reply:
        """Sends ``message`` to all recipients or to none; the reply that accepts it.

        Raises the errors of :mod:`publisher.channel`.
        """
        session = self._session
        try:
            with session.certain():
                session.open()
                self._envelope(sender, recipients, len(message))
                session.expect(Steps.MESSAGE, "DATA", 354)
                session.wire.expect_silence()
            return self._deliver(message)
        finally:
            session.leave(self._accepted)

    def rehearse(self, sender: str, recipient: str) -> str:
        """Everything up to the message, which is not sent; how the connection was protected."""
        session = self._session
        try:
            with session.certain():
                session.open()
                self._envelope(sender, (recipient,), 0)
            return f"{session.server} ({session.protection})"
        finally:
            session.leave(False)

    @property
    def extensions(self) -> Mapping[str, str]:
        """What the server offered, once there was a session."""
        return self._session.extensions

    def abort(self) -> None:
        """Ends the session at once, wherever it is."""
        self._session.abort()

    # --- up to the message -----------------------------------------------------------------------

    def _envelope(self, sender: str, recipients: tuple[str, ...], size: int) -> None:
        session = self._session
        announced = f" SIZE={size}" if size and "SIZE" in session.extensions else ""
        session.expect(Steps.SENDER, f"MAIL FROM:<{sender}>{announced}", 250, f" {sender}")
        answers = [(address, session.wire.command(f"RCPT TO:<{address}>")) for address in recipients]
        refused = [(address, reply) for address, reply in answers if reply.code not in (250, 251, 252)]
        if refused:
            raise self._refused_recipients(refused)

    def _refused_recipients(self, refused: list[tuple[str, Reply]]) -> DeliveryError:
        """The gravest of the refusals, which speaks for every address that was refused for that reason."""
        graded: dict[type[DeliveryError], list[tuple[str, Reply]]] = {}
        for address, reply in refused:
            graded.setdefault(self._session.meaning(Steps.RECIPIENT, reply), []).append((address, reply))
        gravest = next(g for g in (SignInFailed, Rejected, Throttled, Unavailable) if g in graded)
        found = graded[gravest]
        addresses = ", ".join(address for address, _ in found)
        return self._session.refusal(Steps.RECIPIENT, found[0][1], f" {addresses}")

    # --- the message -----------------------------------------------------------------------------

    def _deliver(self, message: bytes) -> Reply:
        session, patience = self._session, self._settings.answer_timeout
        try:
            session.wire.send(transparent(message), patience)
            reply = session.wire.reply(patience)
        except Exception as error:  # whatever it was, the server may have the whole message
            raise OutcomeUnknown(
                f"{session.server} did not say whether it took the message ({reason(error)}); "
                f"look into its log, or into the list's archive."
            ) from error
        if reply.code == 250:
            self._accepted = True
            return reply
        if reply.is_temporary or reply.is_permanent:
            raise session.refusal(Steps.MESSAGE, reply)
        raise OutcomeUnknown(
            f"{session.server} gave an answer to the message that means nothing ({reply}); look into its log."
        )

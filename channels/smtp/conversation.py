"""One SMTP session from greeting to QUIT, and what each refusal means for the delivery.

Up to the first byte of the message every failure is certain: nothing was sent. From there on only an explicit
reply is; silence, a lost connection and an answer that cannot be read leave the outcome unknown.
Sources: RFC 5321, 3.8, 4.2 and 6.1; RFC 4954 (AUTH); RFC 3207 (STARTTLS); RFC 1870 (SIZE).
"""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from channels.smtp.settings import MailServer, Security
from channels.smtp.wire import Reply, Wire, transparent
from publisher.channel import (
    DeliveryError,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)

_GOODBYE = 5.0
"""Seconds for RSET and QUIT, whose answers change nothing."""
_TOO_OFTEN = re.compile(r"frequency|too many (?:mails|messages|connections)|rate limit|throttl", re.I)
"""QQ Mail answers 550 "frequency limited", others 421 or 450, to a sender who only has to wait."""
SIGN_IN_FIRST = (530, 535, 538)
"""Codes of RFC 4954 that ask for, or refuse, a sign-in, whatever the command was."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What the server is asked for, what a permanent refusal of it means, and what a person can do."""

    what: str
    refused: type[DeliveryError]
    advice: str


class _Steps(Enum):
    GREETING = _Step("to talk to this machine", SignInFailed, "ask its administrator")
    HELLO = _Step("our EHLO", SignInFailed, "ask its administrator")
    ENCRYPTION = _Step("STARTTLS", SignInFailed, "check PORT and SECURITY")
    SIGN_IN = _Step("the user name or password", SignInFailed, "check USERNAME and PASSWORD")
    SENDER = _Step("the sender", Rejected, "check SENDER")
    RECIPIENT = _Step("the recipient", Rejected, "check TO; nothing was sent to anybody")
    MESSAGE = _Step("the message", Rejected, "see its answer")


@dataclass(frozen=True, slots=True)
class Opened:
    """A session after EHLO and sign-in: its socket, and what the server offers, each with its parameters."""

    socket: socket.socket
    extensions: Mapping[str, str]


class Conversation:
    """One session of channel ``channel``; used once, in one thread. :meth:`abort` may come from another."""

    def __init__(self, channel: str, settings: MailServer) -> None:
        self._channel, self._settings = channel, settings
        self._server = f"{settings.host}:{settings.effective_port}"
        self._wire: Wire | None = None
        self._extensions: dict[str, str] = {}
        self._accepted = self._aborted = False

    def submit(self, sender: str, recipients: tuple[str, ...], message: bytes) -> Reply:
        """Sends ``message`` to all recipients or to none; the reply that accepts it.

        Raises the errors of :mod:`publisher.channel`.
        """
        try:
            with self._certain():
                self._open()
                self._envelope(sender, recipients, len(message))
                self._expect(_Steps.MESSAGE, "DATA", 354)
                self._connection.expect_silence()
            return self._deliver(message)
        finally:
            self._leave()

    def rehearse(self, sender: str, recipient: str) -> str:
        """Everything up to the message, which is not sent; how the connection was protected."""
        try:
            with self._certain():
                self._open()
                self._envelope(sender, (recipient,), 0)
            signed = f", signed in as {self._settings.username}" if self._settings.username else ""
            return f"{self._server} ({self._settings.security}{signed})"
        finally:
            self._leave()

    def open(self) -> Opened:
        """A session that is signed in, for a caller that goes on with its socket by itself.

        Raises the errors of :mod:`publisher.channel`.
        """
        try:
            with self._certain():
                self._open()
                self._connection.expect_silence()
                return Opened(self._connection.handed_over(), dict(self._extensions))
        except BaseException:
            self._leave()
            raise

    def abort(self) -> None:
        """Ends the session at once, wherever it is."""
        self._aborted = True
        if self._wire:
            self._wire.abort()

    @contextlib.contextmanager
    def _certain(self) -> Iterator[None]:
        """Translates what can go wrong while nothing has been sent."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(
                f"The certificate of {self._server} cannot be trusted ({error.verify_message}); "
                f"check HOST of {self._channel}, or tell the server's administrator."
            ) from error
        except OSError as error:
            what = "broke the conversation off" if self._wire else "cannot be reached"
            raise Unavailable(f"{self._server} {what} ({_reason(error)}); nothing was sent.") from error

    @property
    def _connection(self) -> Wire:
        assert self._wire, "open the conversation first"
        return self._wire

    # --- up to the message -----------------------------------------------------------------------

    def _open(self) -> None:
        settings = self._settings
        self._wire = wire = Wire(settings.host, settings.effective_port, settings.timeout)
        if self._aborted:
            raise ConnectionAbortedError("the attempt was called off")
        if settings.security is Security.TLS:
            wire.start_tls(ssl.create_default_context())
        self._judge(_Steps.GREETING, wire.reply(), 220)
        self._hello(wire)
        if settings.security is Security.STARTTLS:
            self._encrypt(wire)
        if settings.username:
            self._sign_in()

    def _hello(self, wire: Wire) -> None:
        domain = self._settings.mailbox.address.rpartition("@")[2]
        reply = wire.command(f"EHLO {domain}")
        self._judge(_Steps.HELLO, reply, 250)
        # "AUTH=LOGIN" is how servers older than RFC 4954 write it.
        pairs = [line.strip().upper().replace("AUTH=", "AUTH ").partition(" ") for line in reply.lines[1:]]
        self._extensions = {}
        for name, _, values in pairs:
            self._extensions[name] = f"{self._extensions.get(name, '')} {values}".strip()

    def _encrypt(self, wire: Wire) -> None:
        if "STARTTLS" not in self._extensions:
            raise SignInFailed(
                f"{self._server} offers no STARTTLS; check PORT of {self._channel}, or set SECURITY to tls."
            )
        self._expect(_Steps.ENCRYPTION, "STARTTLS", 220)
        wire.start_tls(ssl.create_default_context())
        self._hello(wire)  # what was said before encryption counts for nothing

    def _sign_in(self) -> None:
        offered = self._extensions.get("AUTH", "").split()
        user = self._settings.username
        password = self._settings.password.get_secret_value()
        if "PLAIN" in offered:
            self._expect(_Steps.SIGN_IN, f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}", 235)
        elif "LOGIN" in offered:
            self._expect(_Steps.SIGN_IN, "AUTH LOGIN", 334)
            self._expect(_Steps.SIGN_IN, _base64(user), 334)
            self._expect(_Steps.SIGN_IN, _base64(password), 235)
        else:
            raise SignInFailed(
                f"{self._server} offers no sign-in with a password; check HOST and PORT of {self._channel}."
            )

    def _envelope(self, sender: str, recipients: tuple[str, ...], size: int) -> None:
        announced = f" SIZE={size}" if size and "SIZE" in self._extensions else ""
        self._expect(_Steps.SENDER, f"MAIL FROM:<{sender}>{announced}", 250, f" {sender}")
        answers = [(address, self._connection.command(f"RCPT TO:<{address}>")) for address in recipients]
        refused = [(address, reply) for address, reply in answers if reply.code not in (250, 251, 252)]
        if refused:
            raise self._refused_recipients(refused)

    def _refused_recipients(self, refused: list[tuple[str, Reply]]) -> DeliveryError:
        """The gravest of the refusals, which speaks for every address that was refused for that reason."""
        graded: dict[type[DeliveryError], list[tuple[str, Reply]]] = {}
        for address, reply in refused:
            graded.setdefault(self._meaning(_Steps.RECIPIENT, reply), []).append((address, reply))
        gravest = next(g for g in (SignInFailed, Rejected, Throttled, Unavailable) if g in graded)
        found = graded[gravest]
        addresses = ", ".join(address for address, _ in found)
        return self._refusal(_Steps.RECIPIENT, found[0][1], f" {addresses}")

    # --- the message -----------------------------------------------------------------------------

    def _deliver(self, message: bytes) -> Reply:
        patience = self._settings.answer_timeout
        try:
            self._connection.send(transparent(message), patience)
            reply = self._connection.reply(patience)
        except Exception as error:  # whatever it was, the server may have the whole message
            raise OutcomeUnknown(
                f"{self._server} did not say whether it took the message ({_reason(error)}); "
                f"look into its log, or into the list's archive."
            ) from error
        if reply.code == 250:
            self._accepted = True
            return reply
        if reply.is_temporary or reply.is_permanent:
            raise self._refusal(_Steps.MESSAGE, reply)
        raise OutcomeUnknown(
            f"{self._server} gave an answer to the message that means nothing ({reply}); look into its log."
        )

    def _leave(self) -> None:
        """QUIT, and RSET before it where something was refused; nothing here changes what has happened."""
        if not self._wire:
            return
        with contextlib.suppress(OSError):
            for command in ("QUIT",) if self._accepted else ("RSET", "QUIT"):
                if self._wire.usable and not self._aborted:
                    self._wire.command(command, _GOODBYE)
        self._wire.close()

    # --- what a reply means ------------------------------------------------------------------------

    def _expect(self, step: _Steps, command: str, wanted: int, about: str = "") -> None:
        self._judge(step, self._connection.command(command), wanted, about)

    def _judge(self, step: _Steps, reply: Reply, wanted: int, about: str = "") -> None:
        if reply.code != wanted:
            raise self._refusal(step, reply, about)

    def _meaning(self, step: _Steps, reply: Reply) -> type[DeliveryError]:
        if asks_to_wait(reply):
            return Throttled
        if reply.code in SIGN_IN_FIRST:
            return SignInFailed
        return step.value.refused if reply.is_permanent else Unavailable

    def _refusal(self, step: _Steps, reply: Reply, about: str = "") -> DeliveryError:
        meaning = self._meaning(step, reply)
        # A server may repeat what it was sent: nothing it says while we sign in is passed on.
        said = str(reply.code) if step is _Steps.SIGN_IN else str(reply)
        if meaning is Throttled:
            return Throttled(f"{self._server} asks {self._channel} to wait ({said}).")
        if meaning is Unavailable:
            return Unavailable(f"{self._server} does not accept {step.value.what}{about} now ({said}).")
        advice = _Steps.SIGN_IN.value.advice if reply.code in SIGN_IN_FIRST else step.value.advice
        return meaning(
            f"{self._server} refuses {step.value.what}{about} ({said}); {advice} ({self._channel})."
        )


def asks_to_wait(reply: Reply) -> bool:
    """Whether a refusal, whatever its code, is only of so much at a time."""
    return (reply.is_temporary or reply.is_permanent) and bool(_TOO_OFTEN.search(reply.text))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__

"""An SMTP session up to the point where it can take mail, and what each refusal means for the delivery.

Up to the first byte of a message every failure is certain: nothing was sent.
Sources: RFC 5321, 3.1, 4.1.1.1 and 4.2; RFC 4954 (AUTH); RFC 3207 (STARTTLS); RFC 1869, 4 (extensions).
"""

from __future__ import annotations

import base64
import contextlib
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from channels.smtp.reply import Reply
from channels.smtp.settings import Security, ServerSettings
from channels.smtp.wire import Wire
from publisher.channel import DeliveryError, Rejected, SignInFailed, Throttled, Unavailable

_GOODBYE = 5.0
"""Seconds for RSET and QUIT, whose answers change nothing."""
_TOO_OFTEN = re.compile(
    r"frequency|too many (?:mails|messages|connections)|rate limit|throttl|mailbox unavailable or access denied",
    re.IGNORECASE,
)
"""QQ Mail answers 550 "frequency limited", or the last of these to a recipient who got too much; others 421 or 450."""
SIGN_IN_FIRST = (530, 535, 538)
"""Codes of RFC 4954 that ask for, or refuse, a sign-in, whatever the command was."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the server is asked for, what a permanent refusal of it means, and what a person can do."""

    what: str
    refused: type[DeliveryError]
    advice: str


class Steps(Enum):
    """The steps of a session, in their order."""

    GREETING = Step("to talk to this machine", SignInFailed, "ask its administrator")
    HELLO = Step("our EHLO", SignInFailed, "ask its administrator")
    ENCRYPTION = Step("STARTTLS", SignInFailed, "check PORT and SECURITY")
    SIGN_IN = Step("the user name or password", SignInFailed, "check USERNAME and PASSWORD")
    SENDER = Step("the sender", Rejected, "check SENDER")
    RECIPIENT = Step("the recipient", Rejected, "check {recipients}; nothing was sent to anybody")
    MESSAGE = Step("the message", Rejected, "see its answer")


class Session:
    """One session of channel ``channel``; used once, in one thread. :meth:`abort` may come from another."""

    def __init__(self, channel: str, settings: ServerSettings, recipients: str = "TO") -> None:
        """``recipients`` is the setting that names them."""
        self._channel, self._settings, self._recipients = channel, settings, recipients
        self.server = f"{settings.host}:{settings.effective_port}"
        self._wire: Wire | None = None
        self._extensions: dict[str, str] = {}
        self.aborted = False

    @property
    def wire(self) -> Wire:
        """The connection, once it is open."""
        assert self._wire, "open the session first"
        return self._wire

    @property
    def extensions(self) -> Mapping[str, str]:
        """What the server offers, by keyword in capitals, with the parameters of each."""
        return self._extensions

    @property
    def protection(self) -> str:
        """How the session is protected, in a few words."""
        signed = f", signed in as {self._settings.username}" if self._settings.username else ""
        return f"{self._settings.security}{signed}"

    def abort(self) -> None:
        """Ends the session at once, wherever it is."""
        self.aborted = True
        if self._wire:
            self._wire.abort()

    @contextlib.contextmanager
    def certain(self) -> Iterator[None]:
        """Translates what can go wrong while nothing has been sent."""
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            raise Unavailable(
                f"The certificate of {self.server} cannot be trusted ({error.verify_message}); "
                f"check HOST of {self._channel}, or tell the server's administrator."
            ) from error
        except OSError as error:
            what = "broke the conversation off" if self._wire else "cannot be reached"
            raise Unavailable(f"{self.server} {what} ({reason(error)}); nothing was sent.") from error

    def open(self) -> None:
        """Connects, encrypts and signs in.

        Raises :class:`OSError`, which :meth:`certain` translates, and the errors of :mod:`publisher.channel`.
        """
        settings = self._settings
        self._wire = wire = Wire(settings.host, settings.effective_port, settings.timeout)
        if self.aborted:
            raise ConnectionAbortedError("the attempt was called off")
        if settings.security is Security.TLS:
            wire.start_tls(ssl.create_default_context())
        self._judge(Steps.GREETING, wire.reply(), 220)
        self._hello(wire)
        if settings.security is Security.STARTTLS:
            self._encrypt(wire)
        if settings.username:
            self._sign_in()

    def _hello(self, wire: Wire) -> None:
        domain = self._settings.mailbox.address.rpartition("@")[2]
        reply = wire.command(f"EHLO {domain}")
        self._judge(Steps.HELLO, reply, 250)
        # "AUTH=LOGIN" is how servers older than RFC 4954 write it.
        pairs = [line.strip().upper().replace("AUTH=", "AUTH ").partition(" ") for line in reply.lines[1:]]
        self._extensions = {}
        for name, _, values in pairs:
            self._extensions[name] = f"{self._extensions.get(name, '')} {values}".strip()

    def _encrypt(self, wire: Wire) -> None:
        if "STARTTLS" not in self._extensions:
            raise SignInFailed(
                f"{self.server} offers no STARTTLS; check PORT of {self._channel}, or set SECURITY to tls."
            )
        self.expect(Steps.ENCRYPTION, "STARTTLS", 220)
        wire.start_tls(ssl.create_default_context())
        self._hello(wire)  # what was said before encryption counts for nothing

    def _sign_in(self) -> None:
        offered = self._extensions.get("AUTH", "").split()
        user = self._settings.username
        password = self._settings.password.get_secret_value()
        if "PLAIN" in offered:
            self.expect(Steps.SIGN_IN, f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}", 235)
        elif "LOGIN" in offered:
            self.expect(Steps.SIGN_IN, "AUTH LOGIN", 334)
            self.expect(Steps.SIGN_IN, _base64(user), 334)
            self.expect(Steps.SIGN_IN, _base64(password), 235)
        else:
            raise SignInFailed(
                f"{self.server} offers no sign-in with a password; check HOST and PORT of {self._channel}."
            )

    def leave(self, settled: bool) -> None:
        """QUIT, and RSET before it where nothing is ``settled``; nothing here changes what has happened."""
        if not self._wire:
            return
        with contextlib.suppress(OSError):
            for command in ("QUIT",) if settled else ("RSET", "QUIT"):
                if self._wire.usable and not self.aborted:
                    self._wire.command(command, _GOODBYE)
        self._wire.close()

    # --- what a reply means ------------------------------------------------------------------------

    def expect(self, step: Steps, command: str, wanted: int, about: str = "") -> None:
        """Says ``command``; raises what any other answer than ``wanted`` means."""
        self._judge(step, self.wire.command(command), wanted, about)

    def _judge(self, step: Steps, reply: Reply, wanted: int, about: str = "") -> None:
        if reply.code != wanted:
            raise self.refusal(step, reply, about)

    def meaning(self, step: Steps, reply: Reply) -> type[DeliveryError]:
        """What becomes of a delivery whose ``step`` got this reply."""
        if is_too_often(reply):
            return Throttled
        if reply.code in SIGN_IN_FIRST:
            return SignInFailed
        return step.value.refused if reply.is_permanent else Unavailable

    def refusal(self, step: Steps, reply: Reply, about: str = "") -> DeliveryError:
        """The same as an error that names the server, its answer and what to do."""
        meaning = self.meaning(step, reply)
        # A server may repeat what it was sent: nothing it says while we sign in is passed on.
        said = str(reply.code) if step is Steps.SIGN_IN else str(reply)
        if meaning is Throttled:
            return Throttled(f"{self.server} asks {self._channel} to wait ({said}).")
        if meaning is Unavailable:
            return Unavailable(f"{self.server} does not accept {step.value.what}{about} now ({said}).")
        advised = Steps.SIGN_IN if reply.code in SIGN_IN_FIRST else step
        advice = advised.value.advice.format(recipients=self._recipients)
        return meaning(
            f"{self.server} refuses {step.value.what}{about} ({said}); {advice} ({self._channel})."
        )


def is_too_often(reply: Reply) -> bool:
    """Whether a refusal, of whatever code, only asks to send less."""
    return (reply.is_temporary or reply.is_permanent) and bool(_TOO_OFTEN.search(reply.text))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def reason(error: Exception) -> str:
    """Why a connection broke, in a few words."""
    return str(getattr(error, "strerror", None) or error) or type(error).__name__

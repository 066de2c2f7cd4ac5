"""The settings of channels that send over SMTP: those of all, and those of :class:`~channels.smtp.SmtpAdapter`."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from channels.smtp import address
from publisher.channel import ChannelSettings


class Security(StrEnum):
    """How the connection is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|[0-9A-Fa-f:.]+")


def _listed(value: object) -> object:
    return [item for item in re.split(r"[,，;；、\s]+", value) if item] if isinstance(value, str) else value


class ServerSettings(ChannelSettings):
    """One mail server and one sender: what every channel has that sends mail."""

    host: str = Field(description="name of the mail server, such as smtp.example.org")
    port: int | None = Field(
        None, ge=1, le=65535, description="its port; by default 587 with starttls, 465 with tls, 25 with none"
    )
    security: Security = Field(
        Security.STARTTLS, description="starttls, tls, or none (only for a mail server on this machine)"
    )
    username: str = Field("", description="name to sign in with; empty where the server asks for none")
    password: SecretStr = Field(
        SecretStr(""), description="its password, or the authorisation code that some providers give instead"
    )
    sender: str = Field(description="who the newsletter is from: Name <news@example.org>")
    reply_to: str = Field("", description="where answers go; empty: to the sender")
    timeout: float = Field(60.0, gt=0, le=600, description="how long each step may take, in seconds")
    answer_timeout: float = Field(
        600.0,
        gt=0,
        le=3600,
        description="how long to wait for the server's last word; RFC 5321 asks for 600 seconds",
    )

    @property
    def effective_port(self) -> int:
        """The port that is used."""
        return self.port or _PORTS[self.security]

    @property
    def mailbox(self) -> address.Mailbox:
        """The sender, read."""
        return address.mailbox(self.sender)

    @field_validator("host")
    @classmethod
    def _check_host(cls, value: str) -> str:
        try:
            ascii_host = value.encode("idna").decode("ascii") if len(value) < 254 else ""
        except UnicodeError:
            ascii_host = ""
        if not _HOST.fullmatch(ascii_host):
            raise ValueError(f"{value!r} is not the name of a server; write it like smtp.example.org")
        return ascii_host

    @field_validator("sender")
    @classmethod
    def _check_sender(cls, value: str) -> str:
        address.mailbox(value)
        return value

    @field_validator("reply_to")
    @classmethod
    def _check_reply_to(cls, value: str) -> str:
        return address.checked(value) if value else ""

    @model_validator(mode="after")
    def _check_security(self) -> ServerSettings:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("USERNAME and PASSWORD belong together; set both, or neither")
        if self.security is Security.NONE and not address.is_loopback(self.host):
            raise ValueError(
                "SECURITY none is only for a mail server on this machine; set it to starttls or tls"
            )
        return self


class SmtpSettings(ServerSettings):
    """The list address or the few recipients that get every newsletter."""

    to: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        min_length=1,
        max_length=20,
        description="address of the mailing list, or up to 20 recipients, who do not see one another",
    )

    @field_validator("to")
    @classmethod
    def _check_recipients(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(address.checked(item) for item in value))

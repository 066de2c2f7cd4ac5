"""The settings of a newsletter to the office's own subscribers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from channels.mailing import keys
from channels.mailing.dkim import Signer
from channels.mailing.letterhead import Letterhead
from channels.smtp import address
from channels.smtp.settings import ServerSettings
from publisher.channel import Layout, MailingSettings
from publisher.errors import SettingsError

_PACE = re.compile(r"(?P<domain>[^=\s]+)=(?P<rate>[0-9]+(?:\.[0-9]+)?)")
_FASTEST = 10_000.0


def _listed(value: object) -> object:
    return [item for item in re.split(r"[,，;；\s]+", value) if item] if isinstance(value, str) else value


class SubscribersSettings(ServerSettings, MailingSettings):
    """One mail server that takes a message for each subscriber, how fast, and what is signed."""

    connections: int = Field(4, ge=1, le=50, description="how many connections to the server at a time")
    per_second: float = Field(
        0.0, ge=0, le=_FASTEST, description="messages a second; 0: as fast as the server takes them"
    )
    messages_per_connection: int = Field(
        500, ge=1, le=1_000_000, description="after how many messages a connection is closed and opened anew"
    )
    domain_pace: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (),
        description="messages a second to providers that mind, such as qq.com=2,163.com=1; qq.com counts foxmail.com, "
        "and 163.com counts 126.com and yeah.net",
    )
    bounces: str = Field(
        "",
        description="address of the mailbox that takes returned mail, such as bounces@example.org; each message gets a "
        "tagged form of it (bounces+…@example.org)",
    )
    sends_from: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (),
        description="addresses or names of the servers from which the messages leave for the world, for the check of "
        "SPF; empty where only the provider knows",
    )
    list_id: str = Field("", description="List-Id, a name below your domain such as announce.example.org")
    list_name: str = Field(
        "", description="what people call the list, beside its List-Id; empty: the name of the office"
    )
    help: str = Field("", description="web address that says what the list is; empty: none")
    archive: str = Field("", description="web address of earlier newsletters; empty: none")
    dkim_selector: str = Field("", description="selector of the RSA key that signs; empty: the server signs")
    dkim_key: Path | None = Field(None, description="file of that key, in PEM format")
    dkim_ed25519_selector: str = Field(
        "", description="selector of a second key, Ed25519, whose signature goes beside the first one"
    )
    dkim_ed25519_key: Path | None = Field(None, description="file of the second key, in PEM format")
    dkim_domain: str = Field("", description="domain that signs; empty: that of the sender")

    @property
    def paces(self) -> Mapping[str, float]:
        """Messages a second, by the recipient's domain as it is written in ``domain_pace``."""
        return dict(map(_pace, self.domain_pace))

    @property
    def letterhead(self) -> Letterhead:
        """The office's side of every letter. Raises :class:`SettingsError` for a key that cannot be read."""
        return Letterhead(
            sender=self.mailbox,
            reply_to=self.reply_to,
            bounces=self.bounces,
            list_id=self.list_id,
            list_name=self.list_name,
            help=self.help,
            archive=self.archive,
            signers=tuple(self._signers()),
        )

    def _signers(self) -> list[Signer]:
        domain = self.dkim_domain or self.mailbox.address.rpartition("@")[2]
        pairs = (
            (self.dkim_selector, self.dkim_key, "RSA"),
            (self.dkim_ed25519_selector, self.dkim_ed25519_key, "Ed25519"),
        )
        return [_signer(domain, selector, file, kind) for selector, file, kind in pairs if file]

    @field_validator("layout")
    @classmethod
    def _check_layout(cls, value: Layout) -> Layout:
        if value is Layout.SEPARATE:
            raise ValueError("subscribers choose their language themselves; set LAYOUT to paired or stacked")
        return value

    @field_validator("domain_pace")
    @classmethod
    def _check_paces(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{domain}={rate:g}" for domain, rate in map(_pace, value))

    @field_validator("bounces")
    @classmethod
    def _check_bounces(cls, value: str) -> str:
        return address.checked(value) if value else ""

    @field_validator("list_id", "dkim_selector", "dkim_ed25519_selector", "dkim_domain")
    @classmethod
    def _small(cls, value: str) -> str:
        return value.lower()

    @field_validator("dkim_key", "dkim_ed25519_key", mode="before")
    @classmethod
    def _no_file(cls, value: object) -> object:
        return value or None

    @model_validator(mode="after")
    def _check_letterhead(self) -> Self:
        for name in ("DKIM", "DKIM_ED25519"):
            selector, file = (getattr(self, f"{name.lower()}_{half}") for half in ("selector", "key"))
            if bool(selector) != bool(file):
                raise ValueError(f"{name}_SELECTOR and {name}_KEY belong together; set both, or neither")
        try:
            _ = self.letterhead
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self


def _signer(domain: str, selector: str, file: Path, kind: str) -> Signer:
    signer = Signer(domain, selector, keys.read(file))
    if not signer.algorithm.startswith(kind.lower()):
        raise SettingsError(f"The DKIM key {file} is not of the kind {kind}; exchange the two keys.")
    return signer


def _pace(text: str) -> tuple[str, float]:
    """``qq.com=2``, read. Raises ``ValueError``."""
    match = _PACE.fullmatch(text)
    rate = float(match["rate"]) if match else 0.0
    if not match or not 0 < rate <= _FASTEST:
        raise ValueError(f'"{text}" is no pace; write a domain and messages a second, like qq.com=2')
    try:
        domain = address.checked(f"anybody@{match['domain']}").rpartition("@")[2]
    except ValueError:
        raise ValueError(f'"{match["domain"]}" is no domain; write a pace like qq.com=2') from None
    return domain, rate

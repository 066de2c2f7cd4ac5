"""The settings of a channel that sends to the office's own subscribers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from channels.smtp import address
from channels.smtp.settings import MailServer
from publisher.channel import Layout, MailingSettings

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,200}[a-z0-9])?")
_ID = re.compile(r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*)+")


def _paced(value: object) -> object:
    """``qq.com=2, 163.com=1.5`` as a mapping."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in re.split(r"[,;\s]+", value) if part]
    if any(not equals for _, equals, _ in pairs):
        raise ValueError("write it like qq.com=2,163.com=2 (messages a second)")
    return {domain.lower(): pace for domain, _, pace in pairs}


class SubscribersSettings(MailServer, MailingSettings):
    """A mail server, a sender, how fast it may be used, and the keys that sign."""

    connections: int = Field(4, ge=1, le=50, description="connections to the mail server at a time")
    per_second: float = Field(
        0.0,
        ge=0,
        le=100_000,
        description="messages a second to the mail server at most; 0: as fast as it takes them",
    )
    messages_per_connection: int = Field(
        500, ge=1, le=1_000_000, description="messages after which a connection is closed and opened anew"
    )
    domain_pace: Annotated[dict[str, float], BeforeValidator(_paced)] = Field(
        {},
        description="messages a second to the mailboxes of single providers, such as qq.com=2,163.com=2; their other "
        "domains count with them",
    )
    bounces: str = Field(
        "",
        description="address for reports of mail that could not be delivered, such as bounces@news.example.org, whose "
        "mail server puts bounces+ANYTHING@ into the same mailbox; empty: to the sender",
    )
    list_id: str = Field(
        "", description="name of the list under a domain of yours, such as announce.example.org; empty: none"
    )
    dkim_domain: str = Field("", description="domain that signs; empty: that of the sender's address")
    dkim_selector: str = Field("", description="selector of the RSA key, such as news2026")
    dkim_key: Path | None = Field(
        None, description="file with the RSA key (PEM) that signs; empty where the mail server signs"
    )
    dkim_ed25519_selector: str = Field("", description="selector of the Ed25519 key, such as news2026e")
    dkim_ed25519_key: Path | None = Field(
        None, description="file with an Ed25519 key (PEM) that signs besides; empty: none"
    )

    @field_validator("bounces")
    @classmethod
    def _check_bounces(cls, value: str) -> str:
        checked = address.checked(value) if value else ""
        if len(checked.partition("@")[0]) > 15:
            raise ValueError(f'"{checked}" is too long before the @ to be tagged; use at most 15 characters')
        return checked

    @field_validator("list_id")
    @classmethod
    def _check_list_id(cls, value: str) -> str:
        if value and not _ID.fullmatch(value.lower()):
            raise ValueError(f'"{value}" is no List-Id; write it like announce.example.org')
        return value.lower()

    @field_validator("dkim_selector", "dkim_ed25519_selector", "dkim_domain")
    @classmethod
    def _check_names(cls, value: str) -> str:
        if value and not _NAME.fullmatch(value.lower()):
            raise ValueError(f'"{value}" cannot stand in the name of a DNS record')
        return value.lower()

    @field_validator("domain_pace")
    @classmethod
    def _check_pace(cls, value: dict[str, float]) -> dict[str, float]:
        for domain, pace in value.items():
            if not 0 < pace <= 10_000:
                raise ValueError(f"{domain} needs a pace above 0 messages a second")
        return value

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        for selector, key, name in (
            (self.dkim_selector, self.dkim_key, "DKIM"),
            (self.dkim_ed25519_selector, self.dkim_ed25519_key, "DKIM_ED25519"),
        ):
            if bool(selector) != (key is not None):
                raise ValueError(f"{name}_SELECTOR and {name}_KEY belong together; set both, or neither")
        if self.layout is Layout.SEPARATE:
            raise ValueError(
                "LAYOUT separate has no meaning here: subscribers choose their language; use paired or stacked"
            )
        return self

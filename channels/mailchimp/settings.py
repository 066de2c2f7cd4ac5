"""What an administrator sets for a Mailchimp account."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from channels.campaign import settings as campaign
from channels.campaign.settings import CampaignSettings, Sender
from channels.smtp.address import Mailbox, mailbox
from publisher.announcement import Language
from publisher.channel import Variant
from publisher.http import server_address

_KEY = re.compile(r"[0-9a-f]{20,64}-(?P<centre>[a-z]{2,4}[0-9]{1,4})")

Readers = tuple[str, int]
"""An audience and a saved segment of it; 0 is the whole audience."""


def _key(key: SecretStr) -> SecretStr:
    """Raises ``ValueError`` for what is no key: its end says which computer centre has the account."""
    if not _KEY.fullmatch(key.get_secret_value()):
        raise ValueError("This is not a Mailchimp API key; copy it whole, with its end, such as -us19.")
    return key


def _named(text: str) -> str:
    if not mailbox(text).name:
        raise ValueError("Mailchimp needs a name too; write it like News <news@example.org>.")
    return text


def _address(url: str) -> str:
    return server_address(url) if url else ""


Audience = Annotated[str, Field(pattern=r"^[A-Za-z0-9]*$")]
Segment = Annotated[int, Field(ge=0)]


class MailchimpSettings(CampaignSettings):
    """Settings of a Mailchimp account."""

    api_key: Annotated[SecretStr, AfterValidator(_key)] = Field(
        description="API key (Account & billing, Extras, API keys), with its end, such as -us19"
    )
    audience: Audience = Field(
        "",
        description="id of the audience that gets the newsletter (Audience, Settings, Audience name and defaults)",
    )
    audience_zh: Audience = Field(
        "", description="in the layout separate: id of the audience that reads Chinese"
    )
    audience_en: Audience = Field(
        "", description="in the layout separate: id of the audience that reads English"
    )
    segment: Segment = Field(
        0, description="number of a saved segment of the audience, or of a tag; 0: everybody"
    )
    segment_zh: Segment = Field(
        0, description="in the layout separate: the segment or tag that reads Chinese"
    )
    segment_en: Segment = Field(
        0, description="in the layout separate: the segment or tag that reads English"
    )
    sender: Annotated[Sender, AfterValidator(_named)] = Field(
        min_length=3, description="who it is from, and where answers go: Name <news@example.org>"
    )
    url: Annotated[str, AfterValidator(_address)] = Field(
        "", description="address of Mailchimp's API; empty: the one that the key names"
    )

    @property
    def mailbox(self) -> Mailbox:
        """The sender, read."""
        return mailbox(self.sender)

    @property
    def api(self) -> str:
        """The address of the API."""
        match = _KEY.fullmatch(self.api_key.get_secret_value())
        return self.url or f"https://{match['centre'] if match else 'us1'}.api.mailchimp.com/3.0"

    def readers(self, language: Language | None = None) -> tuple[Readers, ...]:
        """Who gets a campaign in ``language``, or in both; empty where nobody is set."""
        name = f"_{language}" if language else ""
        audience = getattr(self, f"audience{name}")
        return ((audience, getattr(self, f"segment{name}")),) if audience else ()

    def chosen(self, variant: Variant) -> Readers:
        """Who gets ``variant``."""
        return campaign.chosen(variant, self.readers(), self.readers(Language.ZH), self.readers(Language.EN))[
            0
        ]

    @model_validator(mode="after")
    def _readers(self) -> Self:
        zh, en = self.readers(Language.ZH), self.readers(Language.EN)
        campaign.require(self, "AUDIENCE", self.readers(), zh, en)
        return self

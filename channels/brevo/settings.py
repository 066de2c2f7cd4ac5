"""What an administrator sets for a Brevo account."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from channels.campaign import settings as campaign
from channels.campaign.settings import CampaignSettings, Lists, Sender
from channels.smtp.address import Mailbox, checked, mailbox
from publisher.http import server_address


def _reply(text: str) -> str:
    return checked(text) if text else ""


class BrevoSettings(CampaignSettings):
    """Settings of a Brevo account."""

    api_key: SecretStr = Field(
        min_length=8, description="API key (Settings, SMTP & API, API keys), such as xkeysib-…"
    )
    lists: Lists = Field(
        (), description="numbers of the lists that get the newsletter, with commas between them"
    )
    lists_zh: Lists = Field((), description="in the layout separate: numbers of the lists that read Chinese")
    lists_en: Lists = Field((), description="in the layout separate: numbers of the lists that read English")
    sender: Sender = Field(
        min_length=3, description="who it is from, one of Brevo's verified senders: Name <news@example.org>"
    )
    reply_to: Annotated[str, AfterValidator(_reply)] = Field(
        "", description="where answers go; empty: to the sender"
    )
    url: Annotated[str, AfterValidator(server_address)] = Field(
        "https://api.brevo.com/v3", description="address of Brevo's API; leave it as it is"
    )

    @property
    def mailbox(self) -> Mailbox:
        """The sender, read."""
        return mailbox(self.sender)

    @model_validator(mode="after")
    def _readers(self) -> Self:
        campaign.require(self, "LISTS", self.lists, self.lists_zh, self.lists_en)
        return self

"""What an administrator sets for a listmonk."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from channels.campaign import settings as campaign
from channels.campaign.settings import CampaignSettings, Lists, Sender
from publisher.http import server_address


def _address(url: str) -> str:
    """The address that the paths of the API are added to; people copy that of the admin pages."""
    return re.sub(r"/(admin|api)(/.*)?$", "", server_address(url.partition("#")[0].partition("?")[0]))


class ListmonkSettings(CampaignSettings):
    """Settings of a listmonk."""

    url: Annotated[str, AfterValidator(_address)] = Field(
        description="address of listmonk, without /admin, such as https://lists.example.org"
    )
    username: str = Field(
        min_length=1, pattern=r"^[^:\s]+$", description="name of a listmonk user of the type API"
    )
    token: SecretStr = Field(min_length=8, description="the token listmonk showed when that user was made")
    lists: Lists = Field(
        (), description="numbers of the lists that get the newsletter, with commas between them"
    )
    lists_zh: Lists = Field((), description="in the layout separate: numbers of the lists that read Chinese")
    lists_en: Lists = Field((), description="in the layout separate: numbers of the lists that read English")
    template: int = Field(
        gt=0,
        description='number of a campaign template that is nothing but {{ template "content" . }}, since the '
        "newsletter is a whole page already",
    )
    sender: Sender = Field(
        "", description="who it is from: Name <news@example.org>; empty: listmonk's own default"
    )
    messenger: str = Field("email", min_length=1, description="which of listmonk's messengers sends it")

    @model_validator(mode="after")
    def _readers(self) -> Self:
        campaign.require(self, "LISTS", self.lists, self.lists_zh, self.lists_en)
        return self

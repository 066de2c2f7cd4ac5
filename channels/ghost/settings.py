"""What an administrator sets for a Ghost site."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from publisher.channel import ChannelSettings, Layout
from publisher.http import server_address

_KEY = re.compile(r"[0-9a-f]{24}:[0-9a-f]{64}")
_NEWSLETTER = re.compile(r"[a-z0-9-]{0,191}")


class Retract(StrEnum):
    """What becomes of a post that is taken back: a draft in Ghost, or nothing."""

    DRAFT = "draft"
    DELETE = "delete"


def _address(url: str) -> str:
    """The address that the paths of the API are added to; people copy that of the admin pages."""
    return re.sub(r"/ghost(/api(/admin)?)?$", "", server_address(url.partition("#")[0]))


def _key(key: SecretStr) -> SecretStr:
    """Raises ``ValueError`` for what is no Admin API key, such as the Content API key shown above it."""
    if not _KEY.fullmatch(key.get_secret_value()):
        raise ValueError(
            "This is not an Admin API key; copy it whole from Ghost (Settings, Integrations): "
            "24 characters, a colon, 64 characters."
        )
    return key


def _newsletter(slug: str) -> str:
    if not _NEWSLETTER.fullmatch(slug):
        raise ValueError("This is not the short name of a newsletter; write it like default-newsletter.")
    return slug


class GhostSettings(ChannelSettings):
    """Settings of a Ghost site."""

    url: Annotated[str, AfterValidator(_address)] = Field(
        description="address of the Ghost site's admin, without /ghost, such as https://news.example.org"
    )
    admin_key: Annotated[SecretStr, AfterValidator(_key)] = Field(
        description="Admin API key of a custom integration (Settings, Integrations, Add custom integration)"
    )
    newsletter: Annotated[str, AfterValidator(_newsletter)] = Field(
        "",
        description="short name (slug) of the Ghost newsletter that mails each new post to its members; "
        "empty: Ghost mails nobody",
    )
    retract: Retract = Field(
        Retract.DRAFT, description="what becomes of a post that is taken back: draft or delete"
    )
    timeout: float = Field(30.0, gt=0, le=300, description="longest time one request may take, in seconds")

    @model_validator(mode="after")
    def _one_post(self) -> Self:
        """Ghost has no way to link translations, and one list of posts."""
        if self.layout is Layout.SEPARATE and len(self.languages) > 1:
            raise ValueError(
                "A Ghost site has one list of posts; for a post a language set up two channels, each with one "
                "language and its own site, or choose the layout paired or stacked."
            )
        return self

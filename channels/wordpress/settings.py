"""The settings of a WordPress site."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from publisher.announcement import Language
from publisher.channel import ChannelSettings
from publisher.http import server_address


class PostType(StrEnum):
    """What an announcement becomes: an entry of the news, or a page of its own."""

    POST = "post"
    PAGE = "page"

    @property
    def route(self) -> str:
        """Its name in the REST API."""
        return f"{self}s"


class Withdrawal(StrEnum):
    """What a retraction makes of a post."""

    DRAFT = "draft"
    TRASH = "trash"
    NOTICE = "notice"


def _listed(value: object) -> object:
    """``"News, Events"`` as a list: names of categories may have spaces."""
    return (
        [name for part in re.split("[,，]", value) if (name := part.strip())]
        if isinstance(value, str)
        else value
    )


def _account(name: str) -> str:
    if ":" in name:
        raise ValueError("A user name has no colon.")
    return name


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class WordPressSettings(ChannelSettings):
    """Where the site is, who publishes there, and where its announcements go."""

    url: Annotated[str, AfterValidator(server_address)] = Field(
        description="address of the site as its front page has it, such as https://www.example.org"
    )
    username: Annotated[str, AfterValidator(_account)] = Field(
        min_length=1, description="user that publishes, best one of its own with the role Author or Editor"
    )
    application_password: SecretStr = Field(
        min_length=1,
        description="application password of that user (Users, Profile, Application Passwords), not its own password",
    )
    type: PostType = Field(PostType.POST, description="post or page; pages need the role Editor")
    categories: Names = Field((), description="categories of every post, by name, with commas between them")
    categories_zh: Names = Field(
        (), description="categories of a post in Chinese alone, besides those of every post"
    )
    categories_en: Names = Field(
        (), description="categories of a post in English alone, besides those of every post"
    )
    retract: Withdrawal = Field(
        Withdrawal.DRAFT,
        description="what taking back makes of a post: draft (hidden, kept), trash, or notice (its address says that "
        "it was withdrawn)",
    )
    timeout: float = Field(30.0, gt=0, le=300, description="longest time one request may take, in seconds")

    @model_validator(mode="after")
    def _pages_have_no_categories(self) -> WordPressSettings:
        if self.type is PostType.PAGE and (self.categories or self.categories_zh or self.categories_en):
            raise ValueError("pages have no categories; leave them out, or set the type to post.")
        return self

    def categories_for(self, languages: tuple[Language, ...]) -> tuple[str, ...]:
        """The names of the categories of a post in these languages, each once."""
        own = {Language.ZH: self.categories_zh, Language.EN: self.categories_en}
        more = own[languages[0]] if len(languages) == 1 else ()
        return tuple(dict.fromkeys((*self.categories, *more)))

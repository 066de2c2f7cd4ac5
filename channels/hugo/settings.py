"""What an administrator says of the site, and what follows from it without looking at a disk."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from publisher import clock
from publisher.announcement import KEY, Language
from publisher.channel import ChannelSettings, Unsupported
from publisher.errors import UsageError
from publisher.http import server_address
from publisher.render.links import base_address, normalise

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PATH = rf"{_PART}(/{_PART})*"
_TAG = r"[a-z0-9]+(-[a-z0-9]+)*"
# What git forbids in the name of a branch (git check-ref-format), and a leading hyphen.
_BRANCH = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//|\.lock(?:/|$)))[^\x00-\x20~^:?*\[\\\x7f]+(?<![./])")


class Git(StrEnum):
    """What happens with the files once they are written."""

    OFF = "off"
    COMMIT = "commit"
    PUSH = "push"


class Retraction(StrEnum):
    """What a page becomes when it is taken back."""

    DELETE = "delete"
    DRAFT = "draft"


def _pattern(url: str) -> str:
    if not url:
        return url
    split = urlsplit(url)
    if split.query or split.fragment or split.username or split.password or url.count("{key}") != 1:
        raise ValueError(
            "must be a plain address with {key} in it, such as https://www.example.org/zh/news/{key}/"
        )
    if not url.endswith("/"):
        raise ValueError("must end with a slash, so that files of the page stand below it")
    return normalise(url.replace("{key}", "0000-0000")).replace("0000-0000", "{key}")


def _zone(name: str) -> str:
    try:
        clock.zone(name)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return name


def _branch(name: str) -> str:
    if name and not _BRANCH.fullmatch(name):
        raise ValueError("must be the name of a branch, such as main")
    return name


def _line(text: str) -> str:
    if re.search(r"[<>\x00-\x1f\x7f]", text):
        raise ValueError("must be one line without < and >")
    return text


class HugoSettings(ChannelSettings):
    """Where the site is, how it is laid out, and what git does."""

    folder: Path = Field(
        description="folder of the site, the one with hugo.toml, hugo.yaml or config.toml in it"
    )
    url: Annotated[str, AfterValidator(base_address)] = Field(
        description="the site's baseURL, such as https://www.example.org/"
    )
    section: str = Field("news", pattern=rf"^{_PATH}$", description="folder of the pages below content/")
    language_zh: str = Field(
        "zh", pattern=f"^{_TAG}$", description="the site's code for Chinese, such as zh or zh-hans"
    )
    language_en: str = Field(
        "en", pattern=f"^{_TAG}$", description="the site's code for English, such as en or en-gb"
    )
    content_zh: str = Field(
        "content",
        pattern=rf"^{_PATH}$",
        description="content folder of the Chinese pages, where it has one of its own",
    )
    content_en: str = Field(
        "content",
        pattern=rf"^{_PATH}$",
        description="content folder of the English pages, where it has one of its own",
    )
    url_zh: Annotated[str, AfterValidator(_pattern)] = Field(
        "",
        description="address of a Chinese page with {key} in it; empty for <url><language>/<section>/{key}/",
    )
    url_en: Annotated[str, AfterValidator(_pattern)] = Field(
        "",
        description="address of an English page with {key} in it; empty for <url><language>/<section>/{key}/",
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "Asia/Shanghai",
        description="zone of the day printed on a page; left empty, that of PUBLISHER_TIMEZONE",
    )
    git: Git = Field(Git.OFF, description="off (only write files), commit, or push (to the remote's branch)")
    remote: str = Field("origin", pattern=rf"^{_PART}$", description="name of the remote that is pushed to")
    branch: Annotated[str, AfterValidator(_branch)] = Field(
        "", description="branch that takes the commits; empty for the one checked out"
    )
    author_name: Annotated[str, AfterValidator(_line)] = Field(
        "Announcements", min_length=1, description="name under which commits are made"
    )
    author_email: Annotated[str, AfterValidator(_line)] = Field(
        "announcements@localhost", min_length=1, description="e-mail address under which commits are made"
    )
    look: bool = Field(
        True,
        description="yes: what links to a page waits until it is seen on the web; no: for a site that this machine "
        "cannot reach",
    )
    retraction: Retraction = Field(
        Retraction.DELETE, description="what taking a page back does: delete its files, or mark it as a draft"
    )
    timeout: float = Field(60.0, gt=0, le=600, description="longest wait for one call of git, in seconds")

    @model_validator(mode="after")
    def _is_looked_at_safely(self) -> Self:
        split = urlsplit(self.url)
        try:
            server_address(f"{split.scheme}://{split.netloc}")
        except ValueError:
            if self.look:
                raise ValueError(
                    "a page is looked for by https:// only; set look to no, or url to https://"
                ) from None
        return self

    @model_validator(mode="after")
    def _pages_belong_to_the_site(self) -> Self:
        for code in Language:
            if not self.pattern(code).startswith(self.url):
                raise ValueError(f"url_{code} must begin with the site's address {self.url}")
        if self.language_zh == self.language_en:
            raise ValueError("language_zh and language_en must differ")
        if self.pattern(Language.ZH) == self.pattern(Language.EN):
            raise ValueError("url_zh and url_en must differ")
        return self

    def language(self, code: Language) -> str:
        """The site's own code of a language."""
        return self.language_zh if code is Language.ZH else self.language_en

    def pattern(self, code: Language) -> str:
        """The address of a page in a language, with ``{key}`` in it."""
        given = self.url_zh if code is Language.ZH else self.url_en
        return given or f"{self.url}{self.language(code)}/{self.section}/{{key}}/"

    def page(self, key: str, code: Language) -> str:
        """The address of an announcement's page. Refuses a key that is not one."""
        return self.pattern(code).replace("{key}", checked(key))

    def page_folder(self, key: str, code: Language) -> str:
        """The folder of the page's files, relative to the site's. Refuses a key that is not one."""
        content = self.content_zh if code is Language.ZH else self.content_en
        return f"{content}/{self.section}/{checked(key)}"


def checked(key: str) -> str:
    """``key``, where it is an announcement's; it becomes part of paths and addresses. Raises :class:`Unsupported`."""
    if not KEY.fullmatch(key):
        raise Unsupported(f"{key!r} is not the key of an announcement, so it can name no page.")
    return key

"""What the settings of newsletter services have in common."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from channels.smtp.address import mailbox
from publisher.announcement import Language
from publisher.channel import ChannelSettings, Layout, Variant

T = TypeVar("T")


def _numbers(value: object) -> object:
    """``"3, 4"`` as a list; what is no number in it is left for the model to refuse."""
    if isinstance(value, str):
        return [item for item in re.split(r"[,\s]+", value) if item]
    return [value] if isinstance(value, int) else value


def _from(text: str) -> str:
    """Raises ``ValueError`` for what is neither empty nor an address."""
    if text:
        mailbox(text)
    return text


Lists = Annotated[tuple[Annotated[int, Field(gt=0)], ...], BeforeValidator(_numbers)]
"""Numbers of lists, as a service shows them."""
Sender = Annotated[str, AfterValidator(_from)]
"""``Name <address>``, an address alone, or nothing."""


class CampaignSettings(ChannelSettings):
    """Settings of any newsletter service."""

    timeout: float = Field(60.0, gt=0, le=300, description="longest time one request may take, in seconds")

    @property
    def by_language(self) -> bool:
        """Whether each language is a campaign of its own, to readers of its own."""
        return self.layout is Layout.SEPARATE and len(self.languages) > 1


def require(
    settings: CampaignSettings, name: str, whole: Sequence[T], zh: Sequence[T], en: Sequence[T]
) -> None:
    """Refuses readers that do not go with the layout: for both languages together, or for each its own.

    ``name`` is the setting's. Raises ``ValueError`` with a sentence for a person.
    """
    if settings.by_language:
        if whole or not zh or not en:
            raise ValueError(
                f"In the layout separate each language is a campaign of its own: set {name}_ZH and {name}_EN, and "
                f"leave {name} empty."
            )
        if set(zh) & set(en):
            raise ValueError(f"{name}_ZH and {name}_EN name the same readers, who would get it twice.")
    elif zh or en or not whole:
        raise ValueError(
            f"Set {name}; {name}_ZH and {name}_EN are for the layout separate with both languages."
        )


def chosen(variant: Variant, whole: T, zh: T, en: T) -> T:
    """What of the three is for ``variant``; in one language its own, where that is set."""
    own = {Language.ZH: zh, Language.EN: en}
    return (own[variant.languages[0]] or whole) if len(variant.languages) == 1 else whole

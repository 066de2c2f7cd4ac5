"""Mastodon: a summary as a post of one account."""

from channels.mastodon.adapter import MastodonAdapter, MastodonSettings, Visibility
from channels.mastodon.status import StatusPayload

__all__ = ["MastodonAdapter", "MastodonSettings", "StatusPayload", "Visibility"]

"""Pages in Markdown for a site that Hugo builds, committed and pushed with git where the office wishes it."""

from channels.hugo.adapter import HugoAdapter
from channels.hugo.bundle import BundlePayload
from channels.hugo.settings import HugoSettings

__all__ = ["BundlePayload", "HugoAdapter", "HugoSettings"]

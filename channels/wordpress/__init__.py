"""WordPress: announcements as posts, or pages, of a site."""

from channels.wordpress.adapter import WordPressAdapter
from channels.wordpress.payload import WordPressPayload
from channels.wordpress.settings import PostType, Withdrawal, WordPressSettings

__all__ = ["PostType", "Withdrawal", "WordPressAdapter", "WordPressPayload", "WordPressSettings"]

"""A complete small website in a folder, for any web server to serve: no program runs there."""

from channels.static_site.adapter import StaticSiteAdapter, StaticSiteSettings
from channels.static_site.payload import SitePayload

__all__ = ["SitePayload", "StaticSiteAdapter", "StaticSiteSettings"]

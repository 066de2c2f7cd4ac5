"""Brevo: each announcement as one e-mail campaign, sent to lists of the office's account.

Written from documents only, Brevo's reference (API v3) and the source of its Python client, and never run against
Brevo. Not verified: that a second ``sendNow`` on a campaign is refused, which is why one is only ever sent to a
campaign that calls itself a draft, and after an unclear one only ten minutes later; how soon a campaign says that it is
being sent; that its template language leaves HTML entities alone; whether 100 requests an hour are the account's limit.
"""

from channels.brevo.adapter import BrevoAdapter
from channels.brevo.settings import BrevoSettings

__all__ = ["BrevoAdapter", "BrevoSettings"]

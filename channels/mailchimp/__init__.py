"""Mailchimp: each announcement as one campaign, sent to an audience of the office's account, or a segment of it.

Written from documents only (Marketing API 3.0 and the source of its Python client), and never run against Mailchimp.
Not verified: that a second sending of one campaign is refused, and how, which is why only a campaign that calls itself
*save* is sent; how a merge tag that is parted by a word joiner is shown; what a bare 403 means, which is read as "too
many requests" where it does not come with a reason.
"""

from channels.mailchimp.adapter import MailchimpAdapter
from channels.mailchimp.settings import MailchimpSettings

__all__ = ["MailchimpAdapter", "MailchimpSettings"]

"""A signed event for an in-house system, by the rules of Standard Webhooks 1.0.0."""

from channels.webhook.adapter import WebhookAdapter, WebhookSettings
from channels.webhook.event import EventPayload

__all__ = ["EventPayload", "WebhookAdapter", "WebhookSettings"]

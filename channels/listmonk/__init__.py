"""listmonk: each announcement as one campaign of the office's own listmonk, sent to its lists.

Written from listmonk's documentation and source (v5.1 to v6.2: ``cmd/campaigns.go``, ``internal/core/campaigns.go``,
``models/campaigns.go``, ``queries/campaigns.sql``, ``schema.sql``, ``internal/auth``), and never run against a
listmonk: the program, which is written in Go, was not to be had. Not verified: how Go's templates write out our HTML,
which the tests only imitate; and how soon a campaign that was started says so.
"""

from channels.listmonk.adapter import ListmonkAdapter
from channels.listmonk.settings import ListmonkSettings

__all__ = ["ListmonkAdapter", "ListmonkSettings"]

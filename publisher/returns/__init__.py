"""Acts on what came back: suppresses, unsubscribes, reports. Reads the mailbox of bounces."""

from publisher.returns.collecting import Collector
from publisher.returns.taking import Collected, Returns, Taken

__all__ = ["Collected", "Collector", "Returns", "Taken"]

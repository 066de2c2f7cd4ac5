"""Somebody is told when a thing is stuck, again now and then while it is, and once more when it is over."""

from publisher.alerts.check import causes, tell
from publisher.alerts.telling import Teller, secrets
from publisher.alerts.watch import Watch

__all__ = ["Teller", "Watch", "causes", "secrets", "tell"]

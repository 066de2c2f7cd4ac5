"""Ghost: an announcement as one post of a Ghost site, and, where it is asked for, as its newsletter."""

from channels.ghost.adapter import GhostAdapter
from channels.ghost.payload import GhostPayload
from channels.ghost.settings import GhostSettings, Retract

__all__ = ["GhostAdapter", "GhostPayload", "GhostSettings", "Retract"]

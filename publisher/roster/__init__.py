"""Subscribers from and to files: CSV as Excel writes it, read line by line and never held as a whole."""

from publisher.roster.reading import Defaults, read
from publisher.roster.writing import write

__all__ = ["Defaults", "read", "write"]

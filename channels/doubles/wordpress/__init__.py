"""A WordPress site on this machine, for the demo and the tests."""

from channels.doubles.wordpress.double import WordPressDouble

__all__ = ["WordPressDouble"]

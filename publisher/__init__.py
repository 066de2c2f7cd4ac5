"""Bilingual announcements, approved once, published everywhere."""

__version__ = "0.1.0"

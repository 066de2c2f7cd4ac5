"""Subscribers from and to files: CSV as Excel writes it, read line by line."""

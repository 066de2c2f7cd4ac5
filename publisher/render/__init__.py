"""Revision and channel in, variant out: templates, summary fitting, length rules, clean HTML."""

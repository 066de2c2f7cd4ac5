"""Loopback servers that behave like the real services, for the demo and for tests."""

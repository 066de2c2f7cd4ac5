"""The built-in adapters, one file a service."""

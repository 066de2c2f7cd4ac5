"""Adapters against real servers: `make test-real`, and `make test-real-all` for the slow ones too."""

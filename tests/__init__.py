"""Tests; ``tests.toy`` is the service that tests of the core publish to."""

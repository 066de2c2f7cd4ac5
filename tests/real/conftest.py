"""The real servers as fixtures: each starts once, when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real.servers.wordpress import WordPress


@pytest.fixture(scope="session")
def wordpress_server() -> Iterator[WordPress]:
    """A WordPress 6.5 that lasts for the whole run."""
    server = WordPress()
    yield server
    server.stop()


@pytest.fixture
def wordpress(wordpress_server: WordPress) -> WordPress:
    """WordPress 6.5 without any post, as after its installation."""
    wordpress_server.reset()
    return wordpress_server

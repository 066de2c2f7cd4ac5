"""The real servers as fixtures: each starts once, when a test first asks for it, and is emptied for every test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from tests.real import html
from tests.real.servers.ghost import Ghost
from tests.real.servers.hugo import Hugo
from tests.real.servers.mail import MailServer
from tests.real.servers.wordpress import WordPress
from tests.real.servers.wordpress_debian import DebianWordPress

if TYPE_CHECKING:
    from tests.real.browser import Browser

MANY = ("test_http_change__", "test_http_redirect__")
SLOW = {"ghost", "ghost_server", "wordpress_debian", "wordpress_debian_server"}


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """A test that takes a slow server is marked ``slow`` by that, and so are the many faults of changing a post."""
    for item in items:
        if SLOW & set(getattr(item, "fixturenames", ())) or item.name.startswith(MANY):
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture(scope="session")
def wordpress_debian_server() -> Iterator[DebianWordPress]:
    """Debian's WordPress, which lasts for the whole run."""
    server = DebianWordPress()
    yield server
    server.stop()


@pytest.fixture
def wordpress_debian(wordpress_debian_server: DebianWordPress) -> DebianWordPress:
    """Debian's WordPress without any post, as after its installation."""
    wordpress_debian_server.reset()
    return wordpress_debian_server


@pytest.fixture(scope="session")
def ghost_server() -> Iterator[Ghost]:
    """A Ghost that lasts for the whole run."""
    server = Ghost()
    yield server
    server.stop()


@pytest.fixture
def ghost(ghost_server: Ghost) -> Ghost:
    """Ghost without any post."""
    ghost_server.reset()
    return ghost_server


@pytest.fixture
def hugo() -> Iterator[Hugo]:
    """A Hugo site without any page."""
    site = Hugo()
    yield site
    site.stop()


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """Postfix, OpenDKIM and Dovecot that last for the whole run."""
    if os.getuid() != 0:
        pytest.skip("Postfix and Dovecot can be started by root only")
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def mail(mail_server: MailServer) -> MailServer:
    """Mail servers with empty mailboxes, who know no key yet."""
    mail_server.reset()
    return mail_server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium."""
    from tests.real.browser import Browser

    opened = Browser()
    yield opened
    opened.stop()


@pytest.fixture(scope="session")
def nu() -> Callable[[Sequence[str]], list[list[str]]]:
    """The Nu HTML checker: pages in, what is wrong with each of them out."""
    html.jar()
    return html.validate_all

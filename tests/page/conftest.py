"""One browser for all tests of the page; each starts with a window of desktop size and light colours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.daemon.status import Status
from tests.page.browser import Browser, browser
from tests.page.site import Site, busy_status, served

_NOBODY_THERE = "net::ERR_CONNECTION_REFUSED"
"""A browser may still request the icon of a page whose server has ended with the test."""


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Browser]:
    """A Chromium for the whole session."""
    with browser() as window:
        yield window


@pytest.fixture
def window(one_browser: Browser) -> Iterator[Browser]:
    """The browser, reset; after the test its console must have no messages."""
    one_browser.without_scripts(False)
    one_browser.open("about:blank")
    one_browser.resize(1280, 900)
    one_browser.prefer(color_scheme="light")
    one_browser.complaints()
    yield one_browser
    assert [line for line in one_browser.complaints() if _NOBODY_THERE not in line] == []


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Status:
    """A node of 60 images."""
    return busy_status(60, tmp_path_factory.mktemp("policies"))


@pytest.fixture
def site(busy: Status) -> Site:
    """The site of its controller."""
    site = Site()
    site.publish(busy)
    return site


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """The address of its page."""
    with served(site) as address:
        yield address

"""One browser for all tests of the page; each begins with a window as on a desk, in daylight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.daemon.status import Status
from tests.page.browser import Browser, browser
from tests.page.site import Site, busy_status, served

_NOBODY_THERE = "net::ERR_CONNECTION_REFUSED"
"""A browser may still want the icon of a page whose server has ended with the test."""


@pytest.fixture(scope="session")
def one_browser() -> Iterator[Browser]:
    """A Chromium that lives as long as the session."""
    with browser() as window:
        yield window


@pytest.fixture
def window(one_browser: Browser) -> Iterator[Browser]:
    """It, with nothing left of the test before; afterwards nobody has complained on its console."""
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
    """Its controller."""
    site = Site()
    site.publish(busy)
    return site


@pytest.fixture
def address(site: Site) -> Iterator[str]:
    """Where its page is."""
    with served(site) as address:
        yield address

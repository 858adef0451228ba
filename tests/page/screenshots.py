"""Screenshots of the status page: `python -m tests.page.screenshots FOLDER`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from controller.daemon.overview import History
from controller.daemon.status import PassResult, Status
from controller.plan.memory.disk import DiskUsage, ImageDisk
from tests import sample_node
from tests.page.browser import Browser, browser
from tests.page.site import Site, busy_status, served

_DESK = (1_280, 900)
_PHONE = (390, 844)
_FOLDER = "/etc/image-controller/policies"
"""Shown in place of a temporary one, whose name is different each time."""


def take(folder: Path) -> None:
    """Take all screenshots."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, browser() as window:
        busy = busy_status(60, Path(scratch, "busy"))
        _desktop(window, busy, folder)
        _phone(window, busy, folder)
        many = busy_status(5_000, Path(scratch, "many"))
        with _shown(
            window, Site(disk=ImageDisk("/var/lib/docker", DiskUsage(1_000_000_000_000, 210_000_000_000))), many
        ):
            window.picture(folder / "5000-images.png")
        with _shown(window, Site(history=History()), busy_status(0, Path(scratch, "empty"))):
            window.picture(folder / "empty.png")
        lost = "cannot connect to the engine at unix:///var/run/docker.sock: connection refused"
        broken = busy_status(60, Path(scratch, "broken"), broken=sample_node.A_BROKEN_POLICY)
        away = replace(broken, result=PassResult.FAILED, trouble=lost, event_stream_is_up=False)
        with _shown(window, Site(), away):
            window.picture(folder / "degraded.png")


def _desktop(window: Browser, busy: Status, folder: Path) -> None:
    with _shown(window, Site(), busy):
        window.picture(folder / "desktop.png")
        window.run("document.querySelector('#references').scrollIntoView()")
        window.picture(folder / "images.png")
        window.run("document.querySelector('#next a').click()")
        window.wait_for(lambda: window.run("return document.querySelector('#why').open"))
        window.picture(folder / "why.png")
    window.prefer(color_scheme="dark")
    with _shown(window, Site(), busy):
        window.picture(folder / "dark.png")
    window.prefer(color_scheme="light")


def _phone(window: Browser, busy: Status, folder: Path) -> None:
    with _shown(window, Site(), busy, _PHONE):
        window.picture(folder / "phone.png")
        window.run("document.querySelector('#references').scrollIntoView()")
        window.picture(folder / "phone-images.png")


@contextmanager
def _shown(window: Browser, site: Site, status: Status, size: tuple[int, int] = _DESK) -> Iterator[None]:
    site.publish(replace(status, reading=replace(status.reading, folder=_FOLDER)))
    window.resize(*size, is_phone=size == _PHONE)
    with served(site) as address:
        window.open(address)
        yield


if __name__ == "__main__":
    take(Path(sys.argv[1]))

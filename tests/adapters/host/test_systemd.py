"""What systemd hears, on a socket of the test."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.adapters.host.systemd import ServiceManager


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def manager(notices: socket.socket, **environment: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": notices.getsockname(), **environment})


def heard(notices: socket.socket) -> list[str]:
    return notices.recv(4096).decode().split("\n")


def test_ready_carries_the_status_in_one_line(notices: socket.socket) -> None:
    manager(notices).ready("all\nis well")
    assert heard(notices) == ["READY=1", "STATUS=all is well"]


def test_a_sign_of_life_is_sent_where_there_is_a_watchdog(notices: socket.socket) -> None:
    manager(notices, WATCHDOG_USEC="900000000").alive()
    assert heard(notices) == ["WATCHDOG=1"]


def test_without_a_watchdog_there_are_no_signs_of_life(notices: socket.socket) -> None:
    manager(notices).alive()
    with pytest.raises(BlockingIOError):
        heard(notices)


def test_a_reload_tells_when_it_began(notices: socket.socket) -> None:
    manager(notices).reloading()
    reloading, since = heard(notices)
    assert reloading == "RELOADING=1"
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", since)


def test_the_end_is_announced(notices: socket.socket) -> None:
    manager(notices).stopping()
    assert heard(notices) == ["STOPPING=1"]


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # The kernel chooses an abstract name.
        ServiceManager({"NOTIFY_SOCKET": f"@{listener.getsockname()[1:].decode()}"}).stopping()
        listener.setblocking(False)
        assert heard(listener) == ["STOPPING=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_where_nobody_listens_nothing_happens(environment: dict[str, str]) -> None:
    ServiceManager(environment).ready("all is well")

"""The notifications to systemd, on a socket of the test."""

from __future__ import annotations

import os
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


def received(notices: socket.socket) -> list[str]:
    return notices.recv(8192).decode().split("\n")


def test_ready_carries_the_status_in_one_line(notices: socket.socket) -> None:
    manager(notices).ready("all\nis well")
    assert received(notices) == ["READY=1", "STATUS=all is well"]


def test_a_status_with_the_name_of_a_folder_that_is_not_utf_8_is_sent(notices: socket.socket) -> None:
    manager(notices).ready(f"no policies: {os.fsdecode(bytes([0xFF]))}")
    assert received(notices) == ["READY=1", "STATUS=no policies: \\udcff"]


@pytest.mark.parametrize("character", ["x", "ü", "🂡"])
def test_a_long_status_is_cut_because_systemd_ignores_a_long_notification(
    notices: socket.socket, character: str
) -> None:
    manager(notices).ready(character * 5_000)
    ready, status = received(notices)
    assert ready == "READY=1"
    assert set(status.removeprefix("STATUS=")) == {character}
    assert len(f"{ready}\n{status}".encode()) <= 4_096


def test_alive_is_sent_with_a_watchdog(notices: socket.socket) -> None:
    manager(notices, WATCHDOG_USEC="900000000").alive()
    assert received(notices) == ["WATCHDOG=1"]


def test_alive_is_not_sent_without_a_watchdog(notices: socket.socket) -> None:
    manager(notices).alive()
    with pytest.raises(BlockingIOError):
        received(notices)


def test_a_reload_has_the_time_of_its_start(notices: socket.socket) -> None:
    manager(notices).reloading()
    reloading, since = received(notices)
    assert reloading == "RELOADING=1"
    assert re.fullmatch(r"MONOTONIC_USEC=\d+", since)


def test_stopping_is_sent(notices: socket.socket) -> None:
    manager(notices).stopping()
    assert received(notices) == ["STOPPING=1"]


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # The kernel chooses an abstract name.
        ServiceManager({"NOTIFY_SOCKET": f"@{listener.getsockname()[1:].decode()}"}).stopping()
        listener.setblocking(False)
        assert received(listener) == ["STOPPING=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_a_missing_socket_does_not_raise(environment: dict[str, str]) -> None:
    ServiceManager(environment).ready("all is well")

"""`imagectl health` against a real server that gives a controller's answers."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from controller.daemon.http.certificate import Certificate
from controller.daemon.http.server import HttpServer


def controller(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A controller that is healthy and not ready."""
    well = environ["PATH_INFO"] == "/healthz"
    start_response("200 OK" if well else "503 Service Unavailable", [("Content-Type", "text/plain")])
    return [b"ok\n" if well else b"no pass has succeeded yet\n"]


@pytest.fixture
def port() -> Iterator[int]:
    """The port of that controller."""
    server = HttpServer(controller, ("127.0.0.1", 0))
    yield server.port
    server.stop()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that is not trusted, with its key."""
    key, public = tmp_path / "certificate.pem", tmp_path / "public.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=gateway.example"
    subprocess.run([*make.split(), "-keyout", key, "-out", public], check=True, capture_output=True)
    key.write_text(key.read_text() + public.read_text())
    return key


def test_a_running_controller_is_healthy(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", "--listen", f"127.0.0.1:{port}"]) == 0
    assert capsys.readouterr().out == "ok\n"


def test_a_controller_that_listens_on_every_address_is_queried_on_loopback(port: int) -> None:
    assert main.run(["health", "--listen", f":{port}"]) == 0


def test_a_problem_is_reported_with_exit_code_1(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", "--ready", "--listen", f"127.0.0.1:{port}"]) == 1
    assert (
        capsys.readouterr().err == f"imagectl: the controller at 127.0.0.1:{port} answers: no pass has succeeded yet\n"
    )


def test_a_missing_controller_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["health", "--listen", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == "imagectl: no controller answers at 127.0.0.1:1: Connection refused\n"


def test_another_program_at_the_address_is_not_a_controller(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        thread = threading.Thread(target=_greet, args=(server,))
        thread.start()
        assert main.run(["health", "--listen", f"127.0.0.1:{port}"]) == 1
        thread.join()
    assert capsys.readouterr().err == f"imagectl: no controller answers at 127.0.0.1:{port}: the answer is not HTTP\n"


def _greet(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        client.recv(4_096)
        client.sendall(b"220 mail.example ESMTP\r\n")


def test_with_a_certificate_it_uses_tls(certificate: Path) -> None:
    server = HttpServer(controller, ("127.0.0.1", 0), Certificate(certificate, None))
    try:
        asked = ["health", "--listen", f"127.0.0.1:{server.port}"]
        assert main.run([*asked, "--tls-certificate", str(certificate)]) == 0
        assert main.run(asked) == 1
    finally:
        server.stop()

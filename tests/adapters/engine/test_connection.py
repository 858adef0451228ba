"""Connections to an engine: kept alive, reopened, and every error in one line."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import responses
import urllib3
from urllib3.exceptions import MaxRetryError, ProtocolError

from controller.adapters.engine.address import Address
from controller.adapters.engine.client import Client, ErrorAnswer
from controller.adapters.engine.connection import STALE_SOCKET, Connection
from controller.adapters.folder.mounts import Mount
from controller.errors import EngineUnavailable, EngineUnreachable, InvalidSettings
from tests.adapters.engine.unix_server import Handler, serving

PING = "http+docker://localhost/v1.41/_ping"


def ask(client: Client) -> bytes:
    return client.get("/_ping")


@pytest.fixture
def http() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as http:
        yield http


class Requests:
    """Records every request."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def __call__(self, operation: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((operation, code))


# ── errors in words ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_missing_socket_is_one_line(tmp_path: Path) -> None:
    connection = Connection(Address(f"unix://{tmp_path}/docker.sock"))
    with pytest.raises(
        EngineUnreachable,
        match=r"^cannot connect to the engine at unix://.*docker.sock: no such socket \(is it running\?",
    ):
        connection.request("ping", ask)


def test_a_socket_without_a_listener_is_one_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "docker.sock"))
    connection = Connection(Address(f"unix://{tmp_path}/docker.sock"))
    with pytest.raises(EngineUnreachable, match=r"connection refused \(is it running\? try: systemctl status docker\)"):
        connection.request("ping", ask)


def test_a_port_without_a_listener_is_one_line() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(EngineUnreachable, match="connection refused"):
        Connection(Address(f"tcp://127.0.0.1:{port}")).request("ping", ask)


def test_an_unknown_host_is_one_line() -> None:
    with pytest.raises(EngineUnreachable, match="unknown host name"):
        Connection(Address("tcp://no-such-host.invalid:2375")).request("ping", ask)


@pytest.mark.parametrize(("below", "why"), [("file/s", "Not a directory"), ("x" * 200, "AF_UNIX path too long")])
def test_any_error_of_a_socket_before_the_request_is_one_line(tmp_path: Path, below: str, why: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineUnreachable, match=rf"^cannot connect to the engine at unix://{tmp_path}/{below}: {why}$"):
        Connection(Address(f"unix://{tmp_path}/{below}")).request("ping", ask)


@pytest.mark.parametrize("code", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMFILE])
def test_any_error_of_a_host_before_the_request_is_one_line(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def create_connection(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("urllib3.util.connection.create_connection", create_connection)
    said = f"cannot connect to the engine at tcp://far:2375: {os.strerror(code)}"
    with pytest.raises(EngineUnreachable, match=f"^{said}$"):
        Connection(Address("tcp://far:2375")).request("ping", ask)


def test_a_certificate_that_is_not_valid_is_one_line(http: responses.RequestsMock) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_message = "certificate has expired"
    pool: Any = None
    cause = MaxRetryError(pool, "/_ping", urllib3.exceptions.SSLError(error))
    http.get("https://far:2376/v1.41/_ping", body=requests.exceptions.SSLError(cause))
    with pytest.raises(EngineUnreachable, match=r"far:2376: its certificate is not valid: certificate has expired$"):
        Connection(Address("https://far:2376"), api_version="1.41").request("ping", ask)


def test_a_missing_permission_is_one_line_with_a_hint(http: responses.RequestsMock) -> None:
    http.get(PING, body=requests.ConnectionError("Connection aborted.", PermissionError(13, "Permission denied")))
    with pytest.raises(
        EngineUnreachable, match=r"permission denied \(run as root, or add this user to the group docker\)"
    ):
        Connection(Address("unix:///docker.sock"), api_version="1.41").request("ping", ask)


@pytest.mark.parametrize("url", ["nonsense", "npipe://x", "ssh://host", "tcp://:0:0", "tcp://host", "unix://docker"])
def test_an_invalid_address_is_one_line(url: str) -> None:
    with pytest.raises(InvalidSettings, match=f"^--docker-host {url}: use unix:///path or tcp://host:port$"):
        Address(url)


@pytest.mark.parametrize("url", ["unix:///run/docker.sock", "tcp://edge-1.site:2375", "https://[::1]:2376"])
def test_addresses_of_sockets_and_hosts_are_valid(url: str) -> None:
    assert Address(url).url == url


def test_a_host_that_does_not_answer_cannot_be_reached(http: responses.RequestsMock) -> None:
    http.get("http://far:2375/v1.41/_ping", body=requests.ConnectTimeout())
    with pytest.raises(EngineUnreachable, match="no answer within 10 s"):
        Connection(Address("tcp://far:2375"), api_version="1.41").request("ping", ask)


def test_missing_certificates_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    said = rf"^cannot connect to the engine at tcp://127.0.0.1:2376: {tmp_path}/cert.pem: No such file or directory"
    with pytest.raises(EngineUnreachable, match=said):
        Connection(Address("tcp://127.0.0.1:2376", certificates=str(tmp_path))).request("ping", ask)


def test_a_socket_needs_no_certificates(tmp_path: Path) -> None:
    """DOCKER_TLS_VERIFY names a folder of certificates, for any engine."""
    address = Address(f"unix://{tmp_path}/s", certificates="/nowhere")
    with serving(tmp_path / "s", lambda handler: handler.answer({"ApiVersion": "1.41"})):
        connection = Connection(address)
        assert connection.request("ping", ask)
        connection.drop()


# ── sent again once ───────────────────────────────────────────────────────────────────────────────────────────


def _stale() -> requests.ConnectionError:
    return requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer")))


def test_a_request_on_a_stale_connection_is_sent_again_once(http: responses.RequestsMock) -> None:
    observed = Requests()
    http.get(PING, body=_stale())
    http.get(PING, body="OK")
    assert Connection(Address(), observed, "1.41").request("ping", ask)
    assert observed.seen == [("ping", "none"), ("ping", "200")]


def test_a_connection_that_breaks_twice_is_an_error(http: responses.RequestsMock) -> None:
    broken = http.get(PING, body=_stale())
    with pytest.raises(EngineUnavailable, match="invalid response from the engine"):
        Connection(Address(), api_version="1.41").request("ping", ask)
    assert broken.call_count == 2


def test_a_time_out_is_not_retried(http: responses.RequestsMock) -> None:
    slow = http.get(PING, body=requests.ReadTimeout("Read timed out. (read timeout=600)"))
    with pytest.raises(EngineUnavailable, match="did not answer within 600 s"):
        Connection(Address(), api_version="1.41").request("ping", ask)
    assert slow.call_count == 1


def test_an_error_answer_passes_through(http: responses.RequestsMock) -> None:
    observed = Requests()
    http.get(PING, status=503, json={"message": "not ready"})
    with pytest.raises(ErrorAnswer, match="not ready"):
        Connection(Address(), observed, "1.41").request("ping", ask)
    assert observed.seen == [("ping", "503")]


def test_the_generation_counts_reconnects(http: responses.RequestsMock) -> None:
    http.get(PING, body="OK")
    connection = Connection(Address(), api_version="1.41")
    connection.request("ping", ask)
    connection.request("ping", ask)
    assert connection.generation == 1
    connection.drop()
    connection.request("ping", ask)
    assert connection.generation == 2


# ── kept alive ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_requests_of_a_thread_share_one_connection(tmp_path: Path) -> None:
    with serving(tmp_path / "s", lambda handler: handler.answer({"ApiVersion": "1.41"})) as said:
        connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
        for _ in range(20):
            connection.request("inspect", lambda client: client.get("/images/app:1/json"))
        assert (len(said.requests), said.connections) == (20, 1)
        connection.drop()


def test_a_connection_that_the_engine_closed_is_reopened(tmp_path: Path) -> None:
    def answer_once(handler: Handler) -> None:
        handler.answer({})
        handler.hang_up()

    with serving(tmp_path / "s", answer_once) as said:
        connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
        for _ in range(3):
            connection.request("version", lambda client: client.get("/version"))
        assert said.connections == 3


def test_an_engine_that_comes_back_is_connected_again(tmp_path: Path) -> None:
    connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
    for _ in range(2):
        with serving(tmp_path / "s", lambda handler: handler.answer({})):
            connection.request("version", lambda client: client.get("/version"))
            connection.drop()
        with pytest.raises(EngineUnreachable):
            connection.request("ping", ask)


def test_a_truncated_answer_is_an_error(tmp_path: Path) -> None:
    def cut(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"[{")
        handler.hang_up()

    with serving(tmp_path / "s", cut), pytest.raises(EngineUnavailable, match="invalid response"):
        Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41").request(
            "images", lambda client: client.get("/images/json")
        )


# ── limits and versions ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("theirs", "agreed"), [("1.41", "1.41"), ("1.55", "1.55"), ("1.99", "1.55"), ("2.0", "1.55"), ("1.9", "1.9")]
)
def test_the_highest_version_that_both_support_is_used(http: responses.RequestsMock, theirs: str, agreed: str) -> None:
    http.get("http+docker://localhost/version", json={"ApiVersion": theirs})
    http.get(f"http+docker://localhost/v{agreed}/_ping", body="OK")
    assert Connection(Address()).request("ping", ask) == b"OK"


@pytest.mark.parametrize(
    "words", ["client version 1.52 is too new. Maximum supported", "client version 1.41 is too old"]
)
def test_an_engine_of_another_version_behind_the_same_socket_is_connected_again(
    http: responses.RequestsMock, words: str
) -> None:
    versions = http.get("http+docker://localhost/version", json={"ApiVersion": "1.52"})
    http.get("http+docker://localhost/v1.52/_ping", status=400, json={"message": words})
    connection = Connection(Address())
    with pytest.raises(ErrorAnswer, match="client version"):
        connection.request("ping", ask)
    assert versions.call_count == 2
    http.replace("GET", "http+docker://localhost/version", json={"ApiVersion": "1.41"})
    http.get("http+docker://localhost/v1.41/_ping", body="OK")
    assert connection.request("ping", ask) == b"OK"


def test_the_environment_has_no_influence_on_the_way_to_the_engine(
    http: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    http.get("http://far:2375/v1.41/_ping", body="OK")
    assert Connection(Address("tcp://far:2375"), api_version="1.41").request("ping", ask) == b"OK"
    (kwargs,) = (call.request.req_kwargs for call in http.calls)  # type: ignore[attr-defined]
    assert (kwargs.get("proxies"), kwargs["verify"]) == (None, True)


def test_the_time_of_the_oldest_request_in_flight_is_known(tmp_path: Path) -> None:
    connection = Connection(Address(f"unix://{tmp_path}/s"), api_version="1.41")
    waited: list[bool] = []

    def answer(handler: Handler) -> None:
        waited.append(connection.waiting_seconds > 0)
        handler.answer({})

    with serving(tmp_path / "s", answer):
        connection.request("version", lambda client: client.get("/version"))
        connection.drop()
    assert waited == [True]
    assert connection.waiting_seconds == 0


@pytest.mark.parametrize("is_deleted", [True, False])
def test_a_socket_file_that_was_mounted_and_created_again_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_deleted: bool
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
    (tmp_path / "run").symlink_to(tmp_path)
    table = (Mount(tmp_path.resolve() / "s", "tmpfs", has_deleted_source=is_deleted),)
    monkeypatch.setattr("controller.adapters.engine.connection.mounts", lambda: table)
    connection = Connection(Address(f"unix://{tmp_path}/run/s"))
    with pytest.raises(EngineUnreachable, match=re.escape(STALE_SOCKET) if is_deleted else "is it running"):
        connection.request("ping", ask)
    assert connection.has_stale_socket is is_deleted
    (tmp_path / "s").unlink()
    with serving(tmp_path / "s", lambda handler: handler.answer({"ApiVersion": "1.41"})):
        connection.request("ping", ask)
        connection.drop()
    assert not connection.has_stale_socket

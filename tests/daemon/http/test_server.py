"""The server on real sockets: many clients, slow clients, misbehaving clients, and TLS."""

from __future__ import annotations

import http.client
import json
import logging
import resource
import socket
import ssl
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waitress.adjustments import Adjustments
from waitress.channel import ClientDisconnected, HTTPChannel

from controller.daemon.http import server as http_server
from controller.daemon.http.certificate import Certificate
from controller.daemon.http.server import HttpServer
from controller.errors import AddressUnavailable, CertificateUnavailable
from tests.page.site import Site, busy_status


@contextmanager
def serving(site: Site, tls: Certificate | None = None, host: str = "127.0.0.1") -> Iterator[int]:
    server = HttpServer(site.app, (host, 0), tls)
    try:
        yield server.port
    finally:
        server.stop()
        assert not server.is_alive


def scrape(port: int, context: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    connection: http.client.HTTPConnection
    if context:
        connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def answer_to(port: int, request: bytes) -> bytes:
    """The complete answer to these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(request)
        answer = b""
        with suppress(ConnectionResetError):  # An answer before the whole request was read may end in a reset.
            while piece := client.recv(65_536):
                answer += piece
        return answer


def half_open(port: int, stack: ExitStack, count: int, begin: bytes) -> None:
    """Clients that connect, send little or nothing, and wait."""
    for _ in range(count):
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        client.sendall(begin)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    site = Site()
    site.publish(busy_status(60, tmp_path_factory.mktemp("policies")))
    return site


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_certificate(tmp_path_factory.mktemp("tls"))


def a_certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost, with its key beside it."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = f"-addext subjectAltName=DNS:localhost -keyout {folder}/key.pem -out {folder}/cert.pem"
    subprocess.run([*command.split(), *files.split()], check=True, capture_output=True)
    return folder / "cert.pem"


def shown_certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=60)


@pytest.fixture(scope="module")
def tls(certificate: Path) -> Certificate:
    return Certificate(certificate, certificate.with_name("key.pem"))


@pytest.fixture(scope="module")
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


@pytest.mark.parametrize("begin", [b"", b"GET /metrics HTTP/1.1\r\nHost: local"])
def test_three_hundred_half_open_connections_use_few_threads_and_do_not_block_a_scrape(
    site: Site, begin: bytes
) -> None:
    before = threading.active_count()
    with serving(site) as port, ExitStack() as stack:
        half_open(port, stack, 300, begin)
        assert scrape(port)[0] == 200
        assert threading.active_count() - before <= 8


def test_a_health_check_is_answered_under_any_number_of_idle_connections(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are never closed for being idle, so a server that waits for that never answers."""
    monkeypatch.setattr(http_server, "_IDLE_SECONDS", 3_600)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4_096)), hard))
    with serving(site) as port, ExitStack() as stack:
        half_open(port, stack, 1_100, b"GET /healthz HTTP/1.1\r\n")
        assert scrape(port)[0] == 200


def test_three_hundred_unfinished_handshakes_do_not_block_a_scrape(
    site: Site, tls: Certificate, trusting: ssl.SSLContext
) -> None:
    before = threading.active_count()
    with serving(site, tls) as port, ExitStack() as stack:
        half_open(port, stack, 150, b"")
        half_open(port, stack, 150, b"\x16\x03\x01\x02\x00\x01")
        assert scrape(port, trusting)[0] == 200
        assert threading.active_count() - before <= 8


@contextmanager
def sending_without_reading(port: int) -> Iterator[None]:
    """A client that sends requests over TLS as fast as possible and reads no answer."""
    request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r"
    asking = subprocess.Popen(["yes", request], stdout=subprocess.PIPE)
    command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"]
    sending = subprocess.Popen(command, stdin=asking.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        for process in (sending, asking):
            process.kill()
            process.communicate()


def test_a_client_that_reads_no_answer_does_not_block_a_scrape_over_tls(
    site: Site, tls: Certificate, trusting: ssl.SSLContext
) -> None:
    with serving(site, tls) as port, sending_without_reading(port):
        for _ in range(20):  # By then all buffers are full.
            assert scrape(port, trusting)[0] == 200


def test_pipelined_requests_are_all_answered_over_tls(site: Site, tls: Certificate, trusting: ssl.SSLContext) -> None:
    with serving(site, tls) as port, ExitStack() as stack:
        raw = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        client = stack.enter_context(trusting.wrap_socket(raw, server_hostname="localhost"))
        client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300)
        answers = b""
        while answers.count(b"HTTP/1.1 404") < 300:
            piece = client.recv(65_536)
            assert piece, answers[-200:]
            answers += piece


def test_many_scrapes_at_once_are_all_answered(site: Site) -> None:
    with serving(site) as port:
        answers: list[int] = []
        clients = [threading.Thread(target=lambda: answers.append(scrape(port)[0])) for _ in range(40)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert answers == [200] * 40


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"DELETE / HTTP/1.1", b"405"),
        (b"GET /nothing HTTP/1.1", b"404"),
        (b"GET http://evil.example/ HTTP/1.1", b"200"),
        (b"POST / HTTP/1.1\r\nContent-Length: 3", b"405"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999", b"413"),
        (b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 20_000, b"431"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1", b"431"),
        (b"nonsense", b"400"),
        (b"GET / HTTP/1.1\r\nHost : x", b"400"),
    ],
)
def test_malformed_requests_get_plain_answers(site: Site, request_line: bytes, status: bytes) -> None:
    with serving(site) as port:
        answer = answer_to(port, request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\nabc")
        assert answer.split()[1] == status
        assert b"Traceback" not in answer


def test_an_answer_with_many_images_is_complete(tmp_path: Path) -> None:
    site = Site()
    site.publish(busy_status(1_500, tmp_path))
    with serving(site) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/api/status")
        answer = connection.getresponse()
        assert len(json.loads(answer.read())["references"]) >= 1_500
        connection.close()


def test_pieces_of_an_answer_that_were_sent_are_not_kept() -> None:
    piece, pieces = bytes(100_000), 30
    was_read, kept = threading.Semaphore(0), list[int]()

    def answer(_: object, start_response: Callable[..., object]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        for _ in range(pieces):
            yield piece
            assert was_read.acquire(timeout=60)
            kept.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    server = HttpServer(answer, ("127.0.0.1", 0))
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/")
        with connection.getresponse() as response:
            for _ in range(pieces):
                assert len(response.read(len(piece))) == len(piece)
                was_read.release()
            assert response.read() == b""
        connection.close()
    finally:
        server.stop()
        tracemalloc.stop()
    assert kept[-1] - kept[0] < 10 * len(piece)


def test_a_client_that_leaves_during_an_answer_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's thread closes the connection as soon as the thread of the answer releases its lock."""
    send = HTTPChannel.write_soon

    def send_and_lose_the_client(channel: HTTPChannel, data: bytes) -> Any:
        written = send(channel, data)
        channel.handle_close()
        return written

    monkeypatch.setattr(HTTPChannel, "write_soon", send_and_lose_the_client)
    server: Any = SimpleNamespace(active_channels={}, pull_trigger=lambda: None)
    client, end = socket.socketpair()
    with client:
        channel = http_server._Channel(server, end, ("client", 1), Adjustments(), map={})
        assert channel.write_soon(bytes(100_000)) == 100_000


def test_a_uri_that_python_cannot_divide_is_a_bad_request(site: Site) -> None:
    with serving(site) as port:
        assert answer_to(port, b"GET http://[ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize("mistake", [b"\0", b"GET /metrics HTTP/1.1\r\nContent-Length: x", b"GET http://[ HTTP/1.1"])
def test_a_client_that_is_gone_before_its_mistake_is_answered_is_no_error_in_the_log(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, mistake: bytes
) -> None:
    def lose_the_client(*_: object) -> int:
        raise ClientDisconnected

    monkeypatch.setattr(HTTPChannel, "write_soon", lose_the_client)
    with serving(site) as port:
        assert answer_to(port, mistake + b"\r\n\r\n") == b""
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


class TestTls:
    def test_a_scrape_over_tls(self, site: Site, tls: Certificate, trusting: ssl.SSLContext) -> None:
        with serving(site, tls) as port:
            assert scrape(port, trusting)[0] == 200

    def test_several_requests_on_one_connection(self, site: Site, tls: Certificate, trusting: ssl.SSLContext) -> None:
        with serving(site, tls) as port:
            connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=trusting)
            for path in ("/", "/metrics", "/api/status", "/page.js") * 3:
                connection.request("GET", path)
                assert connection.getresponse().read()
            connection.close()

    def test_a_large_answer_is_complete(self, tls: Certificate, trusting: ssl.SSLContext, tmp_path: Path) -> None:
        site = Site()
        site.publish(busy_status(1_500, tmp_path))
        with serving(site, tls) as port:
            connection = http.client.HTTPSConnection("localhost", port, timeout=60, context=trusting)
            connection.request("GET", "/api/status")
            answer = connection.getresponse()
            assert len(json.loads(answer.read())["references"]) >= 1_500
            connection.close()

    def test_a_request_in_many_pieces_is_answered(self, site: Site, tls: Certificate, trusting: ssl.SSLContext) -> None:
        with (
            serving(site, tls) as port,
            socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
            trusting.wrap_socket(raw, server_hostname="localhost") as client,
        ):
            for piece in (b"GET /healthz HT", b"TP/1.1\r\nHo", b"st: localhost\r\n", b"Connection: close\r\n\r\n"):
                client.sendall(piece)
            assert b"200 OK" in client.recv(65_536)

    def test_a_client_without_tls_is_disconnected(self, site: Site, tls: Certificate, trusting: ssl.SSLContext) -> None:
        with serving(site, tls) as port:
            assert b"HTTP" not in answer_to(port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert scrape(port, trusting)[0] == 200

    def test_old_versions_of_tls_are_refused(self, tls: Certificate) -> None:
        assert tls.context.minimum_version == ssl.TLSVersion.TLSv1_2

    def test_a_certificate_that_cannot_be_loaded_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "cert.pem").write_text("nonsense")
        with pytest.raises(CertificateUnavailable, match=r"--tls-certificate .*cert\.pem"):
            Certificate(tmp_path / "cert.pem", None)
        with pytest.raises(CertificateUnavailable, match="No such file"):
            Certificate(tmp_path / "missing.pem", None)

    def test_a_key_that_does_not_match_is_an_error(self, certificate: Path, tmp_path: Path) -> None:
        other = a_certificate(tmp_path)
        with pytest.raises(CertificateUnavailable, match="cannot load"):
            Certificate(certificate, other.with_name("key.pem"))

    @pytest.mark.needs_tools
    def test_a_renewed_certificate_is_used_for_new_connections(self, site: Site, tmp_path: Path) -> None:
        certificate = a_certificate(tmp_path)
        with serving(site, Certificate(certificate, certificate.with_name("key.pem"))) as port:
            before = certificate.read_text()
            assert shown_certificate(port) == before
            certificate.write_text("half of a renewed")
            assert shown_certificate(port) == before
            a_certificate(tmp_path)
            assert shown_certificate(port) == certificate.read_text() != before


def test_an_address_in_use_is_an_error_with_a_hint(site: Site) -> None:
    with (
        serving(site) as port,
        pytest.raises(
            AddressUnavailable,
            match=rf"--listen 127\.0\.0\.1:{port}: cannot bind: address already in use \(is another controller",
        ),
    ):
        HttpServer(site.app, ("127.0.0.1", port))


def test_an_empty_host_means_all_addresses(site: Site) -> None:
    with serving(site, host="") as port:
        for address in ("127.0.0.1", "127.0.0.9"):
            socket.create_connection((address, port), timeout=5).close()

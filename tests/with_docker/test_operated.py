"""A controller as an operator uses it: with a certificate and a password; by page, scrape, command and log."""

from __future__ import annotations

import http.client
import json
import os
import pty
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.with_docker import containers, images
from tests.with_docker.private_engine import PrivateEngine, free_address

_PATIENCE_SECONDS = 60.0
POLICY = """\
enabled: true
image_policy:
  removal:
    - {image_name: "site.local/old/*:*", delete_after_minutes: 0, agent_downloaded_only: false}
    - {image_name: "site.local/later/*:*", delete_after_minutes: 600, agent_downloaded_only: false}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one controller."""

    folder: Path
    host: str

    @property
    def settings(self) -> list[str]:
        where = ["--docker-host", self.host, "--policies", str(self.folder / "policies")]
        return [*where, "--ledger", str(self.folder / "ledger.db")]

    def imagectl(self, *arguments: str) -> Any:
        """The JSON output of a command."""
        where = ["--ledger", str(self.folder / "ledger.db"), "-o", "json"]
        command = [sys.executable, "-m", "controller", *arguments, *where]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@dataclass(frozen=True, slots=True)
class Served:
    """A controller that runs behind TLS and a password."""

    place: Place
    address: str
    trusting: ssl.SSLContext

    def get(self, path: str, password: str = "secret") -> tuple[int, bytes]:
        host, _, port = self.address.partition(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=self.trusting)
        try:
            key = b64encode(f"sre:{password}".encode()).decode()
            connection.request("GET", path, headers={"Authorization": f"Basic {key}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture
def place(engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path) -> Place:
    """Two versions without a container, one that a container runs, one that must wait."""
    recipes = [images.Recipe((f"site.local/old/app:{n}",), (images.Layer(f"layer {n}", 50_000),)) for n in (1, 2, 3)]
    images.load(docker_api, recipes)
    images.load_image(docker_api, "site.local/later/app:1", variant="later")
    containers.run(docker_api, "site.local/old/app:3")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "cleaning.yaml").write_text(POLICY)
    return Place(tmp_path, engine.host)


@pytest.fixture
def served(place: Place) -> Iterator[Served]:
    """A controller that has removed what it could."""
    folder, address = place.folder, free_address()
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    files = f"-addext subjectAltName=IP:127.0.0.1 -keyout {folder}/key.pem -out {folder}/cert.pem"
    subprocess.run([*make.split(), *files.split()], check=True, capture_output=True)
    (folder / "users").write_text("sre:secret\n")
    door = ["--listen", address, "--tls-certificate", f"{folder}/cert.pem", "--tls-key", f"{folder}/key.pem"]
    how = ["--basic-auth", f"{folder}/users", "--settle", "2s", "--log-format", "json"]
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "controller", "run", *place.settings, *door, *how]
        process = subprocess.Popen(command, stderr=log)
    controller = Served(place, address, ssl.create_default_context(cafile=f"{folder}/cert.pem"))
    try:
        until(lambda: _references(controller) == {"site.local/old/app:3", "site.local/later/app:1"})
        yield controller
    finally:
        process.terminate()
        assert process.wait(60) == 0


def _references(controller: Served) -> set[str]:
    try:
        values = json.loads(controller.get("/api/status")[1])
    except OSError:
        return set()
    return {row["reference"].removeprefix("localhost/") for row in values.get("references", ())}


def _freed_in_api(controller: Served) -> tuple[int, int]:
    freed = json.loads(controller.get("/api/status")[1])["freed"]
    return freed["total_bytes"], freed["today_bytes"]


def _freed_by_command(controller: Served) -> int:
    return sum(total["freed_bytes"] for total in controller.place.imagectl("get", "removals", "--summary"))


def until(what: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_page_api_metrics_and_commands_show_the_same(served: Served) -> None:
    api = json.loads(served.get("/api/status")[1])
    assert (api["health"], api["troubles"]) == ("healthy", [])
    assert len(api["removals"]) == 2

    by_command = served.place.imagectl("get", "images")
    assert {(row["reference"], row["verdict"]) for row in by_command} == {
        (row["reference"], row["verdict"]) for row in api["references"]
    }
    until(lambda: _freed_in_api(served) == (_freed_by_command(served),) * 2)  # The figure of a batch comes later.

    scrape = served.get("/metrics")[1].decode()
    assert 'image_controller_removals_total{document="cleaning",outcome="removed"} 2.0' in scrape
    page = served.get("/")[1].decode().replace("<wbr>", "")
    assert "site.local/old/app:3" in page
    assert "IN_USE" in page


def test_without_a_password_only_health_is_answered(served: Served) -> None:
    assert served.get("/api/status", "guessed")[0] == 401
    assert served.get("/healthz", "guessed") == (200, b"ok\n")


def test_a_changed_password_counts_at_once(served: Served) -> None:
    (served.place.folder / "users").write_text("sre:another\n")
    assert served.get("/metrics", "secret")[0] == 401
    assert served.get("/metrics", "another")[0] == 200


def test_the_log_has_each_removal_once_and_no_password(served: Served) -> None:
    lines = [json.loads(line) for line in (served.place.folder / "log").read_text().splitlines()]
    removals = [line for line in lines if line.get("outcome") == "removed"]
    assert len(removals) == 2
    assert {"reference", "image", "idle_seconds", "bytes", "document", "rule"} <= removals[0].keys()
    assert "secret" not in (served.place.folder / "log").read_text()


def test_beyond_loopback_without_a_certificate_or_a_password_it_warns_and_requires_its_names(place: Place) -> None:
    port = free_address().rpartition(":")[2]
    door = ["--listen", f":{port}", "--allow-host", "*.fleet.example"]
    command = [sys.executable, "-m", "controller", "run", *place.settings, *door, "--log-format", "json"]

    def answer_to(host: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
        try:
            connection.request("GET", "/metrics", headers={"Host": host})
            return connection.getresponse().status
        except ConnectionRefusedError:
            return 0
        finally:
            connection.close()

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: answer_to(f"127.0.0.1:{port}") == 200)
        answers = {host: answer_to(host) for host in (os.uname().nodename, "gateway-7.fleet.example", "evil.example")}
        process.terminate()
        said = process.communicate()[1]
    assert list(answers.values()) == [200, 200, 421]
    warnings = [line for line in map(json.loads, said.splitlines()) if line["level"] == "WARNING"]
    assert f"anyone who can connect to *:{port} can read which images this node has" in warnings[0]["message"]


def test_one_pass_on_a_terminal_shows_its_progress(place: Place) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "controller", "run", "--once", "--settle", "0", *place.settings]
    process = subprocess.Popen(command, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65_536):
            written += piece
    except OSError:  # The writer has ended.
        pass
    os.close(ours)
    assert process.wait(60) == 0
    assert b"\x1b[Kremoving 1 of 2\r" in written
    assert b"removed " in written

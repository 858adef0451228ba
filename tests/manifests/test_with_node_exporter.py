"""Metrics of nodes that run from a timer: `--once --textfile`, Debian's node_exporter, and a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from tests.cli.test_trouble import ALL, Place
from tests.deploy.waiting import eventually
from tests.manifests.fleet import Prometheus, free_port
from tests.manifests.test_rules import FOLDER


@pytest.fixture
def place() -> Iterator[Place]:
    """A folder with an engine and a policy that removes everything at once."""
    with ExitStack() as stack:
        folder = Path(mkdtemp(prefix="imagectl-"))
        stack.callback(rmtree, folder)
        place = Place(folder, stack)
        place.engine()
        place.policy(ALL)
        (folder / "textfiles").mkdir()
        yield place


@contextmanager
def process(*command: str, log: Path) -> Iterator[None]:
    """A program for the length of a block."""
    with log.open("w") as out:
        started = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield
    finally:
        started.terminate()
        started.wait(60)


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """Debian's node_exporter with nothing but the textfile collector; returns its address."""
    address = f"127.0.0.1:{free_port()}"
    options = ["--collector.disable-defaults", "--collector.textfile", f"--web.listen-address={address}"]
    directory = f"--collector.textfile.directory={folder / 'textfiles'}"
    with process("prometheus-node-exporter", *options, directory, log=folder / "exporter.log"):
        eventually(lambda: bool(scraped(address)))
        yield address


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the node_exporter as the job `node`, with the shipped rules."""
    port = free_port()
    (folder / "rules.yaml").write_text(re.sub(r"interval: \d+m", "interval: 1s", (FOLDER / "rules.yaml").read_text()))
    (folder / "prometheus.yaml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{folder}/rules.yaml]
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["{target}"]}}]
""")
    where = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with process("prometheus", *where, f"--web.listen-address=127.0.0.1:{port}", log=folder / "prometheus.log"):
        yield Prometheus(port)


def scraped(address: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def pass_once(place: Place) -> None:
    file = place.folder / "textfiles" / "image-controller.prom"
    assert place.run("--once", "--textfile", str(file)).ends() == 0


def value(prometheus: Prometheus, expr: str) -> float | None:
    """The only value of the answer; None while there is none, or while Prometheus starts."""
    try:
        rows = prometheus.query(expr)
    except (OSError, AssertionError):
        return None
    return float(rows[0]["value"][1]) if rows else None


def test_nodes_that_run_from_a_timer_are_seen_through_node_exporter(place: Place) -> None:
    place.docker.tags = ["app:1"]
    pass_once(place)
    place.docker.tags = ["app:2"]
    pass_once(place)
    with node_exporter(place.folder) as address:
        text = scraped(address)
        assert "node_textfile_scrape_error 0" in text
        assert not re.search(r"^process_.*controller", text, re.MULTILINE)
        with prometheus(place.folder, address) as running:
            removed = 'sum(image_controller_removals_total{job="node", outcome="removed"})'
            eventually(lambda: value(running, removed) == 2.0)
            eventually(lambda: value(running, 'job:image_controller_nodes:count{job="node"}') == 1.0)
            eventually(lambda: value(running, 'instance:image_controller_troubles:sum{job="node"}') == 0.0)
            assert [rule["name"] for rule in running.rules() if rule["health"] == "err"] == []
            assert [rule["name"] for rule in running.rules() if rule.get("state") == "firing"] == []


def test_the_alert_for_a_node_that_no_longer_passes_needs_no_job_and_no_clock(place: Place) -> None:
    """Its timestamp no longer changes; that of a wrong clock changes all the same."""
    pass_once(place)
    with node_exporter(place.folder) as address:
        lines = [line for line in scraped(address).splitlines() if "last_successful_pass_timestamp" in line]
    (sample,) = [line for line in lines if not line.startswith("#")]
    assert json.loads(sample.split()[1]) > 0
    rules = (FOLDER / "rules.yaml").read_text()
    (stale,) = re.findall(r"alert: ImageControllerStale\n\s+expr: \|\n(.*?)\n\s+for:", rules, re.DOTALL)
    assert "job=" not in stale
    assert "time()" not in stale

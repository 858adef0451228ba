"""Real controllers on one private engine, and a real Prometheus that scrapes them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from tests.with_docker import images
from tests.with_docker.private_engine import run_script

JOB = "image-controller"
_PATIENCE_SECONDS = 60.0
POLICY = """\
label: For the dashboard
enabled: true
image_policy:
  removal:
    - {image_name: "old/*:*", delete_after_minutes: 0, agent_downloaded_only: false}
    - {image_name: "later/*:*", delete_after_minutes: 600, agent_downloaded_only: false}
"""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    port: int
    timeout: float = 10

    def query(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """The series that it answers for that time, or now."""
        return list(self._get("query", query=expr, time=time.time() if at is None else at)["result"])

    def query_range(self, expr: str, seconds: int, step: int, end: float | None = None) -> list[dict[str, Any]]:
        """The series that it answers for the seconds before the end, or before now."""
        end = time.time() if end is None else end
        return list(self._get("query_range", query=expr, start=end - seconds, end=end, step=step)["result"])

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values that a variable of a dashboard requests."""
        return [str(value) for value in self._get(f"label/{label}/values", **{"match[]": selector})]

    def rules(self) -> list[dict[str, Any]]:
        """All rules with their health."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **parameters: Any) -> Any:
        address = f"http://127.0.0.1:{self.port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=self.timeout) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


@contextmanager
def fleet(folder: Path, count: int, rules: Path) -> Iterator[Prometheus]:
    """Controllers that have run passes, one of which has removed images, scraped for some seconds."""
    engine = f"debian.fleet-{count}-{os.getpid()}"
    host = run_script("engine.sh", "up", engine, "--owner", str(os.getpid()))
    try:
        with ExitStack() as stack:
            api = docker.APIClient(host, version="auto")
            stack.callback(api.close)
            images.load(api, [images.Recipe((f"old/app:{n}",), (images.Layer(f"old {n}"),)) for n in range(4)])
            images.load(api, [images.Recipe((f"later/app:{n}",), (images.Layer(f"later {n}"),)) for n in range(3)])
            ports = [stack.enter_context(_controller(folder / f"node-{n}", host)) for n in range(count)]
            prometheus = stack.enter_context(_prometheus(folder, ports, rules))
            removed = 'sum(image_controller_removals_total{outcome=~"removed|gone"})'
            _until(lambda: any(float(each["value"][1]) >= 4 for each in prometheus.query(removed)))
            scraped = "min(count_over_time(up[5m]))"
            _until(lambda: any(float(each["value"][1]) >= 12 for each in prometheus.query(scraped)))
            yield prometheus
    finally:
        run_script("engine.sh", "down", engine)


@contextmanager
def _controller(folder: Path, host: str) -> Iterator[int]:
    policies = folder / "policies"
    policies.mkdir(parents=True)
    (policies / "policy.yaml").write_text(POLICY)
    port = free_port()
    where = ["--docker-host", host, "--policies", str(policies), "--ledger", str(folder / "ledger.db")]
    how = ["--listen", f"127.0.0.1:{port}", "--settle", "3s", "--resync", "1s", "--log-format", "json"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, "-m", "controller", "run", *where, *how], stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def _prometheus(folder: Path, ports: list[int], rules: Path) -> Iterator[Prometheus]:
    targets = json.dumps([f"127.0.0.1:{port}" for port in ports])
    often = re.sub(r"interval: \d+m", "interval: 2s", rules.read_text())
    (folder / "rules.yaml").write_text(often)
    (folder / "prometheus.yaml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 2s}}
rule_files: [{folder}/rules.yaml]
scrape_configs:
  - job_name: {JOB}
    static_configs: [{{targets: {targets}}}]
""")
    port = free_port()
    where = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(["prometheus", *where, f"--web.listen-address=127.0.0.1:{port}"], stderr=log)
    try:
        prometheus = Prometheus(port)
        _until(lambda: _answers(prometheus))
        yield prometheus
    finally:
        process.terminate()
        process.wait(60)


def _answers(prometheus: Prometheus) -> bool:
    try:
        return len(prometheus.query("up")) > 0
    except (OSError, AssertionError):  # it answers 503 while it starts
        return False


def _until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < deadline, "the fleet does not start; see the logs in its folder"
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

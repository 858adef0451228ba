"""How long every query of the dashboards and every alert takes for a large fleet, on a real Prometheus.

`python -m tests.campaigns.fleet [NODES...]` (default: 100 300 1000) makes the metrics of so many simulated controllers
over 24 h, one sample each 5 min, loads them with `promtool tsdb create-blocks-from openmetrics`, adds the recorded
series with `create-blocks-from rules`, and times each query and each rule: the fastest of five. Names and labels are
those of the program; each node has values of its own. HOURS=2 makes a shorter history. It needs prometheus, promtool,
3 GB in the temporary folder and memory; 1,000 nodes over 24 h took 24 minutes on two shared cores.
"""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.manifests.dashboards import FLEET, NODE, Query, queries
from tests.manifests.fleet import JOB, Prometheus
from tests.manifests.test_rules import ALERTS, RECORDS
from tests.page.site import Site, busy_status

_HOURS, _STEP = 24, 300
_BLOCK = 7_200
"""Seconds of one block: promtool reads a file once for each block in it."""
_PIECE = 1_000
"""Nodes of one file: promtool holds the series of a file in memory."""
_RATE_INTERVAL = "20m"
_AT_MOST_SECONDS = 1.0
_LARGE = 10_000
"""Nodes for which the timings of panels and alerts, growing linearly, must not be longer than that."""
_FIXED = frozenset({"build_info", "policy_revision_info", "engine_up", "engine_event_stream_up", "watcher_up"})
"""Gauges that have the same value on every node."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of a controller."""

    family: str
    kind: str
    name: str
    labels: str
    value: float


@dataclass(frozen=True, slots=True)
class Timing:
    """The time of one query, the fastest of five: other programs may run beside it."""

    name: str
    seconds: float
    series: int

    @property
    def kind(self) -> str:
        """`fleet`, `node`, `alert` or `rule`."""
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.name} {self.seconds * 1000:.1f} ms"


@dataclass(frozen=True, slots=True)
class MeasuredPrometheus(Prometheus):
    """A Prometheus that is a child of this process."""

    process: int = 0

    def most_memory(self) -> int:
        """Bytes that it had in memory at most."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured for so many nodes."""

    nodes: int
    timings: list[Timing]
    stored_bytes: int
    memory_bytes: int

    def slowest(self, *kinds: str) -> Timing:
        """The slowest query of these kinds."""
        return max((each for each in self.timings if each.kind in kinds), key=lambda each: each.seconds)

    def __str__(self) -> str:
        slowest = ", ".join(f"{self.slowest(kind)}" for kind in ("fleet", "node", "alert", "rule"))
        rules = sum(each.seconds for each in self.timings if each.kind == "rule")
        stored, memory = self.stored_bytes / 2**20, self.memory_bytes / 2**20
        return (
            f"{self.nodes} nodes: {slowest}; all rules {rules:.2f} s; {stored:.0f} MiB stored, {memory:.0f} MiB memory"
        )


def series_of_one_node() -> list[Series]:
    """What a scrape of a busy controller has."""
    with TemporaryDirectory() as folder:
        site = Site()
        site.publish(busy_status(60, Path(folder)))
        text = site.metrics.exposition()[0].decode()
    return [
        Series(family.name, family.type, sample.name, _labels(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def _labels(labels: dict[str, str]) -> str:
    return "".join(f'{name}="{value}",' for name, value in labels.items())


def write_samples(file: Path, series: Sequence[Series], nodes: range, begin: int, stamps: Sequence[int]) -> None:
    """OpenMetrics text with the samples of these times. Counters grow; gauges differ by node and time."""
    chance = random.Random(stamps[0])
    with file.open("w", buffering=2**22) as out:
        for family, members in _by_family(series):
            kind = members[0].kind
            out.write(f"# TYPE {family} {kind}\n")
            for node in nodes:
                for each in members:
                    out.writelines(_lines(each, node, begin, stamps, chance))
        out.write("# TYPE up gauge\n")
        for node in nodes:
            out.writelines(f"up{{{_of_node(node)}}} 1 {at}\n" for at in stamps)
        out.write("# EOF\n")


def _by_family(series: Iterable[Series]) -> Iterator[tuple[str, list[Series]]]:
    families: dict[str, list[Series]] = {}
    for each in series:
        families.setdefault(each.family, []).append(each)
    return iter(families.items())


def _of_node(node: int) -> str:
    return f'instance="edge-{node:05}:9847",job="{JOB}"'


def _lines(series: Series, node: int, begin: int, stamps: Sequence[int], chance: random.Random) -> Iterator[str]:
    head = f"{series.name}{{{series.labels}{_of_node(node)}}} "
    if series.kind != "gauge":
        growth = (1 + node % 7) * series.value / 288
        return (f"{head}{series.value + growth * (at - begin) / _STEP:.6g} {at}\n" for at in stamps)
    if any(series.name == f"image_controller_{name}" for name in _FIXED):
        return (f"{head}{series.value:g} {at}\n" for at in stamps)
    if series.name.endswith("timestamp_seconds"):
        return (f"{head}{at - 30} {at}\n" for at in stamps)
    factor = 0.5 + (node * 7919 % 1000) / 1000
    return (f"{head}{series.value * factor * (1 + chance.random() / 50):.6g} {at}\n" for at in stamps)


def load(folder: Path, series: Sequence[Series], nodes: int, end: int, hours: int) -> Path:
    """The folder of a Prometheus with the samples of all nodes."""
    data, text = folder / "data", folder / "samples.txt"
    begin = end - hours * 3600
    for block in range(begin, end, _BLOCK):
        for first in range(0, nodes, _PIECE):
            piece = range(first, min(first + _PIECE, nodes))
            write_samples(text, series, piece, begin, range(block, block + _BLOCK, _STEP))
            _promtool("tsdb", "create-blocks-from", "openmetrics", str(text), str(data))
    text.unlink()
    return data


@contextmanager
def prometheus_on(data: Path) -> Iterator[MeasuredPrometheus]:
    """A Prometheus that scrapes nothing and evaluates no rule."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    configuration = data.parent / "prometheus.yaml"
    configuration.write_text("scrape_configs: []\n")
    options = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    limits = ["--query.max-samples=500000000", "--query.timeout=10m", "--storage.tsdb.retention.time=10y"]
    with (data.parent / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", *options, *limits], stderr=log)
    try:
        running = MeasuredPrometheus(port, 600, process.pid)
        _wait_for(running)
        yield running
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(prometheus: Prometheus) -> None:
    for _ in range(600):
        try:
            prometheus.query("vector(1)")
        except (OSError, AssertionError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError("Prometheus does not start")


def record(data: Path, end: int, hours: int) -> None:
    """Add the recorded series; those of rules on other recorded series in a second run."""
    on_records = [rule for rule in RECORDS if "instance:" in rule["expr"]]
    for rules in ([rule for rule in RECORDS if rule not in on_records], on_records):
        file = data.parent / "rules.yaml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "records", "rules": rules}]}))
        with prometheus_on(data) as prometheus:
            where = ["--output-dir", str(data), "--url", f"http://127.0.0.1:{prometheus.port}"]
            when = ["--start", str(end - hours * 3600), "--end", str(end), "--eval-interval", f"{_STEP}s"]
            _promtool("tsdb", "create-blocks-from", "rules", *when, *where, str(file))


def _promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stdout[-2000:] + done.stderr[-2000:])


def timed(prometheus: Prometheus, end: int) -> list[Timing]:
    """Every query of the dashboards over 24 h, every alert and every recording rule."""
    node = "edge-00007:9847"
    made = [_timing(prometheus, query, query.filled_in(JOB, node, _RATE_INTERVAL), end) for query in queries()]
    alerts = [_measured(f"alert: {alert['alert']}", prometheus, alert["expr"], end) for alert in ALERTS]
    records = [_measured(f"rule: {rule['record']}", prometheus, rule["expr"], end) for rule in RECORDS]
    return [*made, *alerts, *records]


def _timing(prometheus: Prometheus, query: Query, expr: str, end: int) -> Timing:
    level = {FLEET: "fleet", NODE: "node"}[query.dashboard]
    return _measured(f"{level}: {query.panel}", prometheus, expr, end, not query.is_instant)


def _measured(name: str, prometheus: Prometheus, expr: str, end: int, is_range: bool = False) -> Timing:
    taken, rows = [], 0
    for _ in range(5):
        began = time.perf_counter()
        found = prometheus.query_range(expr, _HOURS * 3600, _STEP, end) if is_range else prometheus.query(expr, end)
        taken.append(time.perf_counter() - began)
        rows = len(found)
    return Timing(name, min(taken), rows)


def run(nodes: int, series: Sequence[Series], hours: int) -> Measured:
    """All timings for so many nodes, and what Prometheus needs for them."""
    end = 1_800_000_000 // _BLOCK * _BLOCK
    with TemporaryDirectory(prefix="imagectl-fleet-") as folder:
        data = load(Path(folder), series, nodes, end, hours)
        record(data, end, hours)
        with prometheus_on(data) as prometheus:
            timings = timed(prometheus, end - _STEP)
            stored = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
            return Measured(nodes, timings, stored, prometheus.most_memory())


def main() -> int:
    """Measure, print every timing, the slowest of each kind and the sum of the rules."""
    hours = int(os.environ.get("HOURS", _HOURS))
    sizes = [int(text) for text in sys.argv[1:]] or [100, 300, 1_000]
    series = series_of_one_node()
    results = [run(nodes, series, hours) for nodes in sizes]
    last = results[-1]
    for row in zip(*(each.timings for each in results), strict=True):
        print(*(f"{timing.seconds * 1000:9.1f} ms" for timing in row), f" {row[-1].series:6} series  {row[-1].name}")
    for each in results:
        print(f"{len(series)} series a node over {hours} h: {each}")
    too_slow = last.slowest("fleet", "node", "alert").seconds * _LARGE / last.nodes > _AT_MOST_SECONDS
    return int(too_slow or len(series) >= 200)


if __name__ == "__main__":
    sys.exit(main())

"""The memory of a running controller beside an engine that answers at once, and its growth over passes."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench import fast_engine
from tests.bench.figure import Figure
from tests.fakes import a_document, a_removal
from tests.host import a_host

LIMITS_MIB = {1_000: 42.0, 5_000: 55.0}
PASSES, GROWTH_LIMIT_KIB = 10_000, 256.0
_PATIENCE_SECONDS = 600.0
_POLICY = """\
label: everything, some day
enabled: true
image_policy:
  removal: [{image_name: "*", delete_after_minutes: 10080, agent_downloaded_only: false}]
"""


def figures() -> Iterator[Figure]:
    for many, limit in LIMITS_MIB.items():
        what = f"RSS of imagectl run at {many:,} images, after"
        with TemporaryDirectory() as folder, fast_engine.running(Path(folder), many) as host:
            with running(host, Path(folder)) as controller:
                yield Figure(f"{what} some passes and scrapes", _after_passes(controller, "/metrics"), "MiB", limit)
                asked = _after_passes(controller, "/metrics", "/", "/api/status")
                yield Figure(f"{what} requests of the page and the API", asked, "MiB", limit)
            with running(host, Path(folder)) as controller:
                again = _after_passes(controller, "/metrics")
                yield Figure(f"{what} a restart, some passes and scrapes", again, "MiB", limit)
    yield _growth()


@dataclass(frozen=True, slots=True)
class Running:
    """`imagectl run` after its first pass."""

    process: int
    address: str

    def get(self, path: str) -> int:
        """The status of the answer, which is read to its end."""
        try:
            with urllib.request.urlopen(self.address + path) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def mib(self, kind: str = "VmRSS") -> float:
        """Its memory now, or another value of proc(5)."""
        status = Path(f"/proc/{self.process}/status").read_text()
        return int(re.findall(rf"{kind}:\s+(\d+)", status)[0]) / 1_024


@contextmanager
def running(host: str, place: Path | None = None) -> Iterator[Running]:
    """A controller of its own for this engine; its policies and its ledger are in `place`, or in a new folder."""
    with TemporaryDirectory() as new:
        folder = place or Path(new)
        (folder / "policies").mkdir(exist_ok=True)
        (folder / "policies" / "all.yaml").write_text(_POLICY)
        options = ["--policies", f"{folder}/policies", "--docker-host", host, "--ledger", f"{folder}/ledger.db"]
        command = [sys.executable, "-m", "controller", "run", *options, "--listen", "127.0.0.1:0"]
        process = subprocess.Popen([*command, "--log-format", "text"], stderr=subprocess.PIPE, text=True)
        try:
            controller = Running(process.pid, _address_of(process))
            _await_readiness(controller)
            yield controller
        finally:
            process.terminate()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def _address_of(controller: subprocess.Popen[str]) -> str:
    assert controller.stderr is not None
    for line in controller.stderr:
        if found := re.search(r"metrics at (\S+)/metrics", line):
            return found[1]
    raise AssertionError("the controller has ended")


def _await_readiness(controller: Running) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while controller.get("/readyz") != 200:
        assert time.monotonic() < deadline, "no pass succeeds"
        time.sleep(0.2)


def _after_passes(controller: Running, *paths: str) -> float:
    """The memory after some passes, with requests for these paths in between."""
    for _ in range(10):
        os.kill(controller.process, signal.SIGHUP)
        time.sleep(1.5)
        for path in paths:
            assert controller.get(path) == 200
    return controller.mib()


def _growth() -> Figure:
    """The growth of this process, in which a controller runs passes while images are used, added and removed."""
    with a_host() as host:
        host.rules(a_removal(minutes=60))
        for number in range(200):
            host.engine.load(f"app:{number}")
        sizes = []
        for number in range(PASSES + PASSES // 5):
            if number % 10 == 0:
                host.engine.load(f"app:{number // 10 % 200}")
                host.engine.run_briefly(f"app:{number // 10 % 200}")
            if number % 50 == 0:
                host.engine.pull(f"other:{number % 7}", content=str(number % 350))
                host.folder.files["doc.yaml"] = a_document(a_removal(minutes=60 + number % 5))
            host.clock.elapse(300.0)
            host.run_pass()
            host.engine.calls.clear()
            host.engine.targets.clear()
            host.engine.take_events()  # Otherwise the fake engine keeps them.
            if number in (PASSES // 5, PASSES + PASSES // 5 - 1):
                gc.collect()
                sizes.append(_own_rss_kib())
    return Figure(f"growth over {PASSES:,} passes", sizes[1] - sizes[0], "KiB", GROWTH_LIMIT_KIB)


def _own_rss_kib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1_024

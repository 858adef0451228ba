"""`python -m tests.campaigns.kills --kills N --engine KIND`: kills a controller at random moments of its removals.

After the last kill two runs end by themselves. Then the history, the totals, the metrics and the engine must agree:
every image that is gone was counted once as removed, with any number of names, and nothing else is gone.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import docker
from prometheus_client.parser import text_string_to_metric_families

import controller.daemon.wiring  # noqa: F401  # Imported once, before the forks.
from controller.adapters.ledger.history import HistoryReader, Total
from controller.cli.main import run as imagectl
from controller.image.reference import image_id
from controller.plan.verdict.removal import Exactness, Outcome, Removal
from tests.with_docker import images
from tests.with_docker.private_engine import free_address, start_engine

_POLICY = """\
label: campaign
enabled: true
image_policy:
  removal:
    - {image_name: "kill.local/*:*", delete_after_minutes: 0, agent_downloaded_only: false}
"""
_IMAGES_A_KILL = 6
_AFTER_THE_FIRST_REMOVAL_SECONDS = 0.15
_BEFORE_ANY_REMOVAL_SECONDS = 1.0
_PATIENCE_SECONDS = 600.0
_REMOVALS = {"type": ["image"], "event": ["untag", "delete", "remove"]}


class RemovalEvents:
    """A stream of the engine's removals, of which only the arrival counts."""

    def __init__(self, host: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(host.removeprefix("unix://"))
        query = quote(json.dumps(_REMOVALS))
        self._socket.sendall(f"GET /events?filters={query} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
        self.has_come(1.0)  # The header.

    def has_come(self, within_seconds: float) -> bool:
        """Has anything arrived? Everything is read."""
        readable, _, _ = select.select([self._socket], [], [], within_seconds)
        return bool(readable and self._socket.recv(2**20))


class Campaign:
    """One engine, one ledger, and a controller that is killed repeatedly."""

    def __init__(self, host: str, api: docker.APIClient, folder: Path, seed: int) -> None:
        self._host = host
        self._api = api
        self._folder = folder
        self._random = random.Random(seed)
        self._loaded: set[str] = set()
        self._kept = images.load_image(api, "kept.local/app:1", variant="kept", layers=())
        (folder / "policies").mkdir()
        (folder / "policies" / "campaign.yaml").write_text(_POLICY)

    def kill_once(self, number: int) -> bool:
        """Load some images, every other one with two names, and kill a controller that removes them. Was it alive?"""
        names = [f"kill.local/app:{number}-{each}" for each in range(_IMAGES_A_KILL)]
        images.load(self._api, [images.Recipe((name,), (), variant=name) for name in names])
        for name in names[::2]:
            images.tag(self._api, name, name.replace("app", "again"))
        self._loaded |= {str(image_id(images.image_id(self._api, name))) for name in names}
        events = RemovalEvents(self._host)
        process = self._start()
        if self._random.random() < 0.2:
            time.sleep(self._random.uniform(0.0, _BEFORE_ANY_REMOVAL_SECONDS))
        else:
            while not events.has_come(0.02):
                if _has_ended(process):
                    return False
            time.sleep(self._random.uniform(0.0, _AFTER_THE_FIRST_REMOVAL_SECONDS))
        if _has_ended(process):
            return False
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return True

    def faults(self) -> Iterator[str]:
        """What does not agree after a last run to the end."""
        for _ in range(2):  # The second one writes the figures of the first.
            os.waitpid(self._start("--textfile", str(self._folder / "metrics.prom")), 0)
        there = {str(image_id(row["Id"])) for row in self._api.images(all=True)}
        if str(image_id(self._kept)) not in there:
            yield "the image that no rule covers is gone"
        reader = HistoryReader(self._folder / "ledger.db")
        try:
            history, totals = reader.removals(), reader.totals()
            figures = [batch.freed.bytes or 0 for batch in reader.batches().values()]
        finally:
            reader.close()
        yield from self._images_that_disagree(history, there)
        yield from _totals_that_disagree(history, sum(figures), totals)
        yield from _metrics_that_disagree(totals, (self._folder / "metrics.prom").read_text())

    def _images_that_disagree(self, history: Sequence[Removal], there: set[str]) -> Iterator[str]:
        removed = Counter(str(each.intent.image) for each in history if each.outcome is Outcome.REMOVED)
        gone = self._loaded - there
        yield from (f"{image} is due and still there" for image in self._loaded & there)
        yield from (f"{image} was removed {times} times" for image, times in removed.items() if times > 1)
        yield from (f"{image} is gone and not in the history" for image in gone - removed.keys())
        yield from (f"{image} is in the history and still there" for image in removed.keys() & there)
        yield from (f"an unexpected deletion: {each.message}" for each in history if each.outcome is Outcome.UNEXPECTED)

    def _start(self, *more: str) -> int:
        """A controller in a process of its own; returns its process ID."""
        folder = self._folder
        options = ["--policies", folder / "policies", "--ledger", folder / "ledger.db", "--docker-host", self._host]
        if process := os.fork():
            return process
        nowhere = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os._exit(imagectl(["run", "--once", "--settle", "0s", *map(str, options), *more]))


def _has_ended(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG)[0] != 0


def _totals_that_disagree(history: Sequence[Removal], measured: int, totals: Sequence[Total]) -> Iterator[str]:
    counted = Counter(each.outcome for each in history)
    for total in totals:
        if counted[total.outcome] != total.removals:
            yield f"{total.outcome}: {counted[total.outcome]} in the history, {total.removals} in the totals"
    freed = measured + sum(each.freed.bytes or 0 for each in history if each.freed.exactness is not Exactness.UNKNOWN)
    if freed != sum(total.freed_bytes for total in totals):
        yield f"{freed} bytes in the history, {sum(total.freed_bytes for total in totals)} in the totals"


def _metrics_that_disagree(totals: Sequence[Total], text: str) -> Iterator[str]:
    samples = {
        (sample.name, sample.labels.get("outcome", ""), sample.labels.get("document", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    for total in totals:
        shown = samples.get(("image_controller_removals_total", total.outcome.value, total.document))
        if total.outcome.is_success and shown != total.removals:
            yield f"{total.outcome}: {total.removals} in the totals, {shown} in the metrics"
    for name, of_totals in (
        ("reclaimed_bytes_total", sum(total.freed_bytes for total in totals)),
        ("removals_with_unknown_bytes_total", sum(total.unknown for total in totals)),
    ):
        shown = sum(value for (key, _, _), value in samples.items() if key == f"image_controller_{name}")
        if shown != of_totals:
            yield f"{name}: {of_totals} in the totals, {shown} in the metrics"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--engine", default="debian", help="a kind of deploy/local/engine.sh")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    engine = start_engine(wanted.engine, free_address())
    gc.freeze()  # For the forks.
    try:
        with TemporaryDirectory() as folder:
            campaign = Campaign(engine.host, engine.client(), Path(folder), wanted.seed)
            runs = killed = 0
            while killed < wanted.kills:  # Some runs end before they are killed.
                killed += campaign.kill_once(runs)
                runs += 1
            faults = list(campaign.faults())
    finally:
        engine.drop()
    print(*faults, sep="\n", end="\n" if faults else "")
    print(
        f"{wanted.engine}: {killed} kills in {runs} runs, {runs * _IMAGES_A_KILL} images, {len(faults)} faults"
        f" (seed {wanted.seed})"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Removing what is due, beside Docker's own ways and beside the same deletes sent raw; all take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from tests.bench.engines import an_engine
from tests.bench.figure import Figure, ratio, seconds
from tests.bench.passes import UnixConnection
from tests.fakes import a_document, a_removal
from tests.with_docker import images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine, wipe

_IMAGECTL = str(Path(sys.executable).with_name("imagectl"))
FEW = 100
ROUNDS = 5
IN_A_PROCESS, ALONE = 600, (400, 1_000)
CONNECTIONS = 4


def figures() -> Iterator[Figure]:
    raw = f"of the deletes sent raw over {CONNECTIONS} connections"
    with an_engine("d26-gd") as (engine, api):
        bench = _Bench(engine, api, IN_A_PROCESS)
        bench.take_turns({"process": bench.process, "rmi": bench.rmi, "prune": bench.prune, "raw": bench.raw})
        took, what = bench.took, f"{IN_A_PROCESS} due images on Docker 26.1 (graph driver): imagectl run --once"
        yield ratio(f"{what}, of docker rmi", took["process"], took["rmi"], 0.85)
        yield ratio(f"{what}, of docker image prune -a", took["process"], took["prune"])
        yield ratio(f"{what}, {raw}", took["process"], took["raw"], 1.4)
        for many in ALONE:
            bench = _Bench(engine, api, many)
            bench.take_turns({"pass": bench.one_pass, "raw": bench.raw})
            what = f"{many:,} due images on Docker 26.1 (graph driver): the removals alone, {raw}"
            yield ratio(what, bench.took["removals"], bench.took["raw"], 1.1)
    for kind, name, limit in (("d28-c8d", "Docker 28 (containerd)", 2.6), ("podman", "Podman 5.4", None)):
        with an_engine(kind) as (engine, api):
            bench = _Bench(engine, api, FEW)
            bench.take_turns({"pass": bench.one_pass, "raw": bench.raw})
            what = f"{FEW} due images on {name}"
            yield ratio(f"{what}: the removals alone, {raw}", bench.took["removals"], bench.took["raw"], 1.25)
            yield ratio(f"{what}: the whole pass, {raw}", bench.took["pass"], bench.took["raw"], limit)


class TimedEngine(DockerEngine):
    """The adapter; it records the time of the first removal request and of the last answer."""

    def __init__(self, host: str) -> None:
        super().__init__(Connection(Address(host)))
        self.first_request = float("inf")
        self.last_answer = 0.0

    def remove(self, target: str) -> tuple[str, ...]:
        self.first_request = min(self.first_request, time.perf_counter())
        try:
            return super().remove(target)
        finally:
            self.last_answer = max(self.last_answer, time.perf_counter())


@dataclass
class _Bench:
    """One engine, filled again for each turn."""

    engine: PrivateEngine
    api: docker.APIClient
    many: int
    took: dict[str, list[float]] = field(default_factory=dict)
    _round: int = 0

    @property
    def names(self) -> list[str]:
        return [f"bench.local/app-{number}:1" for number in range(self.many)]

    def take_turns(self, ways: dict[str, Callable[[], float]]) -> None:
        wipe(self.api)
        for self._round in range(ROUNDS):
            for name, way in ways.items():
                self._fill()
                self.took.setdefault(name, []).append(way())
                assert not images.names_of(self.api), name

    def _fill(self) -> None:
        images.load(
            self.api,
            (
                Recipe((name,), (Layer("base", 20_000), Layer(f"own{number}")), variant=f"{number} {self._round}")
                for number, name in enumerate(self.names)
            ),
        )

    def one_pass(self) -> float:
        """Observe, plan, store, remove, observe again, store; with a measurement of the store if needed."""
        timed = TimedEngine(self.engine.host)
        with (
            TemporaryDirectory() as folder,
            on_engine(self.engine, self.api, Path(folder), port=timed, parallel=CONNECTIONS) as controller,
        ):
            controller.catch_up()
            controller.run_pass()
            controller.clock.elapse(3_600)
            took = seconds(controller.run_pass)
            assert len(controller.removals) == self.many
        self.took.setdefault("removals", []).append(timed.last_answer - timed.first_request)
        return took

    def process(self) -> float:
        """The whole process, from its start to its end, with a ledger that knows the images."""
        with TemporaryDirectory() as name:
            policies = Path(name) / "policies"
            policies.mkdir()
            (policies / "all.json").write_text(json.dumps(a_document(a_removal())))
            command = [_IMAGECTL, "run", "--once", "--settle", "0", "--docker-host", self.engine.host]
            command += ["--policies", str(policies), "--ledger", f"{name}/ledger.db"]
            subprocess.run([*command, "--dry-run"], stderr=subprocess.DEVNULL, check=True)
            return seconds(lambda: subprocess.run(command, stderr=subprocess.DEVNULL, check=True))

    def rmi(self) -> float:
        return seconds(lambda: self._docker("rmi", *self.names))

    def prune(self) -> float:
        return seconds(lambda: self._docker("image", "prune", "--all", "--force"))

    def _docker(self, *arguments: str) -> None:
        environment = os.environ | {"DOCKER_HOST": self.engine.host}
        subprocess.run(["docker", *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)

    def raw(self) -> float:
        """The same deletes and nothing else, over as many connections: by ID, as the controller removes an image with
        one name (by name the engine is faster, but the name may have moved to another image).
        """
        ids = [row["Id"] for row in self.api.images()]
        parts = [ids[start::CONNECTIONS] for start in range(CONNECTIONS)]
        threads = [threading.Thread(target=self._delete, args=(part,)) for part in parts]

        def run() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return seconds(run)

    def _delete(self, ids: Sequence[str]) -> None:
        connection = UnixConnection(self.engine.host)
        for image in ids:
            connection.request("DELETE", f"/images/{image}?noprune=1")
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
        connection.close()

"""A pass in which nothing is due, beside the same two calls by http.client and json.loads; and how passes grow."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.plan.verdict.decision import Conditions
from tests.bench.engines import an_engine
from tests.bench.figure import Figure, ratio, seconds
from tests.fakes import a_document, a_removal
from tests.host import a_host
from tests.with_docker import containers, images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import on_engine

IMAGES, CONTAINERS, ROUNDS = 5_000, 200, 15
GROWING_IMAGES = (100, 1_000, 5_000, 10_000)
GROWING_RULES = (1, 10, 100, 1_000)
A_WEEK_MINUTES = 7 * 24 * 60


def figures() -> Iterator[Figure]:
    yield _beside_the_same_calls()
    yield from _growing()


def _beside_the_same_calls() -> Figure:
    with an_engine("d26-gd") as (engine, api), TemporaryDirectory() as folder:
        images.load(api, (Recipe((f"idle.local/app:{n}",), (Layer("base"),), variant=str(n)) for n in range(IMAGES)))
        for number in range(CONTAINERS):
            containers.create(api, f"idle.local/app:{number}")
        connection = UnixConnection(engine.host)
        with on_engine(engine, api, Path(folder), a_removal(minutes=A_WEEK_MINUTES)) as controller:
            controller.run_pass()
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(seconds(controller.run_pass))
                theirs.append(seconds(connection.two_calls))
            assert not controller.last.removals
        connection.close()
    what = f"an idle pass, {IMAGES:,} images and {CONTAINERS} containers, of the two raw calls"
    return ratio(what, ours, theirs, 1.5)


class UnixConnection(http.client.HTTPConnection):
    """A connection of the standard library to an engine's socket."""

    def __init__(self, host: str) -> None:
        super().__init__("localhost")
        self._path = host.removeprefix("unix://")

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def two_calls(self) -> None:
        for path in ("/images/json?all=1", "/containers/json?all=1"):
            self.request("GET", path)
            assert json.loads(self.getresponse().read())


def _growing() -> Iterator[Figure]:
    """Seconds of this process alone: the engine is the fake one."""
    for many in GROWING_IMAGES:
        yield _pass_with(many, 100)
    for rules in GROWING_RULES:
        yield _pass_with(1_000, rules)


def _pass_with(many: int, rules: int) -> Figure:
    removals = [a_removal(f"team{number}/*:1.*", A_WEEK_MINUTES) for number in range(rules)]
    with a_host(conditions=Conditions(trust_new_texts=True)) as host:
        for number in range(many):
            host.engine.load(f"team{number % 2_000}/app:{number}")
        host.folder.files = {f"doc{n}.json": a_document(*removals[n : n + 50]) for n in range(0, rules, 50)}
        host.run_pass()
        took = statistics.median(seconds(host.run_pass) for _ in range(5))
    detail = f"{took / many * 1e6:.1f} us for each image"
    return Figure(
        f"our own part of an idle pass, {many:,} images and {rules:,} rules", took * 1_000, "ms", None, detail
    )

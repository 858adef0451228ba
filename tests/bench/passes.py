"""A pass in which nothing is due, beside the same two calls by http.client and json.loads."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.engines import an_engine
from tests.bench.figure import Figure, ratio, seconds
from tests.fakes import a_removal
from tests.with_docker import containers, images
from tests.with_docker.images import Layer, Recipe
from tests.with_docker.on_engine import on_engine

IMAGES, CONTAINERS, ROUNDS = 5_000, 200, 15
A_WEEK_MINUTES = 7 * 24 * 60


def figures() -> Iterator[Figure]:
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
    yield ratio(what, ours, theirs, 1.25)


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

"""Real engines for benchmarks: one at a time, empty, and deleted afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker

from tests.with_docker.private_engine import PrivateEngine, free_address, start_engine


@contextmanager
def an_engine(kind: str) -> Iterator[tuple[PrivateEngine, docker.APIClient]]:
    engine = start_engine(kind, free_address())
    api = engine.client()
    try:
        yield engine, api
    finally:
        api.close()
        engine.drop()

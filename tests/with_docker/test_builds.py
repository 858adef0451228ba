"""A classic build that lasts longer than the settle time, on a real engine, under a rule that covers everything."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from tests.with_docker import containers, images
from tests.with_docker.on_engine import on_engine
from tests.with_docker.private_engine import PrivateEngine

_DOCKERFILE = b"""
FROM base:1 AS one
COPY made /made
FROM base:1
COPY file /file
RUN ["/wait"]
COPY --from=one /made /copied
"""


def _build(api: docker.APIClient) -> str:
    files = {"Dockerfile": _DOCKERFILE, "made": b"made", "file": b"file"}
    context = io.BytesIO(images.tar_of(files))
    said = api.build(
        fileobj=context, custom_context=True, tag="built:1", rm=True, forcerm=True, network_mode="none", decode=True
    )
    return "".join(map(str, said))


def test_a_build_longer_than_the_settle_time_keeps_what_it_made_and_uses(
    docker_api: docker.APIClient, engine: PrivateEngine, tmp_path: Path
) -> None:
    if engine.is_podman:
        pytest.skip("Podman lists no containers of builds, and sends no events for their steps")
    images.load_image(docker_api, "base:1")
    images.load_image(docker_api, "other:1", layers=(images.Layer("other"),))
    with on_engine(engine, docker_api, tmp_path) as controller, ThreadPoolExecutor() as pool:
        controller.run_pass()
        client = engine.client()
        started = client.events(decode=True, filters={"event": "start"})
        build = pool.submit(_build, engine.client())
        step = next(started)["id"]

        controller.run_pass_later()
        containers.stop(docker_api, step)

        assert "errorDetail" not in build.result()
        assert controller.left == {"base:1", "built:1"}

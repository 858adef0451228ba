"""The controller in a container of the engine that it cleans: it identifies and keeps its own image."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import docker
import pytest

from tests.fakes import a_document, a_removal
from tests.with_docker import images
from tests.with_docker.own_image import controller_files, import_controller
from tests.with_docker.private_engine import PrivateEngine

OURS, OLDER, OTHER = "us.local/imagectl:2", "us.local/imagectl:1", "site.local/app:1"


def test_the_controller_in_a_container_removes_others_and_never_its_own_repository(
    docker_api: docker.APIClient, engine: PrivateEngine
) -> None:
    _import_controller(docker_api, engine)
    images.load_image(docker_api, OLDER, variant="older")
    images.load_image(docker_api, OTHER, variant="other")

    said = _run(docker_api, engine, "run", "--once", "--settle", "0", "--log-format", "json")

    assert images.names_of(docker_api) == {OURS, OLDER}, said
    removed = [line for line in map(json.loads, said.splitlines()) if line.get("outcome")]
    assert [line["reference"] for line in removed] == [OTHER]


def test_the_controller_in_a_container_says_why_its_own_repository_is_kept(
    docker_api: docker.APIClient, engine: PrivateEngine
) -> None:
    _import_controller(docker_api, engine)
    images.load_image(docker_api, OLDER, variant="older")

    said = _run(docker_api, engine, "explain", OLDER)

    assert "PROTECTED" in said
    assert "us.local/imagectl is the repository of this controller's own image" in said


def test_the_image_has_what_glibc_opens_when_a_thread_ends_at_the_exit() -> None:
    """Without it the program was aborted now and then, after a line on standard error."""
    with tarfile.open(fileobj=io.BytesIO(controller_files())) as files:
        assert {"libc.so.6", "libgcc_s.so.1"} <= {Path(name).name for name in files.getnames()}


def _import_controller(api: docker.APIClient, engine: PrivateEngine) -> None:
    if engine.is_podman4:
        pytest.skip("the API of Podman 4.3 cannot import an image under a name")
    import_controller(api, OURS)


def _run(api: docker.APIClient, engine: PrivateEngine, *command: str) -> str:
    """The output of `imagectl` in a container, with a policy that removes everything unused at once."""
    socket = engine.host.removeprefix("unix://")
    host_config = api.create_host_config(network_mode="none", binds=[f"{socket}:/engine.sock"])
    options = ["--policies", "/policies", "--docker-host", "unix:///engine.sock", "--ledger", "/state/ledger.db"]
    container = api.create_container(OURS, [*command, *options], host_config=host_config)["Id"]
    policy = json.dumps(a_document(a_removal())).encode()
    api.put_archive(container, "/", images.tar_of({"policies/all.yaml": policy, "state/ledger.db.note": b"the folder"}))
    api.start(container)
    api.wait(container)
    said = api.logs(container).decode()
    api.remove_container(container)
    return str(said)

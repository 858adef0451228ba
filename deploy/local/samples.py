"""Images to play with, made from nothing on the engine of DOCKER_HOST: `python -m deploy.local.samples create|remove`.

An application in an old version that no container uses and a new one that a container runs, and a tool that no shipped
rule names. All carry a label, and nothing without it is ever touched.
"""

from __future__ import annotations

import io
import random
import sys
import tarfile

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException

from deploy.local.waiting import waiting_program

LABEL = "image-controller.sample"
IN_USE = "imagectl-sample/app:1.1"
SAMPLES = {"imagectl-sample/app:1.0": 3_000_000, IN_USE: 3_100_000, "imagectl-sample/tool:1.0": 1_000_000}
CONTAINER = "imagectl-sample-app"


def create(api: docker.APIClient) -> None:
    """Create the images again, and a container that runs the newer application."""
    remove(api)
    for name in SAMPLES:
        if labels_of(api, name) is not None:
            raise SystemExit(f"samples: {name} is on this engine already and was not made here; nothing was changed")
    for name, size_bytes in SAMPLES.items():
        repository, _, tag = name.rpartition(":")
        changes = ['CMD ["/wait"]', f"LABEL {LABEL}=true"]
        api.import_image_from_data(root_file_system(name, size_bytes), repository, tag, changes=changes)
    host_config = api.create_host_config(network_mode="none")
    api.create_container(IN_USE, command=["/wait"], name=CONTAINER, labels={LABEL: "true"}, host_config=host_config)
    api.start(CONTAINER)


def remove(api: docker.APIClient) -> None:
    """Remove what `create` has made and what the controller has left of it."""
    for container in api.containers(all=True, filters={"label": LABEL}):
        api.remove_container(container["Id"], force=True)
    for name in SAMPLES:
        if LABEL in (labels_of(api, name) or {}):
            api.remove_image(name, noprune=True)


def labels_of(api: docker.APIClient, name: str) -> dict[str, str] | None:
    """The labels of an image; None if the engine has none of this name."""
    try:
        settings = api.inspect_image(name)["Config"]  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return dict((settings or {}).get("Labels") or {})


def root_file_system(name: str, size_bytes: int) -> bytes:
    """A tar archive with the waiting program and so many bytes that do not compress."""
    files = {"wait": waiting_program(), "filler": random.Random(name).randbytes(size_bytes)}  # noqa: S311
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return archived.getvalue()


def main(command: str) -> None:
    """Do it, and say in one line what the engine did not like."""
    actions = {"create": create, "remove": remove}
    try:
        actions[command](docker.APIClient(version="auto", **kwargs_from_env()))
    except APIError as refusal:
        raise SystemExit(f"samples: the engine refused: {refusal.explanation}") from None
    except (DockerException, RequestException) as trouble:
        raise SystemExit(f"samples: the container engine cannot be reached: {trouble}") from None


if __name__ == "__main__":
    if sys.argv[1:] not in (["create"], ["remove"]):
        raise SystemExit("usage: python -m deploy.local.samples create|remove")
    main(sys.argv[1])

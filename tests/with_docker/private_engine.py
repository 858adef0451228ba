"""The engines and the registry of a test session, started and ended by the scripts in deploy/local.

Each belongs to this process: when the process ends in any way, they end too and leave nothing.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError

from tests.fake_engine import Kind
from tests.with_docker.forwarding import forward, network_of

SCRIPTS = Path(__file__).parents[2] / "deploy" / "local"
_PATIENCE_SECONDS = 600


class ScriptError(Exception):
    """The message of the script; the tests that need the engine fail with it."""


@dataclass(frozen=True, slots=True)
class PrivateEngine:
    """An engine for these tests only: it may be filled, emptied, stopped and started."""

    kind: str
    host: str
    registry: str

    @property
    def name(self) -> str:
        return _name_of(self.kind)

    @property
    def folder(self) -> Path:
        """The folder with `data` (its store), its socket and its log."""
        return Path(self.host.removeprefix("unix://")).parent

    @property
    def is_podman(self) -> bool:
        return self.kind.startswith("podman")

    @property
    def is_podman4(self) -> bool:
        """Podman 4.3: it prunes parents, counts no bytes, and its events of pulls and loads name no image."""
        return self.kind.startswith("podman4")

    @property
    def is_rootless(self) -> bool:
        return self.kind.endswith("-rootless")

    @property
    def fake_kind(self) -> Kind:
        """The fake engine that does the same: rights make no difference, and Podman 4 is like 5."""
        name = self.kind.removesuffix("-rootless")
        return Kind("podman" if name == "podman4" else name)

    def client(self) -> docker.APIClient:
        """A client that allows for slow lists and deletes."""
        return docker.APIClient(self.host, version="auto", timeout=_PATIENCE_SECONDS)

    def start(self) -> None:
        """Start it if it is stopped; its store is kept."""
        run_script("engine.sh", "up", self.name, "--owner", str(os.getpid()), "--insecure-registry", self.registry)
        self.reach_registry()

    def reach_registry(self) -> None:
        """Rootless Docker has a network of its own, empty but for the port of the registry."""
        if self.is_rootless and not self.is_podman:
            network = network_of(f"/usr/sbin/dockerd --config-file {self.folder}/daemon.json")
            forward(network, int(_port_of(self.registry)))

    def stop(self) -> None:
        """Stop it as a service manager does; the socket is removed, the store is kept."""
        run_script("engine.sh", "stop", self.name)

    def drop(self) -> None:
        """Stop and delete it."""
        run_script("engine.sh", "down", self.name)


def start_engine(kind: str, registry: str) -> PrivateEngine:
    """An empty engine of this kind that trusts the registry at that address."""
    name = _name_of(kind)
    run_script("engine.sh", "down", name)
    host = run_script("engine.sh", "up", name, "--owner", str(os.getpid()), "--insecure-registry", registry)
    engine = PrivateEngine(kind, host, registry)
    engine.reach_registry()
    return engine


@contextmanager
def small_engine(like: PrivateEngine, mebibytes: int, inodes: int = 100_000) -> Iterator[PrivateEngine]:
    """Another engine of the same kind, with its data on a disk (tmpfs) of that size."""
    name = f"{like.kind}.small-{os.getpid()}"
    disk = like.folder.with_name(name)
    run_script("engine.sh", "down", name)
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,nr_inodes={inodes}", "tmpfs", disk], check=True)
    try:
        host = run_script("engine.sh", "up", name, "--owner", str(os.getpid()))
        yield PrivateEngine(like.kind, host, like.registry)
        run_script("engine.sh", "stop", name)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
        run_script("engine.sh", "down", name)


def start_registry(address: str) -> None:
    """An empty registry at this address on loopback."""
    run_script("registry.sh", "up", _port_of(address), "--owner", str(os.getpid()))


def drop_registry(address: str) -> None:
    """Stop and delete it; does nothing if it was never started."""
    run_script("registry.sh", "down", _port_of(address))


def free_address() -> str:
    """An unused address on loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def wipe(api: docker.APIClient) -> None:
    """Remove every container and every image."""
    for _ in range(10):  # Children before parents; and Podman may answer 500 to a first removal that succeeds.
        containers, images = api.containers(all=True), api.images(all=True)
        if not containers and not images:
            return
        for container in containers:
            _remove(api.remove_container, container["Id"], force=True, v=True)
        if images:
            with suppress(APIError):  # Podman 4.3 has no such filter
                api.prune_images({"dangling": False})  # type: ignore[no-untyped-call]
        for image in api.images(all=True):
            _remove(api.remove_image, image["Id"], force=True)
    raise AssertionError("the private engine cannot be wiped; see its log")


def _remove(remove: Callable[..., object], identity: str, **how: bool) -> None:
    with suppress(APIError):  # Refused, or removed with another: the next round shows it.
        remove(identity, **how)


def _name_of(kind: str) -> str:
    return f"{kind}.tests-{os.getpid()}"


def _port_of(address: str) -> str:
    return address.rpartition(":")[2]


def run_script(name: str, *arguments: str) -> str:
    done = subprocess.run([SCRIPTS / name, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ScriptError(done.stderr.strip())
    return done.stdout.strip()

"""A host with a real systemd, in a container: it has its own file system and shares the engine and the network."""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.deploy.conftest import SOURCE, archive_of
from tests.deploy.waiting import eventually
from tests.with_docker.private_engine import PrivateEngine, free_address

BASE = "debian-with-systemd:12"
_SOURCES = ("controller", "deploy", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")


@dataclass(frozen=True, slots=True)
class Node:
    """A separate host, except for the engine and the network."""

    api: docker.APIClient
    container: str

    def sh(self, script: str) -> str:
        """The output of a shell script, which must not fail."""
        code, said = self.tried(script)
        assert code == 0, said
        return said.strip()

    def tried(self, script: str) -> tuple[int, str]:
        made = self.api.exec_create(self.container, ["bash", "-ec", script])
        said = self.api.exec_start(made["Id"]).decode()
        return int(self.api.exec_inspect(made["Id"])["ExitCode"]), said

    def shown(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.sh(f"systemctl show {unit} --property {name} --value")

    def with_user(self, name: str) -> User:
        """A new user in the group that owns the engine's socket, whose service manager runs."""
        # Its place is that of pam_systemd, which this host does not have.
        drop_in = "/etc/systemd/system/user@.service.d/runtime.conf"
        self.sh(
            f"useradd --create-home --groups docker {name}; mkdir -p $(dirname {drop_in})\n"
            f"printf '[Service]\\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\\n' >{drop_in}\n"
            f"systemctl daemon-reload; systemctl start user@$(id --user {name}).service"
        )
        return User(self, name)

    def commit(self, files: dict[str, str]) -> str:
        """A commit to the repository that the node follows; returns it."""
        writes = "\n".join(
            f"mkdir -p $(dirname {name})\ncat >{name} <<'END'\n{text}\nEND" for name, text in files.items()
        )
        person = "-c user.name=Test -c user.email=test@example.org"
        self.sh(f"cd /srv/policies\n{writes}\ngit add --all\ngit {person} commit --quiet -m change")
        self.sh("chown -R image-controller-policies: /srv/policies")  # Git trusts no folder of another user.
        return self.sh("cd /srv/policies; git -c safe.directory=/srv/policies rev-parse HEAD")


@dataclass(frozen=True, slots=True)
class User:
    """An ordinary user of a node."""

    node: Node
    name: str

    def sh(self, script: str) -> str:
        """The output of a shell script of this user, which must not fail."""
        own = f"HOME=/home/{self.name} XDG_RUNTIME_DIR=/run/user/$(id --user {self.name})"
        return self.node.sh(f"runuser --user {self.name} -- env {own} bash -ec {shlex.quote(script)}")


def import_base(api: docker.APIClient, folder: Path) -> str:
    """The image of such hosts, on this engine."""
    repository, _, tag = BASE.partition(":")
    api.import_image_from_file(str(archive_of("systemd", folder)), repository, tag, changes=['CMD ["/sbin/init"]'])
    return BASE


@contextmanager
def booted(api: docker.APIClient, engine: PrivateEngine, image: str, files: bytes = b"") -> Iterator[Node]:
    """A host of this image with these files in /srv; it is up, and the group `docker` owns the engine's socket."""
    socket = engine.host.removeprefix("unix://")
    host_config = api.create_host_config(
        network_mode="host",
        cgroupns="host",
        cap_add=["SYS_ADMIN"],
        security_opt=["seccomp=unconfined", "apparmor=unconfined"],
        tmpfs={"/run": "", "/run/lock": "", "/tmp": "exec"},
        binds=["/sys/fs/cgroup:/sys/fs/cgroup:rw", f"{socket}:/engine.sock"],
    )
    made = api.create_container(image, host_config=host_config, environment={"container": "docker"})
    node = Node(api, made["Id"])
    if files:
        api.put_archive(node.container, "/srv", files)
    api.start(node.container)
    eventually(lambda: node.tried("systemctl is-system-running")[1].strip() in ("running", "degraded"))
    gid, listen = Path(socket).stat().st_gid, free_address()
    settings = f"DOCKER_HOST=unix:///engine.sock\nIMAGECTL_SETTLE=1s\nIMAGECTL_LISTEN={listen}"
    group = f"getent group docker >/dev/null || groupadd --non-unique --gid {gid} docker"
    node.sh(f"{group}; echo '{settings}' >/etc/default/image-controller")
    yield node
    api.remove_container(node.container, force=True, v=True)


def this_tree() -> bytes:
    """This source tree as an archive, in a folder `source`."""
    return archive_with((SOURCE / name, f"source/{name}") for name in _SOURCES)


def archive_with(files: Iterable[tuple[Path, str]]) -> bytes:
    """These files and folders under these names."""
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as tar:
        for path, name in files:
            tar.add(path, name, filter=lambda entry: None if "__pycache__" in entry.name else entry)
    return archived.getvalue()

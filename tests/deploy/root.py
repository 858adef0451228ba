"""A root file system of Debian that is entered with chroot, and a stand-in for its service manager."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

_IN_ROOT = """
set -e
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/root"
mount -t proc proc "$2/root/proc"
exec chroot "$2/root" bash -ec "$3"
"""


@dataclass(frozen=True, slots=True)
class Root:
    """A root file system of Debian that keeps its changes in a folder."""

    lower: str
    folder: Path

    def sh(self, script: str) -> str:
        """What a script prints in it, errors too; it must not fail."""
        done = self.tried(script)
        assert done.returncode == 0, done.stdout
        return done.stdout.strip()

    def tried(self, script: str) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "bash", "-c", _IN_ROOT]
        arguments = ["in-root", self.lower, str(self.folder), script]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DEBIAN_FRONTEND": "noninteractive",
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run(
            [*command, *arguments],
            env=environment,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def put(self, file: Path) -> str:
        """Copy a file into /root; returns its path there."""
        (self.folder / "upper/root").mkdir(exist_ok=True)
        (self.folder / "upper/root" / file.name).write_bytes(file.read_bytes())
        return f"/root/{file.name}"


def root_on(lower: str, folder: Path) -> Root:
    for name in ("upper", "work", "root"):
        (folder / name).mkdir()
    return Root(lower, folder)


_SYSTEMCTL = """#!/bin/sh
# Starts and stops nothing: a unit that runs is a file in /run/running. What is enabled is true.
action='' now='' units=''
for word; do
    case $word in
    --now) now=yes ;;
    --*) ;;
    *) if [ -z "$action" ]; then action=$word; else units="$units ${word%.service}"; fi ;;
    esac
done
case $action in
is-active) [ ! -e "/run/running/${units# }" ] || { echo active; exit 0; }; echo inactive; exit 3 ;;
is-enabled | preset) exec systemctl.real --root=/ "$@" ;;
enable | disable)
    systemctl.real --quiet --root=/ "$action" $units || exit
    [ "$now" ] || exit 0 ;;
esac
for unit in $units; do
    case $action in
    start | restart | enable) touch "/run/running/$unit" ;;
    stop | disable) rm -f "/run/running/$unit" ;;
    esac
done
"""


def with_service_manager(root: Root, running: str = "") -> None:
    """From now on systemd seems to run, and this unit."""
    root.sh("mkdir -p /run/systemd/system /run/running; mv /usr/bin/systemctl /usr/bin/systemctl.real")
    root.sh(f"cat >/usr/bin/systemctl <<'END'\n{_SYSTEMCTL}END\nchmod 755 /usr/bin/systemctl")
    if running:
        root.sh(f"touch /run/running/{running}")

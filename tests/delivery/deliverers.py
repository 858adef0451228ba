"""The programs that write into a policy folder, each exactly in its own way and step by step: facts from their sources.

`steps` yields between any two steps, so that a test can check every state in between.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

Files = Mapping[str, str]
"""Texts by the path below the folder."""

_AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "commit.gpgsign=false")


def put(folder: Path, files: Files) -> None:
    """Write files, like a person."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def git(repository: Path, *words: str) -> str:
    """Run git without the settings of this machine."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *_AUTHOR, "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


class Upstream:
    """The repository that people push to."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(parents=True)
        git(place, "init", "--quiet", "--initial-branch=main")

    def commit(self, files: Files) -> str:
        """Make these files the whole content; returns the name of the commit."""
        for old in self.place.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        put(self.place, files)
        git(self.place, "add", "--all")
        git(self.place, "commit", "--quiet", "--allow-empty", "--message=change")
        return git(self.place, "rev-parse", "HEAD")


class GitSync:
    """git-sync 4: a worktree for each commit, and a link that is swapped (`publishSymlink` in its main.go)."""

    def __init__(self, root: Path, upstream: Upstream) -> None:
        self.keeps_old_trees = False
        """--stale-worktree-timeout: by default they are removed at once."""
        self.root = root
        self.upstream = upstream
        self.link = root / "current"
        root.mkdir(parents=True)
        git(root, "init", "--quiet")

    def publish(self, commit: str) -> None:
        for _ in self.steps(commit):
            pass

    def steps(self, commit: str) -> Iterator[str]:
        tree = self.root / ".worktrees" / commit
        git(self.root, "fetch", "--quiet", str(self.upstream.place), commit)
        git(self.root, "worktree", "add", "--quiet", "--force", "--detach", str(tree), commit)
        yield "worktree made"
        before = self.link.resolve() if self.link.is_symlink() else None
        (self.root / "tmp-link").symlink_to(Path(".worktrees", commit))
        yield "new link beside the old one"
        (self.root / "tmp-link").replace(self.link)
        yield "link swapped"
        if before and before != tree and not self.keeps_old_trees:
            shutil.rmtree(before)
            git(self.root, "worktree", "prune")
        yield "old worktree deleted"


class ConfigMapVolume:
    """The kubelet's volume of a ConfigMap (`AtomicWriter.Write` in pkg/volume/util/atomic_writer.go)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._times = itertools.count(1)
        folder.mkdir(parents=True)

    def publish(self, files: Files) -> None:
        for _ in self.steps(files):
            pass

    def steps(self, files: Files) -> Iterator[str]:
        data, time = self.folder / "..data", f"..2026_11_23_08_40_{next(self._times):02}.123456"
        before = data.resolve() if data.is_symlink() else None
        put(self.folder / time, files)
        yield "new directory written"
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(Path("..data", name))
                yield "link of a new key made, which leads nowhere yet"
        (self.folder / "..data_tmp").symlink_to(time)
        yield "new link beside ..data"
        (self.folder / "..data_tmp").replace(data)
        yield "..data swapped"
        for link in self.folder.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                yield "link of a removed key still there, which leads nowhere"
                link.unlink()
        if before:
            shutil.rmtree(before)
        yield "old directory deleted"


def write_in_place(file: Path, text: str, chunk: int) -> Iterator[str]:
    """k8s-sidecar, `cp` and many editors: truncate, then write, here in pieces."""
    with file.open("w") as opened:
        opened.flush()
        yield "truncated"
        for start in range(0, len(text), chunk):
            opened.write(text[start : start + chunk])
            opened.flush()
            yield f"{min(start + chunk, len(text))} of {len(text)} characters"
    yield "closed"

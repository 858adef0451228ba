"""A policy repository to commit to, and the delivery script run on it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DELIVER = Path(__file__).parents[2] / "deploy" / "gitops" / "deliver.sh"
ALONE = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
"""The caller's git configuration has no effect."""
_ADDRESS = "test@example.org"
PERSON = ("-c", "user.name=Test", "-c", f"user.email={_ADDRESS}")


@dataclass(frozen=True, slots=True)
class Repository:
    """A working copy; its branch main is delivered."""

    folder: Path

    @classmethod
    def made(cls, folder: Path, files: Mapping[str, str]) -> Repository:
        """A new one, with these files in its first commit."""
        repository = cls(folder)
        folder.mkdir()
        repository.git("init", "--quiet", "--initial-branch", "main")
        repository.commit(files)
        return repository

    def commit(
        self, files: Mapping[str, str | None], *, ssh_key: Path | None = None, gpg_home: Path | None = None
    ) -> str:
        """Write these files, remove those that are None; signed, if a key or keyring is given. Returns the commit."""
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        self.git("add", "--all")
        key = f"user.signingKey={ssh_key or _ADDRESS}"
        signing = ("-c", key, "-c", f"gpg.format={'ssh' if ssh_key else 'openpgp'}")
        sign = ["-S"] if ssh_key or gpg_home else []
        self.git(*PERSON, *signing, "commit", "--quiet", "-m", "change", *sign, GNUPGHOME=str(gpg_home or ""))
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def git(self, *arguments: str, **environment: str) -> str:
        """Run git in it; returns what it prints."""
        command = ["git", "-C", str(self.folder), *arguments]
        return subprocess.run(
            command, env={**ALONE, **environment}, check=True, capture_output=True, text=True
        ).stdout.strip()


@dataclass(frozen=True, slots=True)
class Delivery:
    """The script with its folder and its settings."""

    folder: Path
    settings: Mapping[str, str]

    def run(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """One run, with some settings changed."""
        return subprocess.run(
            [DELIVER, self.folder],
            env={**ALONE, **self.settings, **settings},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    @property
    def current(self) -> Path:
        """The path for the controller."""
        return self.folder / "current"

    @property
    def commit(self) -> str:
        """The delivered commit, by the target of the link."""
        return self.current.readlink().name

    @property
    def files(self) -> set[str]:
        return {str(path.relative_to(self.current)) for path in self.current.rglob("*") if path.is_file()}

    @property
    def trees(self) -> set[str]:
        return {path.name for path in self.folder.glob("tree.*")}

"""Interpreters of several versions: those on this machine, else those of Debian suites that have them.

One of another Debian runs in its own root file system, where only one folder of this machine is visible.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.conftest import SOURCE
from tests.with_docker.private_engine import run_script

_ROOTS = {"3.13": "python", "3.14": "python314"}
_INDEX = ("PIP_INDEX_URL", "HTTPS_PROXY", "https_proxy")
_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
_INSIDE = SOURCE / "deploy" / "local" / "inside.sh"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python, and how to run a command with it."""

    program: str
    folder: Path
    """Its own folder."""
    seen: Path
    """The folder that such a command can read and write; `folder` is in it."""
    root: str = ""

    def command(self, *words: object) -> list[str]:
        """The command that runs these words there."""
        if not self.root:
            return [str(word) for word in words]
        apart = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "bash", _INSIDE, self.seen]
        return [str(word) for word in (*apart, self.root, "env", *self._way_to_the_index(), *words)]

    def _way_to_the_index(self) -> list[str]:
        """Options with which pip finds the same packages there as here."""
        trusted = self.folder / "trusted.pem"
        shutil.copy(ssl.get_default_verify_paths().cafile or _TRUSTED, trusted)
        return [f"PIP_CERT={trusted}", *(f"{name}={os.environ[name]}" for name in _INDEX if name in os.environ)]


@dataclass(frozen=True, slots=True)
class Installed:
    """Our wheel with everything that it needs, in a virtual environment of its own."""

    interpreter: Interpreter

    @property
    def venv(self) -> Path:
        return self.interpreter.folder / "venv"

    def run(self, *words: object, **environment: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in its folder."""
        program = self.venv / "bin" / str(words[0])
        variables = [f"{name}={value}" for name, value in environment.items()]
        return subprocess.run(
            self.interpreter.command("env", *variables, program, *words[1:]),
            cwd=self.interpreter.folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
        )


def installed(interpreter: Interpreter, wheel: Path) -> Installed:
    """A new environment with the locked packages and our wheel; nothing is compiled."""
    folder, done = interpreter.folder, Installed(interpreter)
    shutil.copy(wheel, folder)
    shutil.copy(SOURCE / "deploy" / "requirements.lock", folder)
    _must(interpreter.command(interpreter.program, "-m", "venv", done.venv), folder)
    pip = (done.venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:")
    _must(interpreter.command(*pip, "--require-hashes", "--requirement", folder / "requirements.lock"), folder)
    _must(interpreter.command(*pip, "--no-deps", folder / wheel.name), folder)
    return done


def find(version: str, folder: Path, seen: Path) -> Interpreter | None:
    """An interpreter of this version; None if none is available."""
    for candidate in _candidates(version):
        if candidate.exists() and _version_of(candidate) == version:
            return Interpreter(str(candidate), folder, seen)
    if version in _ROOTS:
        return Interpreter(f"/usr/bin/python{version}", folder, seen, run_script("root.sh", _ROOTS[version]))
    return None


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    if on_path := shutil.which(name):
        yield Path(on_path)
    yield from (folder / name for folder in map(Path, ("/usr/bin", "/usr/local/bin")))
    for manager in ("PYENV_ROOT", "UV_PYTHON_INSTALL_DIR"):
        yield from sorted(Path(os.environ.get(manager, "/nonexistent")).glob(f"**/{version}*/bin/{name}"))


def _version_of(python: Path) -> str:
    command = [str(python), "-c", "import ensurepip, sys; print('{}.{}'.format(*sys.version_info))"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def _must(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Wheel and sdist: the same bytes every time, complete, and without other files."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

from tests.deploy.conftest import SOURCE
from tests.packaging.conftest import build

_BUILT_FROM = (
    "controller",
    "deploy",
    "manifests",
    "policies",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    ".dockerignore",
)


def copy_of_the_tree(to: Path) -> Path:
    """Another checkout: other times, other permissions, other order of creation."""
    to.mkdir()
    for name in reversed((*_BUILT_FROM, ".gitignore")):
        source = SOURCE / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("*.pyc"))
        else:
            shutil.copy(source, to / name)
    for path in to.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
    return to


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_another_checkout_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    assert digests(build(copy_of_the_tree(tmp_path / "tree"), tmp_path / "again")) == digests(built)


def test_the_sdist_builds_the_same_wheel(built: Path, sdist: Path, tmp_path: Path) -> None:
    subprocess.run(["tar", "-C", tmp_path, "-xf", sdist], check=True)
    (tree,) = tmp_path.iterdir()
    again = build(tree, tmp_path / "again")
    assert digests(again)[_wheel(built).name] == digests(built)[_wheel(built).name]


def test_the_date_inside_can_be_chosen(tmp_path: Path) -> None:
    with zipfile.ZipFile(_wheel(build(SOURCE, tmp_path, SOURCE_DATE_EPOCH="1700000000"))) as archive:
        assert {entry.date_time[:3] for entry in archive.infolist()} == {(2023, 11, 14)}


def test_the_wheel_contains_the_whole_package_and_nothing_else(wheel: Path) -> None:
    ours = {str(path.relative_to(SOURCE)) for path in (SOURCE / "controller").rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {path for path in ours if "__pycache__" not in path}
    assert "controller/py.typed" in held


def test_the_sdist_contains_what_a_person_needs_to_run_it(sdist: Path) -> None:
    with tarfile.open(sdist) as tar:
        top = {name.split("/")[1] for name in tar.getnames()}
    assert top == {*_BUILT_FROM, ".gitignore", "PKG-INFO"}


def test_what_it_needs_comes_as_wheels_for_the_other_architecture_too(tmp_path: Path) -> None:
    """The package index is queried, nothing is downloaded. For this architecture `test_interpreters` installs it."""
    subprocess.run(["python3", "-m", "venv", tmp_path / "venv"], check=True)
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
    for version in ("3.11", "3.12", "3.13", "3.14"):
        _resolve(tmp_path / "venv", other, version)


def _resolve(venv: Path, machine: str, version: str) -> None:
    """Raises AssertionError if something that is locked would have to be compiled."""
    platforms = [f"--platform=manylinux{tag}_{machine}" for tag in ("2014", "_2_17", "_2_28")]
    options = ["--dry-run", "--ignore-installed", "--only-binary=:all:", "--require-hashes", f"--target={venv}/none"]
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", *options, *platforms]
    locked = ["--python-version", version, "--requirement", str(SOURCE / "deploy" / "requirements.lock")]
    done = subprocess.run([*command, *locked], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{machine}, Python {version}: {done.stderr}"


def test_the_locks_contain_what_the_project_requires() -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text())
    asked = {requirement.partition(">")[0] for requirement in project["project"]["dependencies"]}
    assert asked <= _locked("deploy/requirements.lock") <= _locked("requirements.lock")
    assert {"hatchling"} <= _locked("deploy/build.lock") <= _locked("requirements.lock")


def _locked(name: str) -> set[str]:
    """The names and versions of a lock file, and the bare names too."""
    lines = [line.rstrip("\\ ") for line in (SOURCE / name).read_text().splitlines() if not line.startswith(" ")]
    return {*lines, *(line.partition("==")[0] for line in lines)}


def _wheel(folder: Path) -> Path:
    return next(folder.glob("*.whl"))

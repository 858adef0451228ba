"""The controller as an image made from this machine's Python and its packages: without base and registry."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import docker

import controller
from tests.with_docker import images

_PROJECT = "edge-image-controller"
_LIBRARY = re.compile(r"(/\S+) \(0x")
_NAME = re.compile(r"[\w.-]+")
_LEFT_OUT = {
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "ensurepip",
    "tkinter",
    "turtledemo",
    "__pycache__",
}
_PACKAGES, _PYTHON = Path("/opt/packages"), Path(sys.executable).resolve()


def import_controller(api: docker.APIClient, tag: str) -> None:
    """Import an image with this tag that runs `imagectl` with the arguments of the container."""
    changes = [f'ENTRYPOINT ["{_PYTHON}", "-m", "controller"]', f"ENV PYTHONPATH={_PACKAGES}"]
    api.import_image_from_data(controller_files(), *images.split(tag), changes=changes)


@lru_cache(maxsize=1)
def controller_files() -> bytes:
    """The root file system of the image, as a tar archive."""
    archived = io.BytesIO()
    with tarfile.open(fileobj=archived, mode="w") as tar:
        standard = Path(sysconfig.get_path("stdlib"))
        files = {path: path for path in (_PYTHON, *_files_below(standard))}
        for package in _packages():
            own = [file for file in package.files or () if ".." not in file.parts]
            files |= {Path(str(file.locate())): _PACKAGES / file for file in own}
        source = Path(controller.__file__).parent
        files |= {path: _PACKAGES / "controller" / path.relative_to(source) for path in _files_below(source)}
        files |= {library: library for library in _libraries(files)}
        for path, name in files.items():
            if path.is_file():
                tar.add(path.resolve(), str(name), recursive=False)
    return archived.getvalue()


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not _LEFT_OUT & set(path.parts))


def _packages() -> list[Distribution]:
    """The run-time dependencies of the project, with theirs."""
    found: dict[str, Distribution] = {}
    pending = [_PROJECT]
    while pending:
        name = pending.pop()
        if name not in found:
            with suppress(PackageNotFoundError):  # It is for another system.
                found[name] = distribution(name)
                pending += [_NAME.findall(need)[0] for need in found[name].requires or () if "extra ==" not in need]
    return list(found.values())


def _libraries(files: Iterable[Path]) -> set[Path]:
    """The shared libraries that these need, the loader, and what glibc opens when a thread ends at the exit."""
    programs = [str(path) for path in files if ".so" in path.name or path == _PYTHON]
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    found = {Path(library) for library in _LIBRARY.findall(said)}
    return found | {library.with_name("libgcc_s.so.1") for library in found if library.name == "libc.so.6"}

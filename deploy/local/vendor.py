"""Unpacks wheels into one folder of pure Python, for the .deb: `python -m deploy.local.vendor WHEELS FOLDER COPYRIGHT`.

A wheel of compiled code is taken only without that code (PyYAML works without libyaml). Any Python 3.11 runs it, before
there is an environment.
"""

from __future__ import annotations

import email
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_COMPILED = (".so", ".pyd", ".dll", ".dylib", ".a", ".o")
_APACHE = "on Debian systems the full text is in /usr/share/common-licenses/Apache-2.0"
_LICENSES = ("licen", "copying", "notice")


def unpack(wheels: Path, folder: Path) -> None:
    """All modules of all wheels; of the metadata only what names package and version. Raises SystemExit."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in _files_in(archive):
                if _is_wanted(name):
                    archive.extract(str(name), folder)
    for file in folder.rglob("*"):
        if file.is_file() and file.read_bytes()[:4] == b"\x7fELF":
            raise SystemExit(f"vendor: {file} is compiled, so the package would fit one architecture only")


def _files_in(archive: zipfile.ZipFile) -> list[PurePosixPath]:
    return [PurePosixPath(name) for name in sorted(archive.namelist()) if not name.endswith("/")]


def _is_wanted(name: PurePosixPath) -> bool:
    if name.suffix in _COMPILED:
        return False
    if ".data" in name.parts[0] and len(name.parts) > 1:
        return False  # Scripts and headers.
    in_metadata = name.parts[0].endswith(".dist-info")
    return not in_metadata or name.name == "METADATA"


def copyright_of(wheels: Path) -> Iterator[str]:
    """The text of /usr/share/doc/…/copyright: whose code this is, and every licence in full."""
    yield "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    yield "Upstream-Name: edge-image-controller"
    yield "Comment: The dependencies in usr/lib/image-controller are files of their wheels, without compiled code."
    yield ""
    yield "Files: *\nCopyright: The authors of edge-image-controller\nLicense: Apache-2.0"
    yield f" {_APACHE}"
    for wheel in sorted(wheels.glob("*.whl")):
        if not wheel.name.startswith("edge_image_controller-"):
            yield from _stanza(wheel)


def _stanza(wheel: Path) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = _files_in(archive)
        metadata = next(name for name in names if name.name == "METADATA" and name.parts[0].endswith(".dist-info"))
        about = email.message_from_bytes(archive.read(str(metadata)))
        tops = sorted({name.parts[0] for name in names if not name.parts[0].endswith(".dist-info")})
        texts = [archive.read(str(name)).decode(errors="replace") for name in names if _is_license(name)]
    name, version = about["Name"], about["Version"]
    yield ""
    yield "Files: " + " ".join(f"usr/lib/image-controller/{top}{'' if '.' in top else '/*'}" for top in tops)
    yield f"Copyright: {about['Author-email'] or about['Author'] or f'The authors of {name}'}"
    yield f"License: {name}-{version}"
    for text in texts:
        # Debian has the text of this licence on every system, and its packages must not repeat it.
        lines = [f"Apache-2.0: {_APACHE}"] if "Apache License" in text else text.splitlines()
        yield from (f" {line.rstrip()}" if line.strip() else " ." for line in lines)


def _is_license(name: PurePosixPath) -> bool:
    return name.parts[0].endswith(".dist-info") and name.name.lower().startswith(_LICENSES)


if __name__ == "__main__":
    _wheels, _folder, _copyright = map(Path, sys.argv[1:4])
    unpack(_wheels, _folder)
    _copyright.write_text("\n".join(copyright_of(_wheels)) + "\n", encoding="utf-8")

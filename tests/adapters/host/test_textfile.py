"""The metrics as a file for node_exporter."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from controller.adapters.host.textfile import write_textfile
from controller.errors import TextfileUnavailable


def test_the_file_is_replaced_and_readable_for_all(tmp_path: Path) -> None:
    file = tmp_path / "image-controller.prom"
    before = os.umask(0o077)
    try:
        write_textfile(file, b"old 1\n")
        write_textfile(file, b"new 1\n")
    finally:
        os.umask(before)
    assert file.read_bytes() == b"new 1\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_a_reader_keeps_the_old_content_that_it_has_opened(tmp_path: Path) -> None:
    """The file is replaced, not written in place."""
    file = tmp_path / "image-controller.prom"
    write_textfile(file, b"old 1\n")
    with file.open("rb") as opened:
        write_textfile(file, b"new 1\n")
        assert opened.read() == b"old 1\n"


@pytest.mark.timeout(10)
def test_a_fifo_in_the_place_of_the_temporary_file_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "image-controller.prom"
    os.mkfifo(tmp_path / f".image-controller.prom.{os.getpid()}")
    write_textfile(file, b"new 1\n")
    assert file.read_bytes() == b"new 1\n"


def test_a_missing_folder_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "image-controller.prom"
    with pytest.raises(TextfileUnavailable, match=f"--textfile {file}: cannot be written: No such file or directory"):
        write_textfile(file, b"a 1\n")


def test_after_an_error_no_temporary_file_is_left(tmp_path: Path) -> None:
    file = tmp_path / "image-controller.prom"
    file.mkdir()
    with pytest.raises(TextfileUnavailable, match="cannot be written"):
        write_textfile(file, b"a 1\n")
    assert list(tmp_path.iterdir()) == [file]

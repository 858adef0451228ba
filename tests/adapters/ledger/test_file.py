"""Which files are ledgers; all others are not changed."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from controller.adapters.ledger.ledger import Ledger, LedgerReader, record_downloads
from controller.adapters.ledger.report import ReportReader
from controller.errors import InvalidSettings, LedgerUnavailable

OPENED_BY: tuple[Callable[[Path], object], ...] = (
    Ledger,
    LedgerReader,
    ReportReader,
    lambda file: record_downloads(file, ["app:1"]),
)


def another_database(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE precious (thing)")
        db.commit()


@pytest.mark.parametrize("opened", OPENED_BY)
@pytest.mark.parametrize("make", [lambda file: file.write_text("precious: 1\n"), another_database])
def test_a_file_of_another_program_is_refused_and_unchanged(
    tmp_path: Path, opened: Callable[[Path], object], make: Callable[[Path], object]
) -> None:
    file = tmp_path / "precious.yaml"
    make(file)
    content, names = file.read_bytes(), sorted(tmp_path.iterdir())
    for _ in range(2):
        with pytest.raises(InvalidSettings, match="not a ledger of this program; it was not changed"):
            opened(file)
    assert (file.read_bytes(), sorted(tmp_path.iterdir())) == (content, names)


@pytest.mark.parametrize("suffix", [".lock", ".ballast"])
def test_links_in_place_of_our_own_files_are_not_followed(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / "target"
    (tmp_path / f"ledger.db{suffix}").symlink_to(target)
    try:
        ledger = Ledger(tmp_path / "ledger.db")
        ledger.save(ledger.load())
        ledger.close()
    except LedgerUnavailable as error:
        assert "it is a symbolic link, which is not followed" in str(error)  # noqa: PT017 - only the lock is needed
    assert not target.exists()


def test_all_files_of_a_ledger_are_private(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    Ledger(file).close()
    file.chmod(0o666)
    ledger = Ledger(file)
    ledger.save(ledger.load())
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert {name for name, mode in modes.items() if mode & ~0o640} == set()
    ledger.close()


def test_a_file_system_without_locks_is_not_another_controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(LedgerUnavailable, match="the file system has no locks"):
        Ledger(tmp_path / "ledger.db")


def test_a_start_that_was_interrupted_before_the_first_table_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    ledger = Ledger(file)
    assert ledger.resets == 0
    ledger.close()


@pytest.mark.parametrize("opened", OPENED_BY)
def test_a_fifo_is_refused_without_waiting_for_its_writer(tmp_path: Path, opened: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "l.db")
    with pytest.raises(InvalidSettings, match=r"--ledger .*l\.db: not a file"):
        opened(tmp_path / "l.db")


@pytest.mark.needs_root
def test_a_ledger_that_root_creates_belongs_to_the_owner_of_its_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, 65_532, 65_533)
    record_downloads(tmp_path / "ledger.db", ["app:1"])
    owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in tmp_path.iterdir()}
    assert set(owners.values()) == {(65_532, 65_533)}, owners

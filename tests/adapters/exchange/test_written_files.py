"""Delivery of files: always complete, own files only, and outdated files removed on a full disk."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.exchange.written_files import FolderDelivery, deliver, exclusive_folder
from controller.adapters.folder.files import LIST
from controller.errors import DeliveryFailed

OLD = {"changed.json": b"old text", "gone.json": b"gone", "same.json": b"same"}
NEW = {"added.json": b"added", "changed.json": b"new", "same.json": b"same"}
FOREIGN = {"mine.json": b"written by hand"}


def visible(folder: Path) -> dict[str, bytes]:
    """What a scan of the folder would read."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.startswith(".")}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def as_written(folder: Path) -> dict[Path, tuple[object, ...]]:
    """The content of each file, and what a write would change; reading changes none of it.

    The date of the list is that of the last delivery that succeeded, so it is not part of this.
    """
    files = {file: (file.read_bytes(), *_marks_of_a_write(file)) for file in folder.iterdir() if file.name != LIST}
    listed = folder / LIST
    return {**files, listed: (listed.read_bytes(), listed.stat().st_ino), folder: _marks_of_a_write(folder)}


def _marks_of_a_write(path: Path) -> tuple[object, ...]:
    found = path.stat()
    return found.st_ino, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def test_the_folder_has_the_delivered_files_and_foreign_files(tmp_path: Path) -> None:
    write(tmp_path, FOREIGN)
    assert deliver(tmp_path, OLD).added == ["changed.json", "gone.json", "same.json"]
    delivery = deliver(tmp_path, NEW)
    assert delivery == FolderDelivery(
        added=["added.json"],
        changed=["changed.json"],
        removed=["gone.json"],
        unchanged=["same.json"],
        strangers=["mine.json"],
    )
    assert visible(tmp_path) == NEW | FOREIGN


def test_nothing_is_written_without_a_change(tmp_path: Path) -> None:
    deliver(tmp_path, OLD)
    before = as_written(tmp_path)
    assert deliver(tmp_path, OLD) == FolderDelivery(unchanged=sorted(OLD))
    assert as_written(tmp_path) == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"edited by hand")])
def test_a_modified_file_is_restored(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    deliver(tmp_path, OLD)
    damage(tmp_path / "same.json")
    assert deliver(tmp_path, OLD).restored == ["same.json"]
    assert visible(tmp_path) == OLD


def test_a_foreign_file_of_that_name_is_kept_and_reported(tmp_path: Path) -> None:
    write(tmp_path, {"added.json": b"written by hand"})
    delivery = deliver(tmp_path, NEW)
    assert delivery.failures == [
        f"{tmp_path / 'added.json'} was not delivered by this program and is not touched (move it away)"
    ]
    assert deliver(tmp_path, {}).removed == ["changed.json", "same.json"]
    assert visible(tmp_path) == {"added.json": b"written by hand"}


def test_what_a_link_leads_to_is_neither_read_nor_written(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    write(tmp_path, {"elsewhere": b"same"})
    deliver(folder, OLD)
    (folder / "same.json").unlink()
    (folder / "same.json").symlink_to(elsewhere)
    assert deliver(folder, NEW).restored == ["same.json"]
    assert elsewhere.read_bytes() == b"same"
    assert not (folder / "same.json").is_symlink()


def test_a_fifo_of_that_name_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "same.json")
    assert "was not delivered by this program" in deliver(tmp_path, NEW).failures[0]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"files": 5}', b'{"files": [1]}', b"\xff", b"null", b"[" * 99_999]
)
def test_without_its_list_a_delivery_owns_only_files_with_equal_content(tmp_path: Path, damage: bytes) -> None:
    deliver(tmp_path, OLD)
    (tmp_path / LIST).write_bytes(damage)
    delivery = deliver(tmp_path, NEW)
    assert delivery.unchanged == ["same.json"]
    assert "changed.json was not delivered" in delivery.failures[0]
    assert delivery.strangers == ["changed.json", "gone.json"]
    assert visible(tmp_path) == {**OLD, "added.json": b"added"}
    deliver(tmp_path, {})
    assert visible(tmp_path) == {"changed.json": b"old text", "gone.json": b"gone"}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("place", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.touch])
@pytest.mark.parametrize("wanted", [{}, NEW])
def test_a_list_that_is_not_one_is_replaced(
    tmp_path: Path, place: Callable[[Path], None], wanted: dict[str, bytes]
) -> None:
    place(tmp_path / LIST)
    assert deliver(tmp_path, wanted).failures == []
    assert json.loads((tmp_path / LIST).read_bytes())["files"].keys() == wanted.keys()
    assert not (tmp_path / LIST).is_symlink()


def test_a_list_that_names_files_elsewhere_removes_nothing(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside.json"
    folder.mkdir()
    outside.write_bytes(b"outside")
    names = ["../outside.json", str(outside), ".", "..", "", ".hidden", "a/../../outside.json", "\0"]
    (folder / ".hidden").write_bytes(b"hidden")
    (folder / LIST).write_text(json.dumps({"files": dict.fromkeys(names, "")}))
    assert deliver(folder, {}) == FolderDelivery()
    assert outside.exists()
    assert (folder / ".hidden").exists()


# ── killed ────────────────────────────────────────────────────────────────────────────────────────────────────────────

CALLS = ("open", "fdopen", "fsync", "replace", "unlink", "close")


class Killed(BaseException):
    """The process is killed: the rest of its code does not run."""


@contextmanager
def killed_at_call(number: int) -> Iterator[None]:
    """From the call of that number on, every call that changes something on disk fails before it does."""
    calls = count()

    def killing(call: Callable[..., Any]) -> Callable[..., Any]:
        def killed_or(*arguments: Any, **named: Any) -> Any:
            if next(calls) >= number:
                raise Killed
            return call(*arguments, **named)

        return killed_or

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, killing(getattr(os, name)))
        yield


def deliveries_killed_at_every_call(folder: Path) -> Iterator[Path]:
    """Folders in which the delivery of NEW over OLD was killed, each one call later than the one before."""
    for number in count():
        place = folder / str(number)
        place.mkdir(parents=True)
        write(place, FOREIGN)
        deliver(place, OLD)
        try:
            with killed_at_call(number):
                deliver(place, NEW)
        except Killed:
            yield place
        else:
            assert number > 20
            return


def test_a_delivery_killed_anywhere_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    for folder in deliveries_killed_at_every_call(tmp_path):
        for name, data in visible(folder).items():
            assert data in {files.get(name) for files in (OLD, NEW, FOREIGN)}


def test_the_next_delivery_finishes_what_was_killed(tmp_path: Path) -> None:
    for folder in deliveries_killed_at_every_call(tmp_path):
        assert deliver(folder, NEW).failures == []
        assert visible(folder) == NEW | FOREIGN


def test_a_withdrawal_removes_all_files_of_a_killed_delivery(tmp_path: Path) -> None:
    for folder in deliveries_killed_at_every_call(tmp_path):
        deliver(folder, {})
        assert visible(folder) == FOREIGN


# ── no space, no permission ───────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def full_disk() -> Iterator[None]:
    """Files can be created, renamed and removed, but not written."""

    def no_room(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        yield


def test_on_a_full_disk_outdated_files_are_removed_and_current_files_are_kept(tmp_path: Path) -> None:
    deliver(tmp_path, OLD)
    with full_disk():
        delivery = deliver(tmp_path, NEW)
    assert f"{tmp_path / 'changed.json'} cannot be written: No space left on device" in delivery.failures
    assert visible(tmp_path) == {"same.json": b"same"}


def test_when_there_is_space_again_all_is_delivered(tmp_path: Path) -> None:
    deliver(tmp_path, OLD)
    with full_disk():
        deliver(tmp_path, NEW)
    assert deliver(tmp_path, NEW).failures == []
    assert visible(tmp_path) == NEW


def test_one_file_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    deliver(tmp_path, OLD)
    (tmp_path / "changed.json").unlink()
    (tmp_path / "changed.json").mkdir()
    delivery = deliver(tmp_path, NEW)
    assert delivery.added == ["added.json"]
    assert [failure.partition(": ")[2] for failure in delivery.failures] == ["Is a directory"] * 2


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "exchange").write_text("")
    with pytest.raises(DeliveryFailed, match="cannot deliver"), exclusive_folder(tmp_path, "exchange", "org"):
        pass


def test_the_folder_itself_is_never_created(tmp_path: Path) -> None:
    """It may be a disk that is not mounted."""
    with pytest.raises(DeliveryFailed, match="not a directory"), exclusive_folder(tmp_path / "policies", "exchange"):
        pass
    assert not (tmp_path / "policies").exists()


def test_two_deliveries_into_one_folder_exclude_each_other(tmp_path: Path) -> None:
    with (
        exclusive_folder(tmp_path, "exchange", "org"),
        pytest.raises(DeliveryFailed, match="another process delivers into it"),
        exclusive_folder(tmp_path, "exchange", "org"),
    ):
        pass
    with exclusive_folder(tmp_path, "exchange", "org") as folder:
        assert folder == tmp_path / "exchange" / "org"


def test_deliveries_into_two_folders_do_not(tmp_path: Path) -> None:
    with exclusive_folder(tmp_path, "exchange", "one") as one, exclusive_folder(tmp_path, "exchange", "other") as other:
        assert one.is_dir()
        assert other.is_dir()

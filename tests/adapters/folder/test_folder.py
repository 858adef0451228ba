"""Reading one folder once and again. Delivery and watching are in tests/delivery."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from controller.adapters.exchange.written_files import deliver
from controller.adapters.folder import files
from controller.adapters.folder import folder as policy_folder
from controller.adapters.folder.files import (
    LIST,
    FileContent,
    FileListing,
    PolicyFile,
    policy_files_below,
    read_policy_file,
)
from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.folder.mounts import Mount
from controller.policy.document.parse import FolderReading, Parsed, State, parse_documents
from tests.delivery.deliverers import put
from tests.delivery.node import a_policy


def names(reading: FolderReading) -> list[str]:
    return [document.name for document in reading.documents]


def test_all_documents_are_read_valid_or_not_in_the_order_of_their_files(tmp_path: Path) -> None:
    put(tmp_path, {"b.yaml": a_policy(1), "a.json": "{}", "team/c.yml": f"{a_policy(1)}---\n{a_policy(2)}"})
    reading = PolicyFolder(tmp_path).read()
    assert names(reading) == ["a", "b", "team/c", "team/c#2"]
    states = [document.state for document in reading.documents]
    assert states == [State.INVALID, State.VALID, State.VALID, State.VALID]
    assert (reading.folder, reading.lost, reading.revision, reading.read) == (str(tmp_path), "", "", None)


def test_every_problem_is_reported_in_the_order_of_places(tmp_path: Path) -> None:
    put(tmp_path, {"z.yaml": "label: [", "a.yaml": "", "b.yaml": a_policy(1, labbel="x")})
    (tmp_path / "m.yaml").mkdir()
    problems = PolicyFolder(tmp_path).read().problems
    assert [Path(problem.file).name for problem in problems] == ["a.yaml", "b.yaml", "z.yaml"]


def test_a_duplicate_name_in_another_file_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": a_policy(1), "a.yml": a_policy(2)})
    reading = PolicyFolder(tmp_path).read()
    assert [document.state for document in reading.documents] == [State.VALID, State.INVALID]
    assert [problem.message for problem in reading.problems] == [f'duplicate name "a", first in {tmp_path}/a.yaml:1']


def test_the_folder_may_be_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"policies/a.yaml": a_policy(1)})
    (tmp_path / "link").symlink_to("policies")
    monkeypatch.chdir(tmp_path)
    reading = PolicyFolder(Path("link")).read()
    assert (names(reading), reading.folder, reading.revision) == (["a"], "link", "policies")


# --- Nothing to read ---


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "cannot be read: No such file or directory"),
        ({"policies": ""}, "cannot be read: Not a directory"),
        ({"policies/notes.txt": ""}, "holds no policy documents"),
        ({"policies/a.yaml": ""}, "holds no policy documents"),
    ],
)
def test_a_folder_with_nothing_to_read_is_lost(tmp_path: Path, files: dict[str, str], why: str) -> None:
    put(tmp_path, files)
    reading = PolicyFolder(tmp_path / "policies").read()
    assert (reading.documents, reading.lost) == ((), f"{tmp_path}/policies {why}")


def test_a_folder_with_one_invalid_document_is_not_lost(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": "label: ["})
    assert PolicyFolder(tmp_path).read().lost == ""


@pytest.mark.parametrize(
    ("module", "limit", "most", "why"),
    [
        (files, "MOST_FILES", 2, "more than 2 files or folders"),
        (policy_folder, "_MOST_BYTES", 2 * 2**20, "larger than 2 MiB"),
    ],
)
def test_a_folder_that_is_too_large_for_policies_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, limit: str, most: int, why: str
) -> None:
    """`--policies /` must not fill the memory."""
    monkeypatch.setattr(module, limit, most)
    large = f"{a_policy(1)}#{'x' * (2**20 - 1_000)}"
    put(tmp_path, {"a.yaml": large, "b/b.yaml": large})
    assert names(PolicyFolder(tmp_path).read()) == ["a", "b/b"]
    put(tmp_path, {"b/c.yaml": large})
    reading = PolicyFolder(tmp_path).read()
    assert reading.documents == ()
    assert reading.lost == f"{tmp_path} cannot be read: {why} (is it the folder of the policies?)"


@pytest.mark.parametrize("names", [("b/text", "c/text"), ("b.yaml", "c.yaml")])
def test_many_folders_without_a_policy_and_many_files_in_one_folder_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 2)
    put(tmp_path, {"a.yaml": a_policy(1), **dict.fromkeys(names, "")})
    assert "more than 2 files or folders" in PolicyFolder(tmp_path).read().lost


def test_a_folder_on_a_mount_of_something_deleted_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_folder, "mounts", lambda: (Mount(tmp_path.resolve(), "ext4", True),))
    assert PolicyFolder(tmp_path).read().lost == (
        f"{tmp_path} is a mount of its own whose source was deleted or replaced: mount the folder that holds it"
    )


@pytest.mark.parametrize(("is_deleted", "read"), [(False, ["a", "b"]), (True, ["b"])])
def test_a_file_that_is_a_mount_of_its_own_has_a_warning_and_is_read_while_it_is_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_deleted: bool, read: list[str]
) -> None:
    put(tmp_path, {"a.yaml": a_policy(1), "b.yaml": a_policy(2)})
    monkeypatch.setattr(policy_folder, "mounts", lambda: (Mount(tmp_path.resolve() / "a.yaml", "ext4", is_deleted),))
    reading = PolicyFolder(tmp_path).read()
    assert names(reading) == read
    assert [(problem.file, problem.is_error) for problem in reading.problems] == [(f"{tmp_path}/a.yaml", is_deleted)]


def test_a_disk_error_is_reported_and_does_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> FileListing:
        raise OSError(errno.EIO, "Input/output error")

    put(tmp_path, {"a.yaml": a_policy(1)})
    folder = PolicyFolder(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(policy_folder, "policy_files_below", broken)
        assert folder.read().lost == f"{tmp_path} cannot be read: Input/output error"
    assert names(folder.read()) == ["a"]


@pytest.mark.parametrize("name", ["a.YAML", "b.Yml", "team/c.JSON"])
def test_a_file_with_another_ending_is_named(tmp_path: Path, name: str) -> None:
    put(tmp_path, {name: a_policy(1)})
    reading = PolicyFolder(tmp_path).read()
    problem = f"{tmp_path}/{name}:1:1: warning: has another ending and is not read"
    assert [str(each).split(" (")[0] for each in reading.problems] == [problem]
    assert (reading.documents, reading.is_empty) == ((), True)


@pytest.mark.parametrize("name", [".", "team", "team/a.yaml"])
def test_what_every_user_may_write_has_a_warning(tmp_path: Path, name: str) -> None:
    put(tmp_path, {"team/a.yaml": a_policy(1)})
    assert PolicyFolder(tmp_path).read().problems == ()
    (tmp_path / name).chmod((tmp_path / name).stat().st_mode | 0o002)
    reading = PolicyFolder(tmp_path).read()
    assert [str(each) for each in reading.problems] == [
        f"{tmp_path / name}:1:1: warning: may be written by every user of this host, who can thus remove images"
        f" (chmod o-w {tmp_path / name})"
    ]
    assert names(reading) == ["team/a"]


def test_a_folder_of_a_mount_that_is_read_only_has_no_such_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubelet mounts a ConfigMap so, with a folder that every user may write."""
    put(tmp_path, {"a.yaml": a_policy(1)})
    tmp_path.chmod(0o777)
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert PolicyFolder(tmp_path).read().problems == ()


# --- Empty: by a delivery, or for a reason that is not known ---

COMMIT = "a" * 40


def test_a_commit_without_policies_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "tree.x" / COMMIT).mkdir(parents=True)
    (tmp_path / "current").symlink_to(f"tree.x/{COMMIT}")
    reading = PolicyFolder(tmp_path / "current").read()
    assert (reading.lost, reading.is_empty, reading.revision) == ("", True, COMMIT)


def test_the_last_delivery_of_our_script_is_known_by_the_date_of_its_mark(tmp_path: Path) -> None:
    (tmp_path / "tree.x" / COMMIT).mkdir(parents=True)
    (tmp_path / "current").symlink_to(f"tree.x/{COMMIT}")
    assert PolicyFolder(tmp_path / "current").read().delivered_at is None
    put(tmp_path, {"delivered": ""})
    os.utime(tmp_path / "delivered", (5.0, 7.0))
    assert PolicyFolder(tmp_path / "current").read().delivered_at == 7.0


def test_the_last_delivery_of_sync_is_known_by_the_date_of_its_list(tmp_path: Path) -> None:
    put(tmp_path, {"exchange/org/a.json": "", "exchange/other/b.json": ""})
    for org, at in (("org", 9.0), ("other", 7.0)):
        deliver(tmp_path / "exchange" / org, {})
        os.utime(tmp_path / "exchange" / org / LIST, (at, at))
    assert PolicyFolder(tmp_path).read().delivered_at == 7.0
    deliver(tmp_path / "exchange" / "other", {})
    assert PolicyFolder(tmp_path).read().delivered_at == 9.0


def test_a_folder_that_sync_emptied_is_no_trouble(tmp_path: Path) -> None:
    deliver(tmp_path, {})
    reading = PolicyFolder(tmp_path).read()
    assert (reading.lost, reading.is_empty) == ("", True)


def test_a_folder_whose_delivered_files_are_missing_is_trouble(tmp_path: Path) -> None:
    deliver(tmp_path, {"a.json": b"{}"})
    (tmp_path / "a.json").unlink()
    assert PolicyFolder(tmp_path).read().lost == f"{tmp_path} holds no policy documents"


@pytest.mark.parametrize("text", ["", "null", '{"files": []}', '{"files": {"a.json": ""}}', "[" * 200_000])
def test_a_list_that_is_damaged_proves_nothing(tmp_path: Path, text: str) -> None:
    put(tmp_path, {LIST: text})
    assert PolicyFolder(tmp_path).read().lost == f"{tmp_path} holds no policy documents"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("place", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_a_list_that_is_not_a_file_is_not_opened_and_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[[Path], None]
) -> None:
    place(tmp_path / LIST)
    monkeypatch.setattr(os, "open", None)
    assert PolicyFolder(tmp_path).read().lost == f"{tmp_path} holds no policy documents"


def test_of_a_list_that_is_too_large_only_the_beginning_is_read(tmp_path: Path) -> None:
    with (tmp_path / LIST).open("wb") as opened:
        opened.write(b'{"files": {}}')
        opened.truncate(2**40)
    assert PolicyFolder(tmp_path).read().lost == f"{tmp_path} holds no policy documents"


def test_a_folder_with_a_file_that_cannot_be_read_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("/etc/passwd")
    reading = PolicyFolder(tmp_path).read()
    assert (reading.lost, reading.is_empty) == (f"{tmp_path} holds no policy documents", False)


# --- The second reading ---


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are parsed."""
    files: list[str] = []

    def parse_and_note(data: bytes, file: str, name: str) -> Parsed:
        files.append(Path(file).name)
        return parse_documents(data, file, name)

    monkeypatch.setattr(policy_folder, "parse_documents", parse_and_note)
    return files


def test_only_changed_content_is_parsed_again(tmp_path: Path, parsed: list[str]) -> None:
    put(tmp_path, {"a.yaml": a_policy(1), "b.yaml": a_policy(2)})
    folder = PolicyFolder(tmp_path)
    first = folder.read()
    second = folder.read()
    assert parsed == ["a.yaml", "b.yaml"]
    assert [a is b for a, b in zip(first.documents, second.documents, strict=True)] == [True, True]
    put(tmp_path, {"b.yaml": a_policy(3)})
    folder.read()
    assert parsed == ["a.yaml", "b.yaml", "b.yaml"]


def test_the_same_content_under_another_name_is_another_document(tmp_path: Path, parsed: list[str]) -> None:
    put(tmp_path, {"a.yaml": a_policy(1)})
    folder = PolicyFolder(tmp_path)
    folder.read()
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    assert names(folder.read()) == ["b"]
    assert parsed == ["a.yaml", "b.yaml"]


def test_the_result_of_a_deleted_file_is_dropped(tmp_path: Path, parsed: list[str]) -> None:
    folder = PolicyFolder(tmp_path)
    for _ in range(2):
        put(tmp_path, {"a.yaml": a_policy(1)})
        folder.read()
        (tmp_path / "a.yaml").unlink()
        folder.read()
    assert parsed == ["a.yaml", "a.yaml"]


def test_a_second_holder_of_a_name_is_valid_again_without_being_parsed_again(tmp_path: Path, parsed: list[str]) -> None:
    put(tmp_path, {"a.yaml": a_policy(1), "a.yml": a_policy(2)})
    folder = PolicyFolder(tmp_path)
    folder.read()
    (tmp_path / "a.yaml").unlink()
    (document,) = folder.read().documents
    assert (document.state, parsed) == (State.VALID, ["a.yaml", "a.yml"])


# --- Changes during a reading ---


def test_a_file_that_vanishes_during_a_scan_counts_as_gone_only_after_another_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, {"a.yaml": a_policy(1), "b.yaml": a_policy(1)})
    absences = iter([True])

    def gone_for_a_moment(file: PolicyFile) -> FileContent:
        if file.name == "b" and next(absences, False):
            return read_policy_file(PolicyFile(tmp_path / "nowhere.yaml", "b", "b", tmp_path))
        return read_policy_file(file)

    monkeypatch.setattr(policy_folder, "read_policy_file", gone_for_a_moment)
    reading = PolicyFolder(tmp_path).read()
    assert (names(reading), reading.problems) == (["a", "b"], ())


def test_a_folder_that_is_missing_for_a_moment_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {"a.yaml": a_policy(1)})
    absences = iter([FileNotFoundError(errno.ENOENT, "No such file or directory")] * 4)

    def gone_for_a_moment(folder: Path) -> FileListing:
        for error in absences:
            raise error
        return policy_files_below(folder)

    monkeypatch.setattr(policy_folder, "policy_files_below", gone_for_a_moment)
    assert PolicyFolder(tmp_path).read().lost == ""


def test_a_link_without_a_target_is_reported_and_does_not_affect_the_others(tmp_path: Path) -> None:
    put(tmp_path, {"a.yaml": a_policy(1)})
    (tmp_path / "b.yaml").symlink_to("nowhere")
    reading = PolicyFolder(tmp_path).read()
    assert names(reading) == ["a"]
    assert [problem.message for problem in reading.problems] == ["does not exist, or is a link without a target"]


# --- The watch ---


def test_without_a_callback_the_folder_is_not_watched(tmp_path: Path) -> None:
    folder = PolicyFolder(tmp_path)
    folder.read()
    assert not folder.is_watched
    folder.stop()


def test_with_a_callback_the_folder_is_watched_from_the_first_reading_until_it_is_stopped(tmp_path: Path) -> None:
    folder = PolicyFolder(tmp_path, lambda: None)
    states = [folder.is_watched]
    folder.read()
    states.append(folder.is_watched)
    folder.stop()
    states.append(folder.is_watched)
    assert states == [False, True, False]


@pytest.mark.parametrize("below", [".", "sites/lyon"])
@pytest.mark.parametrize("kind", ["file", "folder", "link without a target"])
def test_an_entry_named_stop_stops_all_removals(tmp_path: Path, kind: str, below: str) -> None:
    folder, stop = PolicyFolder(tmp_path), tmp_path / below / "STOP"
    stop.parent.mkdir(parents=True, exist_ok=True)
    states = [folder.is_stopped, folder.read().is_stopped]
    if kind == "file":
        stop.touch()
    elif kind == "folder":
        stop.mkdir()
    else:
        stop.symlink_to("nowhere")
    states += [folder.is_stopped, folder.read().is_stopped, PolicyFolder(tmp_path).read().is_stopped]
    assert states == [False, False, True, True, True]
    assert folder.read().lost == ""  # an empty folder with STOP is not a lost one


def test_a_stop_counts_at_once_in_a_tree_that_replaces_the_folder(tmp_path: Path) -> None:
    """As git deliveries do, in the middle of a batch."""
    (tmp_path / "v1/policies").mkdir(parents=True)
    (tmp_path / "v2/policies").mkdir(parents=True)
    (tmp_path / "v2/policies/STOP").touch()
    (tmp_path / "current").symlink_to("v1")
    folder = PolicyFolder(tmp_path / "current")
    states = [folder.read().is_stopped]
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "current")
    assert [*states, folder.is_stopped] == [False, True]


@pytest.mark.parametrize("name", ["stop", "STOP.yaml", ".hidden/STOP"])
def test_no_other_name_stops_removals(tmp_path: Path, name: str) -> None:
    (tmp_path / ".hidden").mkdir()
    (tmp_path / name).touch()
    assert not PolicyFolder(tmp_path).read().is_stopped


@pytest.mark.parametrize("name", ["stop", "STOP.txt", "Stop", "below/stop"])
def test_a_file_that_looks_like_stop_is_a_warning(tmp_path: Path, name: str) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / name).touch()
    (problem,) = PolicyFolder(tmp_path).read().problems
    assert (problem.file, problem.severity) == (str(tmp_path / name), "warning")
    assert f"{problem.message} ({problem.hint})" == "does not stop removals (rename it to STOP to stop them)"


def test_stop_itself_and_a_document_of_that_name_are_no_warning(tmp_path: Path) -> None:
    (tmp_path / "STOP").touch()
    (tmp_path / "stop.yaml").write_text("label: the stop of buses\nenabled: false\nimage_policy: {removal: []}\n")
    assert [problem for problem in PolicyFolder(tmp_path).read().problems if "stop" in problem.message] == []


def test_a_missing_folder_is_not_stopped(tmp_path: Path) -> None:
    assert not PolicyFolder(tmp_path / "missing").is_stopped

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controller.adapters.folder.files import (
    FileContent,
    PolicyFile,
    named_policy_file,
    policy_files_below,
    read_policy_file,
)
from controller.policy.text.source import MOST_BYTES

UNPRIVILEGED = 65534


def put(path: Path, text: str = "label: x\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names_below(folder: Path) -> list[str]:
    return [file.name for file in policy_files_below(folder).files]


def read_only_file(folder: Path) -> FileContent:
    (file,) = policy_files_below(folder).files
    return read_policy_file(file)


def said(content: FileContent) -> tuple[str, str]:
    assert content.problem is not None
    assert content.data is None
    return content.problem.severity, content.problem.message


@pytest.fixture
def folder_without_privileges() -> Iterator[Path]:
    """A folder of an unprivileged user, as root may read everything and owns pytest's folders."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
        os.seteuid(UNPRIVILEGED)
        try:
            yield folder
        finally:
            os.seteuid(0)


# --- Which files ---


def test_files_are_found_recursively_and_sorted_by_path(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/b/c.json", "a.yaml", "a/notes.txt", "a.yaml.bak", "a.yaml~"):
        put(tmp_path / name)
    listing = policy_files_below(tmp_path)
    assert [file.name for file in listing.files] == ["a/b/c", "a/z", "a", "b"]
    assert (listing.problems, listing.has_changed_meanwhile) == ((), False)


def test_a_file_has_the_name_of_its_path_without_the_extension(tmp_path: Path) -> None:
    put(tmp_path / "team/a.b.yaml")
    (file,) = policy_files_below(tmp_path).files
    shown = str(tmp_path / "team/a.b.yaml")
    assert file == PolicyFile(tmp_path / "team/a.b.yaml", shown, "team/a.b", tmp_path)


def test_hidden_names_are_skipped(tmp_path: Path) -> None:
    for name in (".hidden.yaml", ".git/a.yaml", "..data/a.yaml", "..2027_01/a.yaml", "seen.yaml"):
        put(tmp_path / name)
    assert names_below(tmp_path) == ["seen"]


def test_a_config_map_volume_is_read_once_through_its_links(tmp_path: Path) -> None:
    put(tmp_path / "..2027_01/a.yaml", "label: new\n")
    (tmp_path / "..data").symlink_to("..2027_01")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert names_below(tmp_path) == ["a"]
    assert read_only_file(tmp_path).data == b"label: new\n"


def test_a_link_to_the_folder_is_resolved_once_for_a_whole_scan(tmp_path: Path) -> None:
    put(tmp_path / "v1/a.yaml", "label: one\n")
    put(tmp_path / "v2/a.yaml", "label: two\n")
    link = tmp_path / "link"
    link.symlink_to("v1")
    (file,) = policy_files_below(link).files
    link.unlink()
    link.symlink_to("v2")
    assert file.shown == str(link / "a.yaml")
    assert read_policy_file(file).data == b"label: one\n"
    assert read_only_file(link).data == b"label: two\n"


def test_links_between_folders_are_followed_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    put(tmp_path / "real/a.yaml")
    (tmp_path / "real/loop").symlink_to(tmp_path)
    (tmp_path / "another").symlink_to("real")
    (tmp_path / "self").symlink_to("self")
    assert names_below(tmp_path) == ["real/a"]


def test_a_link_to_a_folder_outside_is_a_problem_and_not_read(tmp_path: Path) -> None:
    put(tmp_path / "outside/secret.yaml")
    put(tmp_path / "folder/a.yaml")
    (tmp_path / "folder/out").symlink_to("../outside")
    listing = policy_files_below(tmp_path / "folder")
    assert [file.name for file in listing.files] == ["a"]
    (problem,) = listing.problems
    assert (problem.file, problem.severity) == (str(tmp_path / "folder/out"), "error")


def test_a_folder_that_cannot_be_listed_does_not_affect_the_others(folder_without_privileges: Path) -> None:
    folder = folder_without_privileges
    put(folder / "good/a.yaml")
    put(folder / "closed/b.yaml").parent.chmod(0)
    listing = policy_files_below(folder)
    (folder / "closed").chmod(0o700)
    assert [file.name for file in listing.files] == ["good/a"]
    assert [problem.message for problem in listing.problems] == ["cannot be listed: Permission denied"]


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        policy_files_below(tmp_path / "gone")
    with pytest.raises(NotADirectoryError):
        policy_files_below(put(tmp_path / "a.yaml"))


def test_a_folder_removed_during_the_scan_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a.yaml")
    put(tmp_path / "old/b.yaml")
    real_stat = Path.stat

    def stat_of_what_has_gone(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == "old":
            raise FileNotFoundError(path)
        return real_stat(path, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", stat_of_what_has_gone)
    listing = policy_files_below(tmp_path)
    assert ([file.name for file in listing.files], listing.has_changed_meanwhile) == (["a"], True)


# --- Content of a file ---


def test_a_file_is_read_completely_with_its_hash(tmp_path: Path) -> None:
    content = read_policy_file(named_policy_file(put(tmp_path / "a.yaml", "label: é\r\n")))
    assert content.data == "label: é\r\n".encode()
    assert content.sha256 == sha256(content.data).hexdigest()
    assert (content.problem, content.is_gone) == (None, False)


def test_of_a_file_that_is_too_large_one_byte_more_than_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as file:
        file.truncate(10**9)
    data = read_policy_file(named_policy_file(path)).data
    assert data is not None
    assert len(data) == MOST_BYTES + 1


@pytest.mark.timeout(10)
def test_an_entry_that_is_not_a_file_is_never_opened_and_an_error_only_if_it_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").symlink_to(tmp_path)
    names = ("fifo", "device", "socket", "folder")
    monkeypatch.setattr(os, "open", _never)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.yaml"))
        files = [named_policy_file(tmp_path / f"{name}.yaml") for name in names]
        named = [said(read_policy_file(file)) for file in files]
        found = [said(read_policy_file(replace(file, folder=tmp_path))) for file in files]
    assert found == [("warning", f"is a {name if name != 'fifo' else 'FIFO'} and was skipped") for name in names]
    assert {severity for severity, _ in named} == {"error"}
    assert named[0][1] == "is a FIFO, not a file, and cannot be read"


@pytest.mark.timeout(10)
def test_a_pipe_of_the_shell_is_reported_as_a_pipe_and_not_as_missing() -> None:
    reading, writing = os.pipe()
    content = read_policy_file(named_policy_file(Path(f"/dev/fd/{reading}")))
    os.close(reading)
    os.close(writing)
    assert said(content) == ("error", "is a FIFO, not a file, and cannot be read")
    assert content.problem is not None
    assert content.problem.hint == "imagectl nmp validate - reads standard input"


def _never(*_: object) -> int:
    raise AssertionError("opened")


@pytest.mark.timeout(10)
def test_a_fifo_that_replaces_a_file_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.yaml")
    status = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: status)
    content = read_policy_file(named_policy_file(path))
    assert (content.data, content.is_gone) == (None, True)


def test_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    put(tmp_path / "secret", "password: 123\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.yaml").symlink_to("../secret")
    content = read_only_file(tmp_path / "folder")
    assert said(content) == ("error", "links out of the folder, so it was not read")
    assert "123" not in str(content)


def test_a_named_link_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "label: x\n")
    (tmp_path / "a.yaml").symlink_to("elsewhere")
    assert read_policy_file(named_policy_file(tmp_path / "a.yaml")).data == b"label: x\n"


def test_a_file_that_cannot_be_read_says_why(folder_without_privileges: Path) -> None:
    path = put(folder_without_privileges / "a.yaml")
    path.chmod(0)
    assert said(read_policy_file(named_policy_file(path))) == ("error", "cannot be read: Permission denied")


def test_a_missing_file_and_a_link_without_a_target_are_reported_as_gone(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("nowhere")
    for name in ("link.yaml", "gone.yaml"):
        content = read_policy_file(named_policy_file(tmp_path / name))
        assert content.is_gone
        assert said(content) == ("error", "does not exist, or is a link without a target")


def test_a_link_to_itself_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    severity, message = said(read_policy_file(named_policy_file(tmp_path / "a.yaml")))
    assert (severity, message) == ("error", "cannot be read: Too many levels of symbolic links")

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

NOBODY = 65534


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
def folder_of_nobody() -> Iterator[Path]:
    """A folder, and no more rights than anybody has: root may read everything, and pytest's own folders are root's."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)


# --- Which files ---


def test_files_are_found_recursively_in_a_lasting_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/b/c.json", "a.yaml", "a/notes.txt", "a.yaml.bak", "a.yaml~"):
        put(tmp_path / name)
    listing = policy_files_below(tmp_path)
    assert [file.name for file in listing.files] == ["a/b/c", "a/z", "a", "b"]
    assert (listing.problems, listing.has_changed_meanwhile) == ((), False)


def test_a_file_knows_how_it_is_called(tmp_path: Path) -> None:
    put(tmp_path / "team/a.b.yaml")
    (file,) = policy_files_below(tmp_path).files
    shown = str(tmp_path / "team/a.b.yaml")
    assert file == PolicyFile(tmp_path / "team/a.b.yaml", shown, "team/a.b", tmp_path)


def test_hidden_names_are_not_looked_at(tmp_path: Path) -> None:
    for name in (".hidden.yaml", ".git/a.yaml", "..data/a.yaml", "..2027_01/a.yaml", "seen.yaml"):
        put(tmp_path / name)
    assert names_below(tmp_path) == ["seen"]


def test_a_volume_of_a_config_map_is_read_once_through_its_links(tmp_path: Path) -> None:
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


def test_a_folder_that_leads_out_is_a_problem_and_not_read(tmp_path: Path) -> None:
    put(tmp_path / "outside/secret.yaml")
    put(tmp_path / "folder/a.yaml")
    (tmp_path / "folder/out").symlink_to("../outside")
    listing = policy_files_below(tmp_path / "folder")
    assert [file.name for file in listing.files] == ["a"]
    (problem,) = listing.problems
    assert (problem.file, problem.severity) == (str(tmp_path / "folder/out"), "error")


def test_a_folder_that_cannot_be_listed_leaves_the_others_alone(folder_of_nobody: Path) -> None:
    folder = folder_of_nobody
    put(folder / "good/a.yaml")
    put(folder / "closed/b.yaml").parent.chmod(0)
    listing = policy_files_below(folder)
    (folder / "closed").chmod(0o700)
    assert [file.name for file in listing.files] == ["good/a"]
    assert [problem.message for problem in listing.problems] == ["cannot be listed: Permission denied"]


def test_a_folder_that_is_gone_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        policy_files_below(tmp_path / "gone")
    with pytest.raises(NotADirectoryError):
        policy_files_below(put(tmp_path / "a.yaml"))


def test_a_folder_that_goes_in_mid_scan_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


# --- What is in one ---


def test_a_file_is_read_whole_with_its_hash(tmp_path: Path) -> None:
    content = read_policy_file(named_policy_file(put(tmp_path / "a.yaml", "label: é\r\n")))
    assert content.data == "label: é\r\n".encode()
    assert content.sha256 == sha256(content.data).hexdigest()
    assert (content.problem, content.is_gone) == (None, False)


def test_no_more_is_read_than_it_takes_to_see_that_a_file_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    with path.open("wb") as file:
        file.truncate(10**9)
    data = read_policy_file(named_policy_file(path)).data
    assert data is not None
    assert len(data) == MOST_BYTES + 1


@pytest.mark.timeout(10)
def test_what_is_no_file_is_skipped_with_a_warning_or_refused_if_it_was_named_and_never_opened(
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
def test_a_pipe_of_the_shell_is_told_as_one_and_not_as_missing() -> None:
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
def test_a_fifo_that_takes_the_place_of_a_file_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "a.yaml")
    status = path.stat()
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Path, "stat", lambda _: status)
    content = read_policy_file(named_policy_file(path))
    assert (content.data, content.is_gone) == (None, True)


def test_a_link_that_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    put(tmp_path / "secret", "password: 123\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.yaml").symlink_to("../secret")
    content = read_only_file(tmp_path / "folder")
    assert said(content) == ("error", "leads out of the folder and was not read")
    assert "123" not in str(content)


def test_whoever_names_a_link_gets_what_it_leads_to(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "label: x\n")
    (tmp_path / "a.yaml").symlink_to("elsewhere")
    assert read_policy_file(named_policy_file(tmp_path / "a.yaml")).data == b"label: x\n"


def test_a_file_that_cannot_be_read_says_why(folder_of_nobody: Path) -> None:
    path = put(folder_of_nobody / "a.yaml")
    path.chmod(0)
    assert said(read_policy_file(named_policy_file(path))) == ("error", "cannot be read: Permission denied")


def test_what_is_gone_or_leads_nowhere_is_told_as_gone(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("nowhere")
    for name in ("link.yaml", "gone.yaml"):
        content = read_policy_file(named_policy_file(tmp_path / name))
        assert content.is_gone
        assert said(content) == ("error", "does not exist, or is a link that leads nowhere")


def test_a_link_to_itself_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("a.yaml")
    severity, message = said(read_policy_file(named_policy_file(tmp_path / "a.yaml")))
    assert (severity, message) == ("error", "cannot be read: Too many levels of symbolic links")

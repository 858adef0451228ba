"""Directories and files that are mounted into a container by themselves: modes 5 and 6."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.delivery.apart import apart
from tests.delivery.deliverers import GitSync, Upstream
from tests.delivery.node import a_policy


@pytest.fixture
def sync(tmp_path: Path) -> GitSync:
    return GitSync(tmp_path / "git", Upstream(tmp_path / "upstream"))


def test_a_mount_of_the_folder_above_the_link_sees_every_swap(tmp_path: Path, sync: GitSync) -> None:
    """The recommended way."""
    sync.publish(sync.upstream.commit({"p.yaml": a_policy(1)}))
    inside = tmp_path / "inside"
    inside.mkdir()
    with apart(inside / "current", first=f"mount --bind {sync.root} {inside}") as reader:
        assert reader.read()["minutes"] == {"p": 1}
        commit = sync.upstream.commit({"p.yaml": a_policy(2)})
        sync.publish(commit)
        assert reader.notices_change()
        found = reader.read()
        assert (found["minutes"], found["revision"], found["is_watched"]) == ({"p": 2}, commit, True)


def test_a_mount_of_the_link_target_is_empty_after_a_swap(tmp_path: Path, sync: GitSync) -> None:
    sync.publish(sync.upstream.commit({"p.yaml": a_policy(1)}))
    inside = tmp_path / "inside"
    inside.mkdir()
    with apart(inside, first=f"mount --bind {sync.link} {inside}") as reader:
        assert reader.read()["minutes"] == {"p": 1}
        sync.publish(sync.upstream.commit({"p.yaml": a_policy(2)}))
        assert reader.notices_change()
        found = reader.read()
    assert found["minutes"] == {}
    assert found["lost"] == (
        f"{inside} is a mount of its own whose source was deleted or replaced: mount the folder that holds it"
    )


def test_a_mounted_file_has_a_warning_and_counts_until_it_is_replaced(tmp_path: Path) -> None:
    outside, inside = tmp_path / "p.yaml", tmp_path / "inside"
    outside.write_text(a_policy(1))
    inside.mkdir()
    (inside / "p.yaml").touch()
    (inside / "q.yaml").write_text(a_policy(7))
    with apart(inside, first=f"mount --bind {outside} {inside}/p.yaml") as reader:
        found = reader.read()
        assert found["minutes"] == {"p": 1, "q": 7}
        assert found["problems"] == [
            f"{inside}/p.yaml:1:1: warning: is a mount of its own: an update that replaces the file does not arrive"
            " here (mount the folder that holds it)"
        ]
        assert not found["is_watched"]  # inotify reports changes only for the other path.
        outside.write_text(a_policy(2))
        assert reader.read()["minutes"] == {"p": 2, "q": 7}


def test_a_mounted_file_that_was_replaced_outside_no_longer_counts(tmp_path: Path) -> None:
    """The old text can still be read, but it is no longer the delivered one."""
    outside, inside = tmp_path / "p.yaml", tmp_path / "inside"
    outside.write_text(a_policy(1))
    inside.mkdir()
    (inside / "p.yaml").touch()
    (inside / "q.yaml").write_text(a_policy(7))
    with apart(inside, first=f"mount --bind {outside} {inside}/p.yaml") as reader:
        reader.read()
        (tmp_path / "p.yaml.tmp").write_text(a_policy(2))
        (tmp_path / "p.yaml.tmp").replace(outside)
        found = reader.read()
    assert found["minutes"] == {"q": 7}
    assert found["problems"] == [
        f"{inside}/p.yaml:1:1: error: is a mount of its own whose source was deleted or replaced"
        " (mount the folder that holds it)"
    ]


def test_a_disk_that_is_unmounted_is_a_lost_folder_and_watched_again(tmp_path: Path) -> None:
    disk, inside = tmp_path / "disk", tmp_path / "inside"
    for folder in (disk, inside):
        folder.mkdir()
    (disk / "p.yaml").write_text(a_policy(1))
    with apart(inside, first=f"mount --bind {disk} {inside}") as reader:
        assert reader.read()["minutes"] == {"p": 1}
        assert reader.run(f"umount {inside}") == 0
        found = reader.read()
        assert (found["minutes"], found["lost"]) == ({}, f"{inside} holds no policy documents")
        assert reader.run(f"mount --bind {disk} {inside}") == 0
        assert reader.read()["minutes"] == {"p": 1}
        (disk / "p.yaml").write_text(a_policy(2))
        assert reader.notices_change()
        assert reader.read()["minutes"] == {"p": 2}

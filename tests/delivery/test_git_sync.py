"""Trees of a git repository, delivered by swapping a link: modes 1, 4, 8, 9 and 22."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.api import BaseObserver

from controller.adapters.folder import folder as policy_folder
from controller.adapters.folder.files import FileContent, FileListing, PolicyFile, policy_files_below, read_policy_file
from controller.adapters.folder.folder import PolicyFolder
from tests.delivery.deliverers import GitSync, Upstream, git, put
from tests.delivery.node import a_node, a_policy


@pytest.fixture
def sync(tmp_path: Path) -> GitSync:
    return GitSync(tmp_path / "git", Upstream(tmp_path / "upstream"))


def tree(version: int) -> dict[str, str]:
    """Three documents that all have the same version."""
    return {f"{name}.yaml": a_policy(version) for name in ("a", "b", "c")}


def test_every_swap_is_noticed_and_puts_its_documents_in_force(sync: GitSync) -> None:
    with a_node(sync.link) as node:
        node.settle()
        assert node.reading.lost
        for version in (1, 2, 3):
            commit = sync.upstream.commit(tree(version))
            sync.publish(commit)
            assert node.notices_change()
            assert node.minutes == {"a": version, "b": version, "c": version}
            assert node.reading.revision == commit
            assert node.last.watcher_is_up


def test_a_folder_inside_the_tree_behaves_the_same(sync: GitSync) -> None:
    with a_node(sync.link / "site/lyon") as node:
        node.settle()
        for version in (1, 2, 3):
            commit = sync.upstream.commit({"site/lyon/sweep.yaml": a_policy(version), "README.md": "policies"})
            sync.publish(commit)
            assert node.notices_change()
            assert (node.minutes, node.reading.revision) == ({"sweep": version}, commit)


def test_a_swap_is_noticed_also_if_the_old_tree_remains(sync: GitSync) -> None:
    """Then the swap itself is the only event."""
    sync.keeps_old_trees = True
    sync.publish(sync.upstream.commit(tree(1)))
    with a_node(sync.link) as node:
        node.settle()
        commit = sync.upstream.commit(tree(2))
        steps = sync.steps(commit)
        next(step for step in steps if step == "link swapped")
        assert node.notices_change()
        assert (node.minutes["a"], node.reading.revision) == (2, commit)


def test_an_edit_in_place_below_the_link_is_noticed_after_any_number_of_swaps(sync: GitSync) -> None:
    with a_node(sync.link) as node:
        for version in (1, 2):
            sync.publish(sync.upstream.commit(tree(version)))
            node.settle()
        put(sync.link.resolve(), {"a.yaml": a_policy(77)})
        assert node.notices_change()
        assert node.minutes == {"a": 77, "b": 2, "c": 2}


def test_a_document_that_a_commit_does_not_change_is_in_force_all_the_time(sync: GitSync) -> None:
    sync.publish(sync.upstream.commit({"same.yaml": a_policy(1), "other.yaml": a_policy(1)}))
    with a_node(sync.link) as node:
        node.settle()
        for step in sync.steps(sync.upstream.commit({"same.yaml": a_policy(1), "other.yaml": a_policy(2)})):
            node.run_pass()
            assert "same" in node.in_force, step
        assert node.in_force == {"same"}
        node.clock.elapse(2.0)
        node.run_pass()
        assert node.minutes == {"same": 1, "other": 2}


def test_a_swap_while_the_watch_is_set_is_noticed(sync: GitSync, monkeypatch: pytest.MonkeyPatch) -> None:
    sync.publish(sync.upstream.commit(tree(1)))
    commits = iter([sync.upstream.commit(tree(2))])
    schedule = BaseObserver.schedule

    def swap_first(observer: BaseObserver, *words: Any, **options: Any) -> Any:
        for commit in commits:
            sync.publish(commit)
        return schedule(observer, *words, **options)

    monkeypatch.setattr(BaseObserver, "schedule", swap_first)
    with a_node(sync.link) as node:
        node.settle()
        assert node.minutes == {"a": 2, "b": 2, "c": 2}
        wake_ups = node.wake_up.wake_ups
        put(sync.link.resolve(), {"a.yaml": a_policy(3)})
        assert node.notices_change()
        assert node.minutes["a"] == 3
        assert node.wake_up.wake_ups > wake_ups


def test_a_tree_deleted_while_it_is_read_does_not_count_in_part(sync: GitSync, monkeypatch: pytest.MonkeyPatch) -> None:
    """git-sync deletes the old tree the moment after the swap."""
    sync.publish(sync.upstream.commit(tree(1)))
    commits = iter([sync.upstream.commit(tree(2))])

    def swap_after_the_first(file: PolicyFile) -> FileContent:
        content = read_policy_file(file)
        for commit in commits:
            sync.publish(commit)
        return content

    monkeypatch.setattr(policy_folder, "read_policy_file", swap_after_the_first)
    reading = PolicyFolder(sync.link).read()
    assert versions(reading.documents) == [2, 2, 2]
    assert (reading.problems, reading.lost) == ((), "")


def test_a_swap_between_listing_and_reading_does_not_mix_two_trees(
    sync: GitSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the old tree remains, so that no file is missing."""
    sync.keeps_old_trees = True
    sync.publish(sync.upstream.commit(tree(1)))
    commits = iter([sync.upstream.commit({**tree(2), "d.yaml": a_policy(2)})])

    def swap_after_it(folder: Path) -> FileListing:
        listing = policy_files_below(folder)
        for commit in commits:
            sync.publish(commit)
        return listing

    monkeypatch.setattr(policy_folder, "policy_files_below", swap_after_it)
    reading = PolicyFolder(sync.link).read()
    assert (versions(reading.documents), reading.revision) == ([2, 2, 2, 2], sync.link.resolve().name)


def test_a_folder_that_is_swapped_during_every_attempt_puts_nothing_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doubt means fewer rules (design §10): two deliveries together may hold rules that neither of them has."""
    publish_by_hand(tmp_path, 1)
    versions_to_come = iter(range(2, 100))

    def swap_before_it(file: PolicyFile) -> FileContent:
        if file.path.name == "b.yaml":
            publish_by_hand(tmp_path, next(versions_to_come))
        return read_policy_file(file)

    folder = PolicyFolder(tmp_path / "current")
    with monkeypatch.context() as during:
        during.setattr(policy_folder, "read_policy_file", swap_before_it)
        reading = folder.read()
    assert (reading.documents, reading.is_empty) == ((), False)
    assert reading.lost == f"{tmp_path}/current cannot be read: a new delivery arrived during each of 5 attempts"
    assert len(folder.read().documents) == 3


def test_no_reading_mixes_or_misses_documents_during_swaps(tmp_path: Path) -> None:
    """A hundred swaps, at any moment of a reading; git itself would be too slow for that many."""
    folder = PolicyFolder(tmp_path / "current")
    wants_one, is_over = threading.Event(), threading.Event()

    def deliver() -> None:
        for version in range(2, 102):
            # At most two swaps in one reading: a slow deliverer must not save them up.
            wants_one.wait()
            wants_one.clear()
            publish_by_hand(tmp_path, version)
            shutil.rmtree(tmp_path / f"v{version - 1}")
        is_over.set()

    publish_by_hand(tmp_path, 1)
    deliverer = threading.Thread(target=deliver, daemon=True)
    deliverer.start()
    while not is_over.is_set():
        wants_one.set()
        reading = folder.read()
        found = versions(reading.documents)
        assert (len(found), len(set(found)), reading.problems) == (3, 1, ())
    deliverer.join()


def publish_by_hand(top: Path, version: int) -> None:
    put(top / f"v{version}", tree(version))
    (top / "tmp-link").symlink_to(f"v{version}")
    (top / "tmp-link").replace(top / "current")


def versions(documents: Any) -> list[int]:
    return [document.policy.removal[0].delete_after_minutes for document in documents]


def test_dates_of_files_have_no_effect(sync: GitSync) -> None:
    """A checkout may set any date, a restored backup an old one; and the size may be unchanged."""
    sync.publish(sync.upstream.commit({"a.yaml": a_policy(1111)}))
    with a_node(sync.link) as node:
        node.settle()
        file = sync.link.resolve() / "a.yaml"
        status = file.stat()
        file.write_text(a_policy(2222))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert (file.stat().st_mtime_ns, file.stat().st_size) == (status.st_mtime_ns, status.st_size)
        node.run_pass()
        assert node.states == {"a": "waiting"}
        node.clock.elapse(2.0)
        node.run_pass()
        assert node.minutes == {"a": 2222}
        for seconds in (0, 10**9, 4 * 10**9):
            os.utime(file, (seconds, seconds))
            node.run_pass()
            assert node.minutes == {"a": 2222}


def test_a_git_clone_is_a_folder_like_any_other(tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "upstream")
    upstream.commit(tree(1))
    git(tmp_path, "clone", "--quiet", str(upstream.place), "policies")
    with a_node(tmp_path / "policies") as node:
        node.settle()
        assert node.minutes == {"a": 1, "b": 1, "c": 1}
        upstream.commit({**tree(2), "team/d.yaml": a_policy(2)})
        git(tmp_path / "policies", "pull", "--quiet", "--ff-only")
        assert node.notices_change()
        assert node.minutes == {"a": 2, "b": 2, "c": 2, "team/d": 2}

"""Volumes of ConfigMaps and Secrets: modes 2, 3, 16, 20 and part of 21."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.folder import folder as policy_folder
from controller.adapters.folder.files import FileContent, PolicyFile, read_policy_file
from controller.adapters.folder.folder import PolicyFolder
from controller.daemon.journal import Journal
from controller.policy.document.parse import FolderReading, Parsed, parse_documents
from tests.delivery.deliverers import ConfigMapVolume
from tests.delivery.node import a_node, a_policy


@pytest.fixture
def volume(tmp_path: Path) -> ConfigMapVolume:
    return ConfigMapVolume(tmp_path / "policies")


def test_every_update_is_noticed_and_puts_its_documents_in_force(volume: ConfigMapVolume) -> None:
    """`p.yaml` itself never changes: it is a link."""
    with a_node(volume.folder) as node:
        node.settle()
        for version in (1, 2, 3):
            volume.publish({"p.yaml": a_policy(version)})
            assert node.notices_change()
            assert node.minutes == {"p": version}
            assert node.reading.revision == f"2026_11_23_08_40_{version:02}.123456"


def test_each_document_is_read_once_and_never_by_a_hidden_name(volume: ConfigMapVolume) -> None:
    volume.publish({"p.yaml": a_policy(1), "q.yaml": a_policy(2)})
    with a_node(volume.folder) as node:
        node.settle()
        assert node.minutes == {"p": 1, "q": 2}
        assert node.errors == []


def test_an_update_adds_and_removes_keys(volume: ConfigMapVolume) -> None:
    volume.publish({"kept.yaml": a_policy(1), "removed.yaml": a_policy(1)})
    with a_node(volume.folder) as node:
        node.settle()
        volume.publish({"kept.yaml": a_policy(1), "added.yaml": a_policy(1)})
        assert node.wake_up.wait()
        node.run_pass()
        assert node.in_force == {"kept"}
        node.clock.elapse(2.0)
        node.run_pass()
        assert node.in_force == {"kept", "added"}


def test_no_step_of_an_update_drops_a_document_that_the_update_keeps(volume: ConfigMapVolume) -> None:
    """Some links have no target for a moment: before the swap those of new keys, after it those of removed ones."""
    volume.publish({"kept.yaml": a_policy(1), "changes.yaml": a_policy(1), "removed.yaml": a_policy(1)})
    with a_node(volume.folder) as node:
        node.settle()
        update = {"kept.yaml": a_policy(1), "changes.yaml": a_policy(2), "added.yaml": a_policy(1)}
        for step in volume.steps(update):
            node.run_pass()
            assert node.minutes["kept"] == 1, step
            assert node.minutes.get("changes") in (1, None), step
        node.settle()
        assert node.minutes == {"kept": 1, "changes": 2, "added": 1}
        assert node.errors == []


def test_an_update_during_a_reading_does_not_mix_old_and_new(
    volume: ConfigMapVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.publish({name: a_policy(1) for name in ("a.yaml", "b.yaml", "c.yaml")})
    steps = volume.steps({name: a_policy(2) for name in ("a.yaml", "b.yaml", "c.yaml")})

    def read_and_go_on(file: PolicyFile) -> FileContent:
        next(steps, None)
        return read_policy_file(file)

    monkeypatch.setattr(policy_folder, "read_policy_file", read_and_go_on)
    folder = PolicyFolder(volume.folder)
    assert [set(versions(folder.read())) for _ in range(3)] == [{2}, {2}, {2}]


def versions(reading: FolderReading) -> list[int]:
    rules = (document.policy.removal or () for document in reading.documents if document.policy)
    return [rule.delete_after_minutes for (rule,) in rules]


def test_a_projection_that_changes_nothing_changes_nothing(
    volume: ConfigMapVolume, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kubelet and others may project the same content every minute."""
    volume.publish({"p.yaml": a_policy(1)})
    parsed = list[str]()

    def parse_and_note(data: bytes, file: str, name: str) -> Parsed:
        parsed.append(file)
        return parse_documents(data, file, name)

    monkeypatch.setattr(policy_folder, "parse_documents", parse_and_note)
    with a_node(volume.folder) as node:
        before = node.settle()
        for _ in range(100):
            node.clock.elapse(60.0)
            volume.publish({"p.yaml": a_policy(1)})
            after = node.run_pass()
            assert node.minutes == {"p": 1}
            journal = Journal(0.0)
            journal.lines(before)
            assert [line.message for line in journal.lines(after) if "revision" not in line.fields] == []
            assert after.decision.scope == before.decision.scope
            assert after.next_change_at is None
        assert len(parsed) == 1

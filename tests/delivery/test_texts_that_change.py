"""Files that are read while they are written, edited, renamed, put back: mode 10, and when a text counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.policy.document.parse import FolderReading
from tests.delivery.deliverers import put, write_in_place
from tests.delivery.node import Node, a_node, a_policy

MINUTE = 60.0
HOUR = 3600.0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node with an image that has been idle for twenty minutes."""
    with a_node(tmp_path / "policies") as node:
        node.policies.mkdir()
        node.engine.load("old:1")
        node.live(20 * MINUTE)
        yield node


def write(node: Node, **texts: str) -> None:
    put(node.policies, {f"{name}.yaml": text for name, text in texts.items()})


def later(node: Node, seconds: float) -> None:
    node.clock.elapse(seconds)
    node.run_pass()


# --- Half-written files ---


def test_a_file_that_is_being_written_never_removes_by_its_first_part(node: Node) -> None:
    """`1440` passes through `14`, which is a valid number, and the image has been idle for longer than that."""
    write(node, sweep=a_policy(1440))
    node.settle()
    seen = set[float]()
    for step in write_in_place(node.policies / "sweep.yaml", a_policy(1440), chunk=1):
        later(node, 0.4)
        assert node.engine.has("old:1"), step
        assert node.minutes in ({}, {"sweep": 1440})
        seen |= {rule for document in node.reading.documents for rule in minutes_in(document)}
    assert {1.0, 14.0, 144.0, 1440.0} <= seen
    later(node, 2.0)
    assert node.minutes == {"sweep": 1440}


def minutes_in(document: object) -> set[float]:
    policy = getattr(document, "policy", None)
    return {float(rule.delete_after_minutes) for rule in policy.removal or ()} if policy else set()


def test_a_half_written_file_and_an_empty_one_do_not_affect_the_others(node: Node) -> None:
    write(node, other=a_policy(2000), sweep=a_policy(1440))
    node.settle()
    for step in write_in_place(node.policies / "sweep.yaml", a_policy(1500), chunk=60):
        later(node, 1.0)
        assert node.minutes["other"] == 2000, step
    node.settle()
    assert node.minutes == {"other": 2000, "sweep": 1500}


def test_a_file_that_remains_half_written_gives_no_rules_until_it_is_complete(node: Node) -> None:
    """A copy that was cut in the middle of a word, for example by a full disk."""
    write(node, other=a_policy(2000), sweep=a_policy(1440))
    node.settle()
    write(node, sweep=a_policy(1440)[:80])
    for _ in range(3):
        later(node, HOUR)
        assert node.states == {"other": "in_force", "sweep": "invalid"}
        assert any("policy documents" in trouble for trouble in node.last.degraded)
    write(node, sweep=a_policy(1440))
    later(node, 1.0)
    assert node.minutes == {"other": 2000, "sweep": 1440}


def test_each_complete_document_of_a_file_waits_on_its_own(node: Node) -> None:
    first, second, third = (f"metadata:\n  name: {name}\n" for name in ("one", "two", "three"))
    envelope = "apiVersion: openhorizon.org/v1\nkind: NodeManagementPolicy\n"
    spec = "spec:\n" + "".join(f"  {line}\n" for line in a_policy(1440).splitlines())
    whole = "---\n".join(envelope + name + spec for name in (first, second, third))
    file = node.policies / "all.yaml"
    file.write_text(whole)
    node.settle()
    assert node.in_force == {"one", "two", "three"}
    half = whole.index("two") + len(spec) // 2
    file.write_text(whole[:half])
    later(node, 1.0)
    assert node.states == {"one": "in_force", "two": "invalid"}
    file.write_text(whole.replace("1440", "9999"))
    later(node, 1.0)
    assert node.states == {"one": "waiting", "two": "waiting", "three": "waiting"}
    later(node, 2.0)
    assert node.minutes == {"one": 9999, "two": 9999, "three": 9999}


def test_a_file_that_keeps_changing_is_shown_and_never_in_force(node: Node) -> None:
    for number in range(61):
        write(node, sweep=a_policy(1440 + number))
        later(node, 1.0)
        assert node.states == {"sweep": "waiting"}
    assert "policies whose files keep changing: sweep" in node.last.degraded
    later(node, 2.0)
    assert node.minutes == {"sweep": 1500}
    assert not any("keep changing" in trouble for trouble in node.last.degraded)


def test_of_a_file_that_alternates_between_two_texts_neither_is_in_force(node: Node) -> None:
    for number in range(61):
        write(node, sweep=a_policy(1440 + number % 2))
        later(node, 1.0)
        assert node.states == {"sweep": "waiting"}
    assert "policies whose files keep changing: sweep" in node.last.degraded


def test_of_two_alternating_texts_that_the_ledger_knows_only_the_last_stable_one_counts(node: Node) -> None:
    for minutes in (1440, 1441):
        write(node, sweep=a_policy(minutes))
        node.settle()
        assert node.minutes == {"sweep": minutes}
    for number in range(61):
        write(node, sweep=a_policy(1440 + number % 2))
        later(node, 1.0)
        assert node.minutes == ({"sweep": 1441} if number % 2 else {})


# --- Two readings, at least two seconds apart ---


def test_a_new_text_waits_two_seconds_and_its_first_seen_time_is_kept(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    status = node.run_pass()
    assert (node.states, status.next_change_at) == ({"sweep": "waiting"}, node.clock.now().uptime_seconds + 2.0)
    later(node, 1.9)
    assert node.states == {"sweep": "waiting"}
    later(node, 0.1)
    assert node.in_force == {"sweep"}


def test_until_a_changed_text_is_stable_neither_old_nor_new_is_in_force(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    node.settle()
    write(node, sweep=a_policy(1500))
    later(node, 1.0)
    assert (node.states, node.last.decision.scope.rules) == ({"sweep": "waiting"}, ())


def test_time_that_the_engine_takes_to_answer_does_not_count(node: Node) -> None:
    """A list of 1,000 images takes seven seconds: observations may be much further apart than reads of the folder."""
    write(node, sweep=a_policy(1440))
    node.run_pass()
    node.engine.on_call = lambda _: node.clock.elapse(7.0)
    later(node, 0.5)
    assert node.states == {"sweep": "waiting"}
    node.run_pass()
    assert node.in_force == {"sweep"}


def test_a_text_is_not_stable_because_a_read_of_the_folder_took_long(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = node.watched.read

    def slow_read() -> FolderReading:
        node.clock.elapse(3.0)
        return read()

    write(node, sweep=a_policy(14))
    with monkeypatch.context() as patched:
        patched.setattr(node.watched, "read", slow_read)
        node.run_pass()
    assert node.last.texts_stable_at == node.clock.now().uptime_seconds + 2.0
    later(node, 0.2)
    assert node.states == {"sweep": "waiting"}
    later(node, 1.8)
    assert node.in_force == {"sweep"}


def test_a_text_that_was_read_once_is_not_stable_because_a_removal_took_long(node: Node) -> None:
    write(node, sweep=a_policy(15))
    node.run_pass()
    node.clock.elapse(2.0)
    write(node, other=a_policy(30))
    node.engine.on_call = lambda call: node.clock.elapse(5.0) if call.startswith("remove") else None
    node.run_pass()
    assert not node.engine.has("old:1")
    assert node.states == {"other": "waiting", "sweep": "in_force"}
    assert {name for name, _ in node.ledger.load().texts} == {"sweep"}


def test_touching_a_file_or_writing_the_same_again_changes_nothing(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    node.settle()
    for text in (a_policy(1440), f"# a comment\n{a_policy(1440)}"):
        write(node, sweep=text)
        later(node, 1.0)
        assert node.in_force == {"sweep"}


# --- Texts in the ledger ---


def test_after_a_restart_the_last_stable_text_is_in_force_at_once(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    node.settle()
    node.restart()
    node.run_pass()
    assert node.in_force == {"sweep"}


def test_a_text_that_was_changed_while_the_controller_was_stopped_waits(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    node.settle()
    write(node, sweep=a_policy(1441))
    node.restart()
    node.run_pass()
    assert node.states == {"sweep": "waiting"}


def test_a_text_that_is_missing_for_a_moment_is_in_force_again_at_once(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    node.settle()
    for _ in range(3):
        (node.policies / "sweep.yaml").rename(node.policies / "away")
        later(node, 1.0)
        assert node.states == {}
        (node.policies / "away").rename(node.policies / "sweep.yaml")
        later(node, 1.0)
        assert node.in_force == {"sweep"}


def test_a_file_cut_to_its_text_of_last_week_waits(node: Node) -> None:
    """`14` was a mistake that was corrected to `1440` long ago; a file cut while it is written contains `14` again."""
    node.engine.rmi("old:1")
    write(node, sweep=a_policy(14))
    node.settle()
    write(node, sweep=a_policy(1440))
    node.settle()
    node.engine.load("old:1")
    node.live(20 * MINUTE)
    write(node, sweep=a_policy(1440).removesuffix("40\n"))
    later(node, 1.0)
    assert node.states == {"sweep": "waiting"}
    assert node.engine.has("old:1")
    node.restart()
    node.run_pass()
    assert node.states == {"sweep": "waiting"}


def test_returning_to_an_older_text_waits_two_seconds_and_lasts_over_a_restart(node: Node) -> None:
    for minutes in (1440, 1441, 1440):
        write(node, sweep=a_policy(minutes))
        node.settle()
    assert node.minutes == {"sweep": 1440}
    node.restart()
    node.run_pass()
    assert node.minutes == {"sweep": 1440}


def test_returning_to_an_older_text_does_not_restart_its_start_window(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    first = node.settle().decision.scope.documents[0].in_force_from
    later(node, HOUR)
    for minutes in (1441, 1440):
        write(node, sweep=a_policy(minutes))
        last = node.settle().decision.scope.documents[0].in_force_from
    assert last == first


def test_a_renamed_document_is_another_one(node: Node) -> None:
    write(node, sweep=a_policy(1440))
    node.settle()
    later(node, HOUR)
    (node.policies / "sweep.yaml").rename(node.policies / "clean.yaml")
    later(node, 1.0)
    assert node.states == {"clean": "waiting"}
    later(node, 2.0)
    assert node.in_force == {"clean"}


def test_a_document_with_a_name_of_its_own_remains_in_force_when_its_file_is_renamed(node: Node) -> None:
    spec = "".join(f"  {line}\n" for line in a_policy(1440).splitlines())
    kind = "apiVersion: openhorizon.org/v1\nkind: NodeManagementPolicy\nmetadata:\n  name: sweep\n"
    write(node, a=f"{kind}spec:\n{spec}")
    node.settle()
    (node.policies / "a.yaml").rename(node.policies / "b.yaml")
    later(node, 1.0)
    assert node.in_force == {"sweep"}

"""Empty, missing, crowded and messy folders: modes 7, 17, 18, 19, 21 and 23."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from controller.adapters.folder.folder import PolicyFolder
from tests.delivery.deliverers import Upstream, git, put
from tests.delivery.node import Node, a_node, a_policy

UNPRIVILEGED = 65534


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    put(tmp_path / "policies", {"p.yaml": a_policy(1)})
    return tmp_path / "policies"


@pytest.fixture
def node(policies: Path) -> Iterator[Node]:
    """A node on which `p` is in force."""
    with a_node(policies) as node:
        node.settle()
        assert node.in_force == {"p"}
        yield node


@pytest.fixture
def without_privileges() -> Iterator[Path]:
    """A folder of an unprivileged user, as root may read everything and owns pytest's folders."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        put(folder, {"p.yaml": a_policy(1)})
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, UNPRIVILEGED, UNPRIVILEGED)
            os.chown(folder / "p.yaml", UNPRIVILEGED, UNPRIVILEGED)
            os.seteuid(UNPRIVILEGED)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
            folder.chmod(0o700)


# --- Empty and missing folders ---


def nothing_is_in_force(node: Node, why: str) -> bool:
    trouble = f"no policies: {node.policies} {why}"
    return node.in_force == set() and node.last.decision.scope.rules == () and trouble in node.last.degraded


def test_a_folder_that_is_emptied_puts_nothing_in_force_and_is_not_healthy(node: Node) -> None:
    """A lost mount, an incomplete delivery and a removal of all policies look the same."""
    (node.policies / "p.yaml").unlink()
    assert node.wake_up.wait()
    node.run_pass()
    assert nothing_is_in_force(node, "holds no policy documents")


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n---\n"])
def test_a_folder_of_empty_files_puts_nothing_in_force_and_is_not_healthy(node: Node, text: str) -> None:
    put(node.policies, {"p.yaml": text})
    node.run_pass()
    assert nothing_is_in_force(node, "holds no policy documents")


def test_a_folder_that_vanishes_and_returns_is_noticed_both_times(node: Node) -> None:
    node.policies.rename(node.policies.with_name("away"))
    assert node.wake_up.wait()
    node.run_pass()
    assert nothing_is_in_force(node, "cannot be read: No such file or directory")
    node.policies.with_name("away").rename(node.policies)
    assert node.wake_up.wait()
    node.run_pass()
    assert node.in_force == {"p"}
    assert node.last.degraded == ()


def test_a_folder_that_is_created_later_with_its_parent_is_found(tmp_path: Path) -> None:
    with a_node(tmp_path / "etc/images/policies") as node:
        node.settle()
        assert nothing_is_in_force(node, "cannot be read: No such file or directory")
        put(node.policies, {"p.yaml": a_policy(1)})
        while node.in_force != {"p"}:
            assert node.notices_change()
        assert node.last.watcher_is_up


def test_a_folder_that_becomes_a_file_is_lost_until_it_is_a_folder_again(node: Node) -> None:
    node.policies.rename(node.policies.with_name("away"))
    node.policies.write_text(a_policy(1))
    assert node.wake_up.wait()
    node.run_pass()
    assert nothing_is_in_force(node, "cannot be read: Not a directory")
    node.policies.unlink()
    node.policies.with_name("away").rename(node.policies)
    assert node.wake_up.wait()
    node.run_pass()
    assert node.in_force == {"p"}


def test_a_folder_that_another_one_is_renamed_over_is_the_new_one(node: Node) -> None:
    put(node.policies.with_name("new"), {"q.yaml": a_policy(2)})
    node.policies.rename(node.policies.with_name("old"))
    node.policies.with_name("new").rename(node.policies)
    assert node.notices_change()
    assert node.in_force == {"q"}
    put(node.policies, {"r.yaml": a_policy(3)})
    assert node.notices_change()
    assert node.in_force == {"q", "r"}


def test_a_policy_deleted_while_the_controller_was_down_is_not_in_force(node: Node) -> None:
    put(node.policies, {"q.yaml": a_policy(2)})
    node.settle()
    node.stop()
    (node.policies / "p.yaml").unlink()
    node.start()
    node.run_pass()
    assert node.in_force == {"q"}


# --- Permissions ---


def test_a_file_that_may_not_be_read_any_more_gives_no_rules_until_it_may(without_privileges: Path) -> None:
    put(without_privileges, {"q.yaml": a_policy(2)})
    with a_node(without_privileges) as node:
        node.settle()
        (without_privileges / "p.yaml").chmod(0)
        node.run_pass()
        assert (node.in_force, node.errors) == ({"q"}, ["cannot be read: Permission denied"])
        (without_privileges / "p.yaml").chmod(0o600)
        assert node.wake_up.wait()
        node.run_pass()
        assert (node.in_force, node.errors) == ({"p", "q"}, [])


def test_a_folder_that_may_not_be_read_gives_no_rules_until_it_may(without_privileges: Path) -> None:
    with a_node(without_privileges) as node:
        node.settle()
        without_privileges.chmod(0)
        node.run_pass()
        assert nothing_is_in_force(node, "cannot be read: Permission denied")
        assert not node.last.watcher_is_up
        without_privileges.chmod(0o700)
        assert node.wake_up.wait()
        node.run_pass()
        assert (node.in_force, node.last.watcher_is_up) == ({"p"}, True)
        put(without_privileges, {"q.yaml": a_policy(2)})
        assert node.notices_change()
        assert node.in_force == {"p", "q"}


def test_a_subfolder_that_may_not_be_read_does_not_affect_the_others(without_privileges: Path) -> None:
    put(without_privileges, {"team/q.yaml": a_policy(2)})
    (without_privileges / "team").chmod(0)
    with a_node(without_privileges) as node:
        node.settle()
        assert (node.in_force, node.errors) == ({"p"}, ["cannot be listed: Permission denied"])
        assert not node.last.watcher_is_up
        (without_privileges / "team").chmod(0o700)
        assert node.notices_change()
        assert node.in_force == {"p", "team/q"}
        put(without_privileges, {"team/q.yaml": a_policy(3)})
        assert node.notices_change()
        assert node.minutes == {"p": 1, "team/q": 3}


def test_changing_permissions_and_times_changes_nothing(node: Node) -> None:
    """It does not count as a change either; `tests/adapters/folder/test_watch.py` shows that."""
    before = node.last
    for path in (node.policies / "p.yaml", node.policies):
        path.chmod(0o700)
        os.utime(path, (0, 0))
    after = node.run_pass()
    assert after.decision.scope == before.decision.scope
    assert after.next_change_at is None


# --- Duplicate names ---


def named(name: str, minutes: int) -> str:
    spec = "".join(f"  {line}\n" for line in a_policy(minutes).splitlines())
    return f"apiVersion: openhorizon.org/v1\nkind: NodeManagementPolicy\nmetadata:\n  name: {name}\nspec:\n{spec}"


def test_of_two_sources_with_the_same_name_always_the_same_one_counts(policies: Path) -> None:
    put(policies, {"team-a/x.yaml": named("sweep", 1), "team-b/x.yaml": named("sweep", 2)})
    with a_node(policies) as node:
        for _ in range(3):
            node.settle()
            assert node.minutes == {"p": 1, "sweep": 1}
            assert node.errors == [f'duplicate name "sweep", first in {policies}/team-a/x.yaml:1']
            os.utime(policies / "team-b/x.yaml")
            node.restart()


def test_the_second_one_counts_when_the_first_is_deleted_and_it_is_stable(policies: Path) -> None:
    put(policies, {"a.yaml": named("sweep", 1), "b.yaml": named("sweep", 2)})
    with a_node(policies) as node:
        node.settle()
        (policies / "a.yaml").unlink()
        node.run_pass()
        assert node.states == {"p": "in_force", "sweep": "waiting"}
        node.clock.elapse(2.0)
        node.run_pass()
        assert (node.minutes, node.errors) == ({"p": 1, "sweep": 2}, [])


DAMAGES: dict[str, Callable[[str], str]] = {
    "unreadable": lambda text: f"{text}x: [\n",
    "cut before its name": lambda text: text.partition("metadata")[0],
    "cut in its name": lambda text: text.partition("web")[0] + "we\n",
    "with a misspelt name": lambda text: text.replace(" name:", " nam:", 1),
    "empty": lambda _: "",
    "too large": lambda text: f"{text}#{'x' * 2**20}",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_refused_duplicate_does_not_come_into_force_when_the_first_document_is_damaged(
    node: Node, policies: Path, damage: str, is_restarted: bool
) -> None:
    put(policies, {"a.yaml": named("web", 10_080), "b.yaml": named("web", 2)})
    node.settle()
    put(policies, {"a.yaml": DAMAGES[damage](named("web", 10_080))})
    if is_restarted:
        node.restart()
    node.settle()
    assert (node.minutes, node.states["web"]) == ({"p": 1}, "waiting")
    why = next(document.why for document in node.last.decision.scope.documents if document.name == "web")
    assert why == f"waiting until {policies}/a.yaml is valid or is removed: it had the document of this name"
    put(policies, {"a.yaml": named("web", 10_080)})
    node.run_pass()
    assert node.minutes == {"p": 1, "web": 10_080}


def test_it_does_not_when_the_file_of_the_first_one_is_a_link_without_a_target(node: Node, policies: Path) -> None:
    put(policies, {"a.yaml": named("web", 10_080), "b.yaml": named("web", 2)})
    node.settle()
    (policies / "a.yaml").unlink()
    (policies / "a.yaml").symlink_to("nowhere")
    node.settle()
    assert node.minutes == {"p": 1}


def test_it_comes_into_force_when_the_file_of_the_first_one_is_removed(node: Node, policies: Path) -> None:
    put(policies, {"a.yaml": named("web", 10_080), "b.yaml": named("web", 2)})
    node.settle()
    put(policies, {"a.yaml": "damaged: ["})
    node.settle()
    (policies / "a.yaml").unlink()
    node.run_pass()
    assert node.minutes == {"p": 1, "web": 2}


def test_a_document_that_moves_out_of_a_file_waits_while_another_document_there_is_invalid(
    node: Node, policies: Path
) -> None:
    """Its invalid document may be the one that moved, with a name that was cut."""
    wrong = named("wrong", 5).replace("enabled", "enable")
    put(policies, {"a.yaml": f"{named('web', 10_080)}---\n{wrong}"})
    node.settle()
    put(policies, {"a.yaml": wrong, "b.yaml": named("web", 2)})
    node.settle()
    assert (node.minutes, node.states["wrong"], node.states["web"]) == ({"p": 1}, "invalid", "waiting")
    put(policies, {"a.yaml": wrong.replace("enable", "enabled")})
    node.settle()
    assert node.minutes == {"p": 1, "web": 2, "wrong": 5}


# --- Invalid files among valid ones ---


@pytest.mark.parametrize(
    "bad",
    [
        b"\xff\xfe\x00binary",
        b"label: [",
        b"label: x\nlabel: y\n",
        b"just a sentence",
        b"a: &a [*a, *a]",
        b"{" * 10_000,
        b"x" * (2**20 + 1),
        b'{"label": "cut',
        b"enabled: true\nimage_policy:\n  removal:\n  - image_nam: '*'\n",
        b"\0" * 4096,
    ],
)
def test_an_invalid_file_is_shown_and_does_not_affect_the_others(node: Node, bad: bytes) -> None:
    (node.policies / "a.yaml").write_bytes(bad)
    (node.policies / "z.yaml").write_bytes(bad)
    put(node.policies, {"q.yaml": a_policy(2)})
    node.settle()
    assert node.minutes == {"p": 1, "q": 2}
    assert {problem.file for problem in node.reading.problems if problem.is_error} == {
        f"{node.policies}/a.yaml",
        f"{node.policies}/z.yaml",
    }


def test_an_entry_that_is_not_a_file_in_the_folder_does_not_affect_the_others(node: Node) -> None:
    os.mkfifo(node.policies / "fifo.yaml")
    (node.policies / "device.yaml").symlink_to("/dev/zero")
    (node.policies / "out.yaml").symlink_to("/etc/passwd")
    (node.policies / "nowhere.yaml").symlink_to("nowhere")
    (node.policies / "circle.yaml").symlink_to("circle.yaml")
    (node.policies / "up").symlink_to("..")
    (node.policies / "folder.yaml").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(node.policies / "socket.yaml"))
        node.settle()
    assert node.minutes == {"p": 1}
    assert len({problem.file for problem in node.reading.problems}) == 7


def test_names_that_are_not_utf8_can_be_shown_and_stored(node: Node) -> None:
    for name in (b"\xff.yaml", b"new\nline.yaml", b"\xe2\x80\xae.yaml", b"\x1b[31m.yaml"):
        (node.policies / os.fsdecode(name)).write_text(a_policy(2))
    (node.policies / os.fsdecode(b"\xfe.yaml")).write_text("label: [")
    status = node.settle()
    assert len(node.in_force) == 5
    files = [document.file for document in node.reading.documents]
    for text in (*node.in_force, *files, *map(str, node.reading.problems), *status.degraded):
        assert text.encode().decode().isprintable()
    stored = node.reported()
    assert sorted(row.file for row in stored) == sorted(files)


# --- Other entries ---


@pytest.mark.needs_tools
def test_hidden_and_temporary_names_are_not_policies(node: Node, tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "upstream")
    upstream.commit({"committed.yaml": a_policy(9)})
    git(tmp_path, "clone", "--quiet", "--bare", str(upstream.place), str(node.policies / ".git"))
    mess = ["..2026_11_23/p.yaml", ".worktrees/0123/p.yaml", ".p.yaml.swp", ".p.yaml", ".#p.yaml", ".tmp/p.yaml"]
    mess += ["p.yaml~", "#p.yaml#", "p.yaml.bak", "p.yaml.orig", "p.yaml.tmp", "4913", "p.yaml.dpkg-new", "p.yam"]
    put(node.policies, dict.fromkeys(mess, a_policy(2)))
    (node.policies / "..data").symlink_to("..2026_11_23")
    (node.policies / "tmp-link").symlink_to(".worktrees/0123")
    (node.policies / "tmp-link").unlink()
    node.settle()
    assert (node.minutes, node.errors) == ({"p": 1}, [])


def test_an_editor_that_saves_by_renaming_works(node: Node) -> None:
    """vim: a backup beside it, a new file under the old name, the backup deleted."""
    (node.policies / "p.yaml").rename(node.policies / "p.yaml~")
    put(node.policies, {"p.yaml": a_policy(2)})
    (node.policies / "p.yaml~").unlink()
    assert node.notices_change()
    assert node.minutes == {"p": 2}


def test_a_tree_behind_a_link_in_the_folder_is_read_under_the_name_of_the_link(node: Node) -> None:
    """git-sync may have its root in the folder: then the tree is hidden, and the link is what counts."""
    for version in (1, 2):
        put(node.policies, {f".worktrees/v{version}/x.yaml": a_policy(version)})
        (node.policies / "tmp-link").symlink_to(f".worktrees/v{version}")
        (node.policies / "tmp-link").replace(node.policies / "site")
        node.settle()
        assert node.minutes == {"p": 1, "site/x": version}


def test_a_thousand_files_are_read_and_read_again_at_once(policies: Path) -> None:
    put(policies, {f"{number % 10}/{number}.yaml": a_policy(number + 1) for number in range(1000)})
    folder = PolicyFolder(policies)
    first = folder.read()
    assert (len(first.documents), first.problems) == (1001, ())
    known = {document.name: document for document in first.documents}
    (policies / "3/33.yaml").write_text(a_policy(77))
    second = folder.read()
    assert [document.name for document in second.documents if document is not known[document.name]] == ["3/33"]

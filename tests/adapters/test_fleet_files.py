"""Reading the nodes of a fleet from folders, files and lines."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from controller.adapters.fleet_files import read_fleet
from controller.policy.source import MOST_BYTES


def a_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def found(path: Path) -> tuple[list[str], list[str]]:
    """IDs, and problems without the folder."""
    fleet = read_fleet(path)
    return [node.id for node in fleet.nodes], [str(problem).replace(f"{path}", "FLEET") for problem in fleet.problems]


def test_a_folder_of_node_files_is_a_fleet(tmp_path: Path) -> None:
    a_file(tmp_path / "a.yaml", "id: a\npolicy: {}\n---\nid: b\npattern: p\n")
    a_file(tmp_path / "deeper" / "c.json", '{"id": "c", "policy": {}}')
    a_file(tmp_path / "notes.txt", "not a node")
    assert found(tmp_path) == (["a", "b", "c"], [])


def test_a_file_of_json_lines_is_a_fleet_whatever_it_is_called(tmp_path: Path) -> None:
    lines = a_file(tmp_path / "fleet", '{"id": "a", "policy": {}}\n\n{"id": "b", "policy": {}}')
    assert found(lines) == (["a", "b"], [])


def test_a_yaml_file_is_a_fleet_too(tmp_path: Path) -> None:
    assert found(a_file(tmp_path / "fleet.yaml", "id: a\npolicy: {}\n---\nid: b\npolicy: {}\n")) == (["a", "b"], [])


def test_a_bad_line_does_not_take_the_others_down(tmp_path: Path) -> None:
    text = '{"id": "a", "policy": {}}\n{"id": "b",\n{"id": "c", "pattern": 7}\n{"id": "d", "policy": {}}\n'
    nodes, problems = found(a_file(tmp_path / "fleet.jsonl", text))
    assert nodes == ["a", "d"]
    assert [problem.split(" ")[0] for problem in problems] == ["FLEET:2:1:", "FLEET:3:24:"]


def test_a_line_that_does_not_end_is_a_problem_and_is_not_kept_in_memory(tmp_path: Path) -> None:
    text = '{"id": "a", "policy": {}}\n' + "x" * (3 * MOST_BYTES) + '\n{"id": "b", "policy": {}}\n'
    nodes, problems = found(a_file(tmp_path / "fleet.jsonl", text))
    assert nodes == ["a", "b"]
    assert "FLEET:2:1: error: larger than 1 MiB" in problems[0]


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "fleet"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=('{"id": "a", "policy": {}}\n',))
    writer.start()
    assert found(pipe) == (["a"], [])
    writer.join()


def test_an_id_is_taken_once(tmp_path: Path) -> None:
    a_file(tmp_path / "a.yaml", "org: o\nid: a\npolicy: {}\n---\norg: other\nid: a\npolicy: {}\n")
    a_file(tmp_path / "b.yaml", "org: o\nid: a\npattern: p\n---\npolicy: {}\n---\npolicy: {}\n")
    nodes, problems = found(tmp_path)
    assert nodes == ["a", "a", "", ""]
    assert problems == ['FLEET/b.yaml:1:1: error: id: the ID "a" is taken by FLEET/a.yaml:1 (leave one of them out)']


@pytest.mark.parametrize("name", ["missing", "missing.yaml"])
def test_what_is_not_there_is_a_problem(tmp_path: Path, name: str) -> None:
    assert "error" in found(tmp_path / name)[1][0]


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_fleet_without_nodes_is_a_problem(tmp_path: Path, text: str | None) -> None:
    path = tmp_path if text is None else a_file(tmp_path / "fleet.jsonl", text)
    assert found(path) == ([], ["FLEET:1:1: error: describes no node"])


def test_a_device_without_an_end_is_refused() -> None:
    (problem,) = read_fleet(Path("/dev/zero")).problems
    assert problem.is_error
    assert problem.message == "is a device and not a file of nodes"

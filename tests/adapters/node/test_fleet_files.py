"""Reading the nodes of a fleet from folders, files and lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.node.fleet_files import read_fleet, read_plans
from controller.errors import InvalidSettings
from controller.plan.memory.idleness import Usage
from controller.plan.report.report import plan_frame, shown_references
from controller.plan.report.rows import as_values
from controller.plan.scope.candidate import Candidate, PlanOfNode
from controller.plan.verdict.verdict import Reason
from controller.policy.text.source import MOST_BYTES
from tests import sample_node


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


def test_a_file_of_json_lines_with_any_name_is_a_fleet(tmp_path: Path) -> None:
    lines = a_file(tmp_path / "fleet", '{"id": "a", "policy": {}}\n\n{"id": "b", "policy": {}}')
    assert found(lines) == (["a", "b"], [])


def test_a_yaml_file_is_a_fleet_too(tmp_path: Path) -> None:
    assert found(a_file(tmp_path / "fleet.yaml", "id: a\npolicy: {}\n---\nid: b\npolicy: {}\n")) == (["a", "b"], [])


def test_a_bad_line_does_not_affect_the_others(tmp_path: Path) -> None:
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


def test_a_duplicate_id_is_a_problem(tmp_path: Path) -> None:
    a_file(tmp_path / "a.yaml", "org: o\nid: a\npolicy: {}\n---\norg: other\nid: a\npolicy: {}\n")
    a_file(tmp_path / "b.yaml", "org: o\nid: a\npattern: p\n---\npolicy: {}\n---\npolicy: {}\n")
    nodes, problems = found(tmp_path)
    assert nodes == ["a", "a", "", ""]
    assert problems == [
        'FLEET/b.yaml:1:1: error: id: duplicate node ID "a", first in FLEET/a.yaml:1 (remove one of them)'
    ]


@pytest.mark.parametrize("name", ["missing", "missing.yaml"])
def test_a_missing_file_is_a_problem(tmp_path: Path, name: str) -> None:
    assert "error" in found(tmp_path / name)[1][0]


@pytest.mark.parametrize("text", [None, "", "\n"])
def test_a_fleet_without_nodes_is_a_problem(tmp_path: Path, text: str | None) -> None:
    path = tmp_path if text is None else a_file(tmp_path / "fleet.jsonl", text)
    assert found(path) == ([], ["FLEET:1:1: error: contains no node"])


def test_a_device_without_an_end_is_refused() -> None:
    (problem,) = read_fleet(Path("/dev/zero")).problems
    assert problem.is_error
    assert problem.message == "is a device, not a file of nodes"


def a_row(reference: str, **more: Any) -> dict[str, Any]:
    return {"reference": reference, "verdict": "NO_RULE", "agent_downloaded": None, **more}


def a_plan(node: Any, *rows: dict[str, Any]) -> str:
    return json.dumps({"references": rows, "documents": [], "node": node}, indent=2)


def test_every_reference_that_nothing_protects_is_a_candidate(tmp_path: Path) -> None:
    rows = (
        a_row("old:1", verdict="IN_USE", agent_downloaded="used by a container of the agent"),
        a_row("sha256:" + "0" * 64, names_remembered=["docker.io/library/old:0"]),
        a_row("kept:1", verdict="PROTECTED"),
    )
    file = tmp_path / "plan.json"
    file.write_text(a_plan({"org": "myorg", "id": "gw-1", "why": ""}, *rows))
    nameless = Candidate("sha256:" + "0" * 64, ("docker.io/library/old:0",))
    assert read_plans(file) == (PlanOfNode("myorg", "gw-1", (Candidate("old:1", (), True), nameless)),)


def test_what_the_planner_reports_is_read(tmp_path: Path) -> None:
    policies = sample_node.write_policies(tmp_path / "policies")
    decision = sample_node.decision_on(sample_node.memory_of(60), policies)
    file = tmp_path / "plan.json"
    frame = as_values(plan_frame(decision, PolicyFolder(policies).read()))
    plan_values = {"references": shown_references(decision, Usage.ANY), **frame}
    file.write_text(json.dumps(plan_values, default=as_values))
    (plan,) = read_plans(file)
    candidates = [verdict for verdict in decision.plan.verdicts if verdict.reason is not Reason.PROTECTED]
    assert (plan.org, plan.id) == ("factory", "gateway-12")
    assert [each.reference for each in plan.candidates] == [verdict.reference for verdict in candidates]
    assert {len(each.names) > 0 for each in plan.candidates if each.reference.startswith("sha256:")} == {True}


def test_plans_of_many_nodes_may_follow_each_other(tmp_path: Path) -> None:
    file = tmp_path / "plans.json"
    file.write_text("\n".join(a_plan({"id": name}) for name in ("a", "b")) + a_plan({"id": "c"}))
    assert [plan.id for plan in read_plans(file)] == ["a", "b", "c"]


def test_a_plan_need_not_name_its_node(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(a_plan({"why": "", "is_degraded": False}) + a_plan(None))
    assert [(plan.org, plan.id) for plan in read_plans(file)] == [("", ""), ("", "")]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "7",
        "{}",
        '{"references": 7}',
        '{"references": [7]}',
        '{"references": [{"reference": "a"}]}',
        "[" * 9999,
        a_plan("n"),
        a_plan({}, {**a_row("a"), "reference": 7}),
        a_plan({}, a_row("a", names_remembered=[7])),
        a_plan({})[:-1],
        a_plan({"org": ["o"], "id": "n"}),
        a_plan({"org": "o", "id": 7}),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=r"plan.json is not output of `imagectl plan -o json`$"):
        read_plans(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        read_plans(tmp_path)

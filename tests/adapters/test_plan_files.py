"""Reading what `imagectl plan -o json` has printed on one node or on many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.plan_files import read_plans
from controller.adapters.policy_folder import PolicyFolder
from controller.errors import InvalidSettings
from controller.plan.candidate import Candidate, PlanOfNode
from controller.plan.idleness import Usage
from controller.plan.report import report_values
from controller.plan.verdict import Reason
from tests import sample_node


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
    file.write_text(json.dumps(report_values(decision, PolicyFolder(policies).read(), Usage.ANY)))
    (plan,) = read_plans(file)
    candidates = [verdict for verdict in decision.plan.verdicts if verdict.reason is not Reason.PROTECTED]
    assert (plan.org, plan.id) == ("factory", "gateway-12")
    assert [each.reference for each in plan.candidates] == [verdict.reference for verdict in candidates]
    assert {len(each.names) > 0 for each in plan.candidates if each.reference.startswith("sha256:")} == {True}


def test_plans_of_many_nodes_may_follow_each_other(tmp_path: Path) -> None:
    file = tmp_path / "plans.json"
    file.write_text("\n".join(a_plan({"id": name}) for name in ("a", "b")) + a_plan({"id": "c"}))
    assert [plan.id for plan in read_plans(file)] == ["a", "b", "c"]


def test_a_plan_need_not_say_of_which_node_it_is(tmp_path: Path) -> None:
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
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "plan.json"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=r"plan.json is not what `imagectl plan -o json` prints$"):
        read_plans(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot be read"):
        read_plans(tmp_path)

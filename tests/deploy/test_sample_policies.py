"""The policies of manifests/policies do what their comments say, on a node and images made for each of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from controller.adapters.folder.folder import PolicyFolder
from controller.cli.main import imagectl
from controller.plan.memory.memory import Evidence
from controller.plan.node.agent import NodeAnswer, NodeSource
from controller.plan.node.node import Node, node_of
from controller.plan.scope.in_force import DocumentState
from controller.plan.verdict.decision import Conditions, Decision, decide_again
from controller.policy.document.node_document import parse_nodes
from tests.builders import DAY, HOUR, MINUTE, a_memory, a_record, an_image, an_observation

SAMPLES = Path(__file__).parents[2] / "manifests" / "policies"
_NOW = 100 * DAY
_SERVICE, _BUILT_BY_HAND, _MODEL = "openhorizon.example/service:1", "tool:1", "registry.local:5000/vision/model:1"


def decided(
    folder: Path, sample: str, idle_seconds: float, node: str = "policy: {}", watched_seconds: float = 0.0
) -> Decision:
    """The decision of a node with this policy, known for `watched_seconds`, and three images idle for that time."""
    shutil.copy(SAMPLES / sample, folder)
    images = [an_image(name) for name in (_SERVICE, _BUILT_BY_HAND, _MODEL)]
    records = {image.id: a_record(last_used=_NOW - idle_seconds) for image in images}
    of_agent = Evidence(NodeSource.AGENT_CONTAINER, "", 1.0)
    evidence = {image.id: of_agent for image in images if image.tags[0].familiar != _BUILT_BY_HAND}
    memory = a_memory(an_observation(images), records, now=_NOW - watched_seconds, evidence=evidence)
    conditions = Conditions(trust_new_texts=True)
    first = decide_again(
        Decision(memory=memory, node=NodeAnswer(a_node(node))), PolicyFolder(folder).read(), conditions
    )
    later = replace(first, memory=replace(first.memory, clock=replace(first.memory.clock, seconds=_NOW)))
    return decide_again(later, PolicyFolder(folder).read(), conditions)


def a_node(text: str) -> Node:
    (document,) = parse_nodes(text.encode(), "node.yaml").nodes
    return node_of(document)


def due(decision: Decision) -> set[str]:
    """The references that are due."""
    return {verdict.reference for verdict in decision.plan.removals}


def state(decision: Decision) -> DocumentState:
    (document,) = decision.scope.documents
    return document.state


def test_each_of_them_passes_the_strict_check() -> None:
    done = CliRunner().invoke(imagectl, ["nmp", "validate", "--strict", str(SAMPLES)])
    assert (done.exit_code, len(list(SAMPLES.iterdir()))) == (0, 6), done.output


@pytest.mark.parametrize("sample", sorted(path.name for path in SAMPLES.iterdir()))
def test_each_of_them_describes_its_case_and_names_the_schema(sample: str) -> None:
    first, *rest = (SAMPLES / sample).read_text().splitlines()
    assert (SAMPLES / first.partition("$schema=")[2]).is_file()
    assert rest[1].startswith("# Case: ")


def test_agent_images_are_removed_a_day_after_their_last_use_and_other_images_are_kept(tmp_path: Path) -> None:
    assert due(decided(tmp_path, "agent-images-after-a-day.yaml", DAY)) == {_SERVICE, _MODEL}


def test_agent_images_are_kept_for_the_day(tmp_path: Path) -> None:
    assert due(decided(tmp_path, "agent-images-after-a-day.yaml", DAY - MINUTE)) == set()


def test_the_sweep_removes_everything_after_a_week(tmp_path: Path) -> None:
    assert due(decided(tmp_path, "everything-unused-for-a-week.yaml", 7 * DAY)) == {_SERVICE, _BUILT_BY_HAND, _MODEL}


def test_the_sweep_removes_nothing_before_a_week(tmp_path: Path) -> None:
    assert due(decided(tmp_path, "everything-unused-for-a-week.yaml", 7 * DAY - MINUTE)) == set()


@pytest.mark.parametrize(("idle_seconds", "gone"), [(HOUR, {_MODEL}), (30 * DAY, {_MODEL, _SERVICE})])
def test_one_family_is_removed_sooner_than_the_rest(tmp_path: Path, idle_seconds: float, gone: set[str]) -> None:
    assert due(decided(tmp_path, "one-family-sooner-than-the-rest.yaml", idle_seconds)) == gone


@pytest.mark.parametrize(("pattern", "gone"), [("pattern-camera", {_SERVICE, _MODEL}), ("pattern-gateway", set())])
def test_a_pattern_chooses_the_nodes(tmp_path: Path, pattern: str, gone: set[str]) -> None:
    node = f"org: example\npattern: {pattern}\npolicy: {{}}"
    assert due(decided(tmp_path, "by-pattern.yaml", 6 * HOUR, node)) == gone


@pytest.mark.parametrize(("site", "gone"), [("turin", {_SERVICE, _MODEL}), ("oslo", set())])
def test_constraints_choose_the_nodes(tmp_path: Path, site: str, gone: set[str]) -> None:
    properties = {"role": "gateway", "site": site, "openhorizon.arch": "arm64"}
    node = "policy: {properties: [" + ", ".join(f"{{name: {n}, value: {v}}}" for n, v in properties.items()) + "]}"
    assert due(decided(tmp_path, "by-constraint.yaml", 3 * DAY, node)) == gone


def test_they_choose_the_gateway_of_the_samples(tmp_path: Path) -> None:
    gateway = (SAMPLES.parent / "nodes" / "gateway.yaml").read_text()
    assert due(decided(tmp_path, "by-constraint.yaml", 3 * DAY, gateway)) == {_SERVICE, _MODEL}


def test_a_staged_policy_waits_for_the_offset_of_its_node(tmp_path: Path) -> None:
    canary = "org: example\nid: node-1\npolicy: {properties: [{name: ring, value: canary}]}"
    assert state(decided(tmp_path, "staged.yaml", 3 * DAY, canary)) is DocumentState.WAITING
    assert due(decided(tmp_path, "staged.yaml", 3 * DAY, canary, watched_seconds=6 * HOUR)) == {_SERVICE, _MODEL}


def test_a_staged_policy_is_for_canaries_only(tmp_path: Path) -> None:
    decision = decided(tmp_path, "staged.yaml", 3 * DAY, watched_seconds=6 * HOUR)
    assert (state(decision), due(decision)) == (DocumentState.NOT_APPLICABLE, set())

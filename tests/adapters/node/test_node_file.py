"""The node file as the source of the node."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from controller.adapters.host.facts import AnonymousNode, Host
from controller.adapters.node.agent import Agent
from controller.adapters.node.node_file import NodeFile, which_node
from controller.constraint.property import ALLOW_PRIVILEGED, Property
from controller.errors import InvalidSettings
from controller.plan.node.agent import Agreement, Half, KeptAnswer, NodeAnswer, NodeSource, believed
from controller.plan.node.matching import match
from controller.plan.node.node import ARCH, BUILTIN_NAMES, CPU, HostFacts, Node
from controller.policy.document.parse import parse_documents
from tests.fake_agent import FakeAgent
from tests.fake_exchange import status

HOST = Host(HostFacts("processor : 0\n", None, "x86_64", "ID=debian\n", hardware_id="hw"), "0f" * 16)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "node.yaml"


def write(file: Path, text: str) -> None:
    file.write_text(text)


def ask(file: Path) -> NodeAnswer:
    return NodeFile(file, HOST).ask()


def node_in(file: Path) -> Node:
    answer = ask(file)
    assert answer.node, answer.why
    return answer.node


def test_the_node_is_the_one_in_the_file(file: Path) -> None:
    write(file, "org: myorg\nid: gw-1\npolicy:\n  properties: [{name: site, value: lyon}]\n  constraints: [a == b]\n")
    answer = ask(file)
    assert answer.node
    assert (answer.node.org, answer.node.id, answer.node.pattern) == ("myorg", "gw-1", "")
    assert Property("site", "lyon") in answer.node.properties
    assert answer.node.constraints == ("a == b",)
    assert (answer.source, answer.why, answer.is_degraded) == (str(file), f"as {file} says", False)


def test_a_pattern_without_an_organisation_is_the_nodes_own(file: Path) -> None:
    write(file, "org: myorg\npattern: gateway\n")
    assert node_in(file).pattern == "myorg/gateway"
    write(file, "pattern: gateway\n")
    assert node_in(file).pattern == "gateway"


def test_builtin_properties_are_added_where_the_file_does_not_give_them(file: Path) -> None:
    write(file, "policy:\n  properties: [{name: openhorizon.arch, value: riscv64}]\n")
    said = {prop.name: prop.value for prop in node_in(file).properties}
    assert (said[ARCH], said[CPU], said[ALLOW_PRIVILEGED]) == ("riscv64", 1, False)
    assert said.keys() <= set(BUILTIN_NAMES)


def test_a_privilege_written_as_text_is_true_or_false_as_upstream_makes_it(file: Path) -> None:
    write(file, 'policy:\n  properties: [{name: openhorizon.allowPrivileged, value: "true"}]\n')
    assert Property(ALLOW_PRIVILEGED, True) in node_in(file).properties


def test_the_management_section_replaces_the_top_level_and_deployment_does_not_count(file: Path) -> None:
    write(
        file,
        """\
policy:
  properties: [{name: site, value: lyon}]
  constraints: [a == b]
  deployment: {properties: [{name: camera, value: true}], constraints: [c == d]}
  management: {properties: [{name: site, value: paris}], constraints: [e == f]}
""",
    )
    said = {prop.name: prop.value for prop in node_in(file).properties}
    assert said["site"] == "paris"
    assert "camera" not in said
    assert node_in(file).constraints == ("e == f",)


def test_of_a_flat_policy_of_the_exchange_only_builtin_properties_are_managed(file: Path) -> None:
    write(file, 'policy: {properties: [{name: a, value: 1}], constraints: [x == y], nodePolicyVersion: ""}\n')
    assert {prop.name for prop in node_in(file).properties} <= set(BUILTIN_NAMES)
    assert node_in(file).constraints == ()


def test_a_node_without_an_id_gets_one_that_other_hosts_do_not_have(file: Path) -> None:
    write(file, "policy: {}\n")
    assert node_in(file).id == HOST.identity
    write(file, "id: gw-1\npolicy: {}\n")
    assert node_in(file).id == "gw-1"


def test_a_change_takes_effect_at_the_next_read(file: Path) -> None:
    asked = NodeFile(file, HOST)
    write(file, "id: a\npolicy: {}\n")
    assert asked.ask().node == node_in(file)
    write(file, "id: b\npolicy: {}\n")
    answer = asked.ask()
    assert answer.node
    assert answer.node.id == "b"


# ── no valid answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_invalid_file_gives_no_answer_but_the_first_error_and_the_number_of_others(file: Path) -> None:
    write(file, "org: myorg\npatern: p\npolicy: {constraints: ['n => 5', 'n']}\n")
    answer = ask(file)
    assert (answer.node, answer.is_silence, answer.source) == (None, True, str(file))
    assert answer.why == (f'{file}:2:1: error: patern: unknown field in a node (did you mean "pattern"?) and 1 more')


def test_a_missing_file_gives_no_answer(file: Path) -> None:
    answer = ask(file)
    assert (answer.node, answer.is_silence) == (None, True)
    assert answer.why == f"{file}:1:1: error: does not exist, or is a link without a target"


def test_an_entry_that_is_not_a_file_gives_no_answer_and_is_not_opened(file: Path) -> None:
    os.mkfifo(file)
    os.utime(file, (0, 0))
    assert ask(file).is_silence
    assert "is a FIFO" in ask(file).why


def test_several_nodes_in_the_file_give_no_answer(file: Path) -> None:
    write(file, "id: a\npolicy: {}\n---\nid: b\npolicy: {}\n")
    assert ask(file).why == f"{file} describes 2 nodes (expected one)"
    assert ask(file).is_silence


def test_a_warning_is_shown_and_has_no_effect(file: Path) -> None:
    write(file, "policy: {constraints: ['n => 5']}\n")
    answer = ask(file)
    assert answer.node
    assert answer.node.constraints == ("n => 5",)
    assert answer.why.startswith(f"as {file} says, with {file}:1:")
    assert ": warning: policy.constraints[0]: " in answer.why
    assert not answer.is_degraded


def test_while_the_file_is_invalid_its_last_valid_answer_is_used(file: Path) -> None:
    write(file, "id: a\npolicy: {}\n")
    good = ask(file)
    write(file, "id: [\n")
    answer = believed(ask(file), KeptAnswer(good, at=1000.0), now=1600.0)
    assert answer.node == good.node
    assert answer.is_degraded
    assert answer.why.endswith("; its last answer is used")
    assert answer.age_seconds == 600.0


# ── a new text ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_text_has_the_same_hash_whenever_it_was_written(file: Path) -> None:
    write(file, "policy: {}\n")
    before = ask(file)
    write(file, "policy: {}\n")
    os.utime(file, (0, 0))
    assert ask(file) == before
    write(file, "policy: {} \n")
    assert ask(file).text_hash != before.text_hash != ""


# ── the samples ───────────────────────────────────────────────────────────────────────────────────────────────────────

MANIFESTS = Path(__file__).parents[3] / "manifests"
SWEEP = b"{enabled: true, label: sweep, properties: [{name: purpose, value: cleaning}], SELECTION}"


@pytest.mark.parametrize(
    ("sample", "selection", "applies"),
    [
        ("anonymous.yaml", b"constraints: []", True),
        ("anonymous.yaml", b"constraints: [openhorizon.arch == amd64]", True),
        ("anonymous.yaml", b"constraints: [site == lyon]", False),
        ("gateway.yaml", b'constraints: ["site == lyon && firmware in [2.0.0,3.0.0)"]', True),
        ("gateway.yaml", b'constraints: [rooms in "attic"]', False),
        ("gateway.yaml", b'constraints: [rooms in "kitchen"]', True),
        ("gateway.yaml", b"patterns: [gateway]", False),
        ("pattern.yaml", b"patterns: [gateway]", True),
        ("pattern.yaml", b"patterns: [myorg/gateway]", True),
        ("pattern.yaml", b"constraints: []", False),
        ("sections.json", b"constraints: [site == lyon]", False),
        ("sections.json", b"constraints: [site == lyon-roof]", True),
        ("sections.json", b"constraints: [camera == true]", False),
    ],
)
def test_the_samples_match_the_intended_documents(sample: str, selection: bytes, applies: bool) -> None:
    parsed = parse_documents(SWEEP.replace(b"SELECTION", selection), "sweep.yaml")
    (policy,) = parsed.policies
    assert match(policy, node_in(MANIFESTS / "nodes" / sample)).applies is applies


def a_node_file(folder: Path) -> Path:
    file = folder / "node.yaml"
    file.write_text("org: myorg\nid: of-the-file\npolicy: {}\n")
    os.utime(file, (0, 0))
    return file


def test_the_source_is_a_file_an_agent_or_an_anonymous_node(tmp_path: Path) -> None:
    assert isinstance(which_node(None, ""), AnonymousNode)
    assert isinstance(which_node(tmp_path / "node.yaml", ""), NodeFile)
    assert isinstance(which_node(None, "http://localhost:8510"), Agent)


def test_an_invalid_agent_address_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings):
        which_node(tmp_path / "node.yaml", "localhost")


def test_with_both_the_file_describes_the_node_and_the_agent_names_the_images(tmp_path: Path) -> None:
    with FakeAgent() as agent:
        agent.deploy("a1", web="web:1")
        answer = which_node(a_node_file(tmp_path), agent.url).ask()
    assert answer.node
    assert answer.node.id == "of-the-file"
    assert answer.source == str(tmp_path / "node.yaml")
    assert answer.agent.agreements == (Agreement("a1", ("web:1",)),)
    assert answer.agent.named == {"web:1": NodeSource.AGREEMENT}


def test_an_agent_that_is_not_registered_does_not_hide_the_file(tmp_path: Path) -> None:
    with FakeAgent() as agent:
        agent.state = "unconfigured"
        answer = which_node(a_node_file(tmp_path), agent.url).ask()
    assert answer.node
    assert answer.node.id == "of-the-file"
    assert not answer.is_degraded


def test_with_both_one_missing_answer_leaves_the_part_of_the_other(tmp_path: Path) -> None:
    with FakeAgent() as agent:
        agent.misbehaviours["/agreement"] = status(500)
        answer = which_node(a_node_file(tmp_path), agent.url).ask()
        assert answer.node
        assert (answer.is_silence, answer.half, answer.source) == (True, Half.NODE, str(tmp_path / "node.yaml"))
        assert answer.why.endswith("answered 500 at /agreement")
        agent.misbehaviours.clear()
        agent.deploy("a1", web="web:1")
        missing = which_node(tmp_path / "missing.yaml", agent.url).ask()
        assert (missing.node, missing.is_silence, missing.half) == (None, True, Half.AGENT)
        assert missing.agent.agreements == (Agreement("a1", ("web:1",)),)

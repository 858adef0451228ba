"""Node files: valid values, all problems at once, and no node from an incomplete file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.document.node_document import NodeDocument, parse_node_line, parse_nodes
from controller.policy.schema import node_json_schema
from tests.policy.drafts import properties, some_constraints

_MANIFESTS = Path(__file__).parents[3] / "manifests"
_SAMPLES = _MANIFESTS / "nodes"
LYON = {"name": "site", "value": "lyon"}


def read(text: str | dict[str, Any], file: str = "n.yaml") -> NodeDocument:
    parsed = parse_nodes((text if isinstance(text, str) else json.dumps(text)).encode(), file)
    assert not parsed.problems
    (node,) = parsed.nodes
    return node


def problems(text: str | bytes | dict[str, Any], file: str = "n.yaml") -> list[str]:
    data = json.dumps(text) if isinstance(text, dict) else text
    return [str(problem) for problem in parse_nodes(data if isinstance(data, bytes) else data.encode(), file).problems]


def test_a_node_has_an_organisation_an_id_a_pattern_and_a_policy() -> None:
    node = read("org: myorg\nid: gw-1\npattern: myorg/gateway\npolicy:\n  properties: [{name: site, value: lyon}]\n")
    assert (node.org, node.id, node.pattern) == ("myorg", "gw-1", "myorg/gateway")
    assert node.policy == {"properties": [LYON]}
    assert (node.file, node.line) == ("n.yaml", 1)


def test_missing_values_are_empty_and_null_is_missing() -> None:
    assert read("policy: {}") == NodeDocument("", "", "", {}, "n.yaml", 1)
    assert read({"org": None, "id": None, "pattern": None, "policy": {}}) == read("policy: {}")


@pytest.mark.parametrize("sample", sorted(_SAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_samples_are_valid(sample: Path) -> None:
    parsed = parse_nodes(sample.read_bytes(), sample.name)
    assert parsed.problems == ()
    assert len(parsed.nodes) == 1


def test_a_policy_of_the_exchange_can_be_dropped_in() -> None:
    answer = {"label": "l", "description": "", "properties": [LYON], "constraints": [], "lastUpdated": "2026-01-01"}
    sections = {"deployment": {"properties": None, "constraints": []}, "management": {}, "nodePolicyVersion": "v2"}
    assert not read({"policy": {**answer, **sections}}).is_flat


def test_a_policy_that_the_exchange_calls_one_of_the_first_version_is_flat() -> None:
    assert read({"policy": {"properties": [LYON], "constraints": ["a == b"], "nodePolicyVersion": ""}}).is_flat
    assert not read({"policy": {"properties": [LYON], "constraints": ["a == b"]}}).is_flat


def test_a_file_may_describe_several_nodes() -> None:
    parsed = parse_nodes(b"id: a\npolicy: {}\n---\nid: b\npattern: p\n", "n.yaml")
    assert [(node.id, node.line) for node in parsed.nodes] == [("a", 1), ("b", 4)]


def test_all_problems_are_reported_at_once_with_their_places() -> None:
    text = """\
org: my org
id: 7
patern: p
policy:
  constraints:
    - a = nginx:1
  properties:
    - {name: site}
  management:
    constraint: [a == b]
"""
    found = parse_nodes(text.encode(), "n.yaml").problems
    assert [(problem.line, problem.column, problem.field, problem.hint) for problem in found] == [
        (1, 6, "org", ""),
        (2, 5, "id", 'write "7", in quotes'),
        (3, 1, "patern", 'did you mean "pattern"?'),
        (6, 16, "policy.constraints[0]", ""),
        (8, 7, "policy.properties[0].value", "a text, a number, true or false"),
        (10, 5, "policy.management.constraint", 'did you mean "constraints"?'),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: error: contains no node"),
        ("# nothing\n", "1:1: error: contains no node"),
        ("null", "1:1: error: contains no node"),
        ("[]", "1:1: error: must be a mapping (name: value), not a list"),
        ("{}", "1:1: error: has no pattern and no policy"),
        ("org: myorg\nid: gw-1\n", "1:1: error: has no pattern and no policy"),
        ("org: myorg\nid: gw-1\npolicy:\n", "1:1: error: has no pattern and no policy"),
        ("pattern: ''", "1:1: error: has no pattern and no policy"),
        ("policy: [", "1:10: error: missing comma or closing bracket"),
        ("policy: {}\npolicy: {}", "2:1: error: policy: duplicate field, first in line 1"),
        ("pattern: a/b/c", '1:10: error: pattern: "a/b/c" is not a pattern: org/name, or name'),
        ("pattern: a b", '1:10: error: pattern: "a b" is not a pattern: org/name, or name'),
        ("pattern: 12:30", "1:10: error: pattern: must be text, not 12:30, which is a base-60 number"),
        ("id: myorg/gw\npolicy: {}", '1:5: error: id: "myorg/gw" is not the ID of a node: no blank, no slash'),
        ("policy: {properties: {site: lyon}}", "1:22: error: policy.properties: must be a list, not a mapping"),
        ('policy: {constraints: ["a == b || "]}', "1:32: error: policy.constraints[0]: "),
        ("policy: {properties: [{name: a, value: on}]}", "1:40: error: policy.properties[0].value: on is a boolean in"),
        ("policy: {nodePolicyVersion: v3}", '1:29: error: policy.nodePolicyVersion: unknown value "v3"'),
        (b"\xff", "1:1: error: byte 0xff is not UTF-8"),
    ],
)
def test_what_is_not_a_node_is_an_error(text: str | bytes, problem: str) -> None:
    (found,) = problems(text)
    assert found.startswith(f"n.yaml:{problem}")


def test_one_bad_node_does_not_affect_the_others() -> None:
    parsed = parse_nodes(b"id: a\npolicy: {}\n---\nid: [\n---\nid: c\npolicy: {}\n", "n.yaml")
    assert [node.id for node in parsed.nodes] == ["a", "c"]
    assert [problem.line for problem in parsed.problems] == [5]


def test_a_node_with_a_warning_is_read() -> None:
    parsed = parse_nodes(b"policy: {constraints: ['n => 5']}", "n.yaml")
    assert len(parsed.nodes) == 1
    assert [problem.severity for problem in parsed.problems] == ["warning"]


@pytest.mark.parametrize("policy", [{"constraints": [""]}, {"management": {"constraints": [" "]}}])
def test_a_blank_constraint_is_a_warning_and_an_agent_accepts_it(policy: dict[str, Any]) -> None:
    parsed = parse_nodes(json.dumps({"policy": policy}).encode(), "n.json")
    assert [node.policy for node in parsed.nodes] == [policy]
    assert ["an empty constraint restricts nothing" in str(problem) for problem in parsed.problems] == [True]
    assert not parsed.problems[0].is_error


def test_a_node_whose_constraints_are_not_all_read_is_invalid() -> None:
    (problem,) = problems({"policy": {"constraints": ["a == b || " * 4_000 + "c == d"] * 3}})
    assert "policy.constraints[1]: the file has more than 65536 characters of constraints" in problem


@given(st.data())
def test_no_truncated_file_is_a_node_without_its_pattern(data: st.DataObject) -> None:
    """A file that is being written may be cut anywhere. It must not be read as a node with fewer values."""
    text = "org: myorg\nid: gw-1\npattern: myorg/gateway\n"
    cut = text[: data.draw(st.integers(0, len(text) - 2))]
    for node in parse_nodes(cut.encode(), "n.yaml").nodes:
        assert node.pattern
        assert "myorg/gateway".startswith(node.pattern)


@given(constraints=some_constraints, sites=st.lists(st.sampled_from(["lyon", "paris", "5"]), max_size=3))
def test_the_policy_is_kept_as_it_is_written(constraints: list[str], sites: list[str]) -> None:
    policy = {"constraints": constraints, "management": {"properties": [{"name": "s", "value": v} for v in sites]}}
    assert read({"policy": policy}).policy == policy
    assert read({"policy": policy}, "n.json").policy == policy


def test_a_line_of_a_file_of_json_lines_is_a_node() -> None:
    parsed = parse_node_line(b'{"id": "a", "policy": {}}\n', "fleet.jsonl", 17)
    assert [(node.id, node.file, node.line) for node in parsed.nodes] == [("a", "fleet.jsonl", 17)]
    assert parse_node_line(b"  \n", "fleet.jsonl", 18).nodes == ()
    (problem,) = parse_node_line(b'{"id": "a", "polcy": {}}\n', "fleet.jsonl", 19).problems
    assert str(problem) == 'fleet.jsonl:19:13: error: polcy: unknown field in a node (did you mean "policy"?)'


# ── the JSON Schema ───────────────────────────────────────────────────────────────────────────────────────────────────

SCHEMA = node_json_schema()
FITS = jsonschema.Draft202012Validator(SCHEMA)

_sections = st.fixed_dictionaries(
    {},
    optional={"properties": st.none() | st.lists(properties, max_size=2), "constraints": st.none() | some_constraints},
)
_policies = st.builds(
    lambda top, management, more: {**top, **more, "management": management},
    _sections,
    st.none() | _sections,
    st.fixed_dictionaries(
        {}, optional={"label": st.text(max_size=5), "nodePolicyVersion": st.sampled_from(["v2", ""])}
    ),
)
_nodes: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "org": st.sampled_from([None, "myorg", "my org", "", 7]),
        "id": st.sampled_from([None, "gw-1", "o/gw-1", True]),
        "pattern": st.sampled_from([None, "", "p", "o/p", "o/p/q", " ", ["p"]]),
        "policy": st.none() | _policies | st.sampled_from([{}, [], "x", {"propertys": []}, {"constraints": "a == b"}]),
        "polcy": st.just({}),
    },
)


def test_the_manifest_is_the_schema() -> None:
    """If not: python -c 'import json; from controller.policy.schema import node_json_schema as s; print(json.dumps(s(),
    indent=2, ensure_ascii=False))' > manifests/node.schema.json
    """
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads((_MANIFESTS / "node.schema.json").read_text(encoding="utf-8")) == SCHEMA


@pytest.mark.parametrize("sample", sorted(_SAMPLES.iterdir()), ids=lambda path: path.name)
def test_the_samples_fit_the_schema(sample: Path) -> None:
    FITS.validate(yaml.safe_load(sample.read_text(encoding="utf-8")))


@given(_nodes)
def test_the_schema_and_the_validator_agree(node: dict[str, Any]) -> None:
    errors = [problem for problem in parse_nodes(json.dumps(node).encode(), "n.json").problems if problem.is_error]
    assert FITS.is_valid(node) == (not errors), errors

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from controller.errors import InvalidSelector
from controller.image.selector import parse_selector
from controller.policy.problem import Problem
from controller.policy.schema import json_schema
from controller.policy.text.source import read_source
from controller.policy.text.tree import plain
from tests.policy.drafts import a_draft, a_draft_with_rule, forms, mutated, problems_of

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

BEYOND_A_SCHEMA = re.compile(r"constraints\[\d+\]$|(image_name|imageId)$|\.value$|(_under_pressure|UnderPressure)$")
"""Fields whose values have a language, constraints, names of images and values of properties with a type; and a limit
that must be smaller than another one.
"""


def is_valid(draft: dict[str, Any]) -> bool:
    return bool(VALIDATOR.is_valid(draft))


def errors_in(draft: dict[str, Any]) -> list[str]:
    return [problem.field for problem in problems_of(draft) if problem.is_error]


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_manifest_is_the_schema() -> None:
    """If not: imagectl nmp schema > manifests/nmp.schema.json."""
    assert json.loads((ROOT / "manifests" / "nmp.schema.json").read_text(encoding="utf-8")) == SCHEMA


@given(forms)
def test_what_the_validator_accepts_the_schema_accepts(draft: dict[str, Any]) -> None:
    assert errors_in(draft) == []
    assert is_valid(draft)


@settings(max_examples=10 * settings().max_examples)
@given(mutated())
def test_both_agree_on_mutated_documents(draft: dict[str, Any]) -> None:
    errors = errors_in(draft)
    if not is_valid(draft):
        assert errors
    elif errors:
        assert all(BEYOND_A_SCHEMA.search(field) for field in errors)


@pytest.mark.parametrize(
    "draft",
    [
        a_draft(enabled=...),
        a_draft(enabled=None),
        a_draft(enabled="true"),
        a_draft(startWindow=-1),
        a_draft(startWindow=2**53 + 1),
        a_draft(start="tomorrow"),
        a_draft(start="2027-01-31t22:00:00Z"),
        a_draft(constraints=["a == b"], patterns=["p"]),
        a_draft(constraints=[" "]),
        a_draft(patterns=[""]),
        a_draft(upgrade={"manifest": "m"}),
        a_draft(agentUpgradePolicy={"manifest": "m"}),
        a_draft(agentImagePolicy={"imageRemovalPolicies": []}),
        a_draft(image_policy={"imageRemovalPolicies": []}),
        a_draft(image_policy={}),
        a_draft(properties=[{"name": "a"}]),
        a_draft(properties=[{"name": "a", "value": ["x"]}]),
        a_draft(properties=[{"name": "a", "value": "x", "type": "integer"}]),
        a_draft(properties=[{"name": "a", "value": "x", "type": "int"}]),
        a_draft(properties=[{"name": "a", "value": 1, "type": "boolean"}]),
        a_draft(properties=[{"name": "a", "value": "01", "type": "version"}]),
        a_draft(properties=[{"name": "openhorizon.allowPrivileged", "value": "yes"}]),
        a_draft_with_rule(image_name="image1"),
        a_draft_with_rule(image_name="nginx@sha256:abc"),
        a_draft_with_rule(image_name=...),
        a_draft_with_rule(delete_after_minutes=True),
        a_draft_with_rule(delete_after_minutes=1.5),
        a_draft_with_rule(delete_after_minutes="5"),
        a_draft_with_rule(delete_after_minutes=-1),
        a_draft_with_rule(delete_after_minutes=2**53 + 1),
        a_draft_with_rule(agent_downloaded_only=None),
        a_draft_with_rule(keep=3),
        a_draft_with_rule(imageId="a:1"),
        a_draft_with_rule(keepLast=1),
        a_draft_with_rule(keep_last=-1),
        a_draft_with_rule(keep_last=1001),
        a_draft_with_rule(keep_last=True),
        a_draft_with_rule(delete_after_minutes_under_pressure="1"),
        a_draft_with_rule(delete_after_minutes_under_pressure=-1),
        a_draft_with_rule(lost_tag_only="true"),
        {"apiVersion": "v1", "kind": "NodeManagementPolicy", "metadata": {"name": "a"}, "spec": a_draft()},
        {"apiVersion": "openhorizon.org/v1", "kind": "NodeManagementPolicy", "spec": a_draft()},
        {"spec": a_draft()},
        {"managementPolicy": {"org/a": a_draft(enabled=1)}},
        {"managementPolicy": {" ": a_draft()}},
        {"managementPolicy": []},
    ],
    ids=json.dumps,
)
def test_an_editor_shows_these_mistakes_too(draft: dict[str, Any]) -> None:
    assert not is_valid(draft)
    assert errors_in(draft)


_names = st.text(st.sampled_from("ab1.:/@*-_AZ"), max_size=12) | st.builds(
    lambda name, digest: f"{name}@sha256:{digest}",
    st.sampled_from(["nginx", "a.b:1/c", "a*"]),
    st.sampled_from(["0" * 64, "0"]),
)


@settings(max_examples=10 * settings().max_examples, suppress_health_check=[*HealthCheck])
@given(_names)
def test_no_name_that_is_a_selector_is_refused_by_the_schema(name: str) -> None:
    try:
        parse_selector(name)
    except InvalidSelector:
        reject()
    assert is_valid(a_draft_with_rule(image_name=name))


@pytest.mark.parametrize("path", sorted((ROOT / "tests/data/documents/good").iterdir()), ids=lambda path: path.name)
def test_the_good_documents_fit_the_schema(path: Path) -> None:
    documents = [plain(root) for root in read_source(path.read_bytes(), path.name) if not isinstance(root, Problem)]
    assert documents
    assert all(VALIDATOR.is_valid(document) for document in documents if document is not None)


def test_every_field_is_explained() -> None:
    rule = SCHEMA["$defs"]["document"]["properties"]["image_policy"]["properties"]["removal"]["items"]
    for properties in (SCHEMA["$defs"]["document"]["properties"], rule["properties"]):
        assert all("description" in each for each in properties.values() if each != {"type": "null"})

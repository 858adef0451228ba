from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given

from controller.image.selector import parse_selector
from controller.policy.document.document import ImageRemovalPolicy, NodeManagementPolicy, content_of, hash_of
from controller.policy.document.parse import parse_documents
from tests.policy.drafts import a_draft, a_draft_with_rule, drafts, read

PLAIN_RULE = {"image_name": "old:*", "delete_after_minutes": 1440, "agent_downloaded_only": True}
RULE = ImageRemovalPolicy(parse_selector("old:*"), 1440, True, number=0, line=1)


def a_policy(draft: dict[str, Any]) -> NodeManagementPolicy:
    policy = read(draft).policy
    assert policy is not None
    return policy


def test_minutes_are_seconds_without_a_limit_of_their_own() -> None:
    assert replace(RULE, delete_after_minutes=2**53).delete_after_seconds == 2**53 * 60


@pytest.mark.parametrize("minutes", [-1, 2**53 + 1])
def test_a_rule_cannot_have_minutes_out_of_range(minutes: int) -> None:
    with pytest.raises(ValueError, match="delete_after_minutes"):
        replace(RULE, delete_after_minutes=minutes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"constraints": ("a == b",), "patterns": ("p",)}, "both constraints and patterns"),
        ({"start": datetime(2027, 1, 31)}, "no time zone"),
        ({"start_window_seconds": -1}, "start window"),
    ],
)
def test_a_policy_cannot_be_made_invalid(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(a_policy(a_draft()), **changes)


@given(drafts)
def test_a_valid_document_printed_as_yaml_or_json_is_the_same_policy(draft: dict[str, Any]) -> None:
    policy = a_policy(draft)
    for text in (
        yaml.safe_dump(content_of(policy), sort_keys=False),
        json.dumps(content_of(policy)),
    ):
        (again,) = parse_documents(text.encode(), "a.yaml", policy.name).policies
        assert _without_places(again) == _without_places(policy)


def _without_places(policy: NodeManagementPolicy) -> NodeManagementPolicy:
    removal = policy.removal and tuple(replace(rule, line=1) for rule in policy.removal)
    return replace(policy, removal=removal, file="", line=1)


def test_the_hash_depends_on_the_content_only() -> None:
    policy = a_policy(a_draft(properties=[{"name": "a", "value": "x"}]))
    text = b"""# another file, form, order and layout
apiVersion: openhorizon.org/v1
kind: NodeManagementPolicy
metadata: {name: elsewhere}
spec:
  agentUpgradePolicy: {manifest: ""}
  agentImagePolicy: {imageRemovalPolicies: [{agentDownloadedOnly: true, imageId: "old:*", deleteAfterMinutes: 1440}]}
  start: now
  enabled: true
  owner: org/admin
  lastUpdated: today
  properties: [{value: x, name: a}]
  label: 'old images'
"""
    (other,) = parse_documents(text, "b.yaml").policies
    assert other.text_hash == policy.text_hash


@pytest.mark.parametrize(
    "changed",
    [
        a_draft(label="other"),
        a_draft(description="other"),
        a_draft(enabled=False),
        a_draft(constraints=["a == b"]),
        a_draft(patterns=["p"]),
        a_draft(start="2027-01-31T22:00:00Z"),
        a_draft(startWindow=1),
        a_draft(properties=[{"name": "a", "value": 1}]),
        a_draft(properties=[{"name": "a", "value": True}]),
        a_draft(properties=[{"name": "a", "value": "1"}]),
        a_draft_with_rule(image_name="old:1"),
        a_draft_with_rule(delete_after_minutes=1441),
        a_draft_with_rule(agent_downloaded_only=False),
        a_draft(image_policy=...),
        a_draft(image_policy={"removal": []}),
    ],
    ids=json.dumps,
)
def test_every_word_that_matters_changes_the_hash(changed: dict[str, Any]) -> None:
    assert a_policy(changed).text_hash != a_policy(a_draft()).text_hash


def test_a_start_is_hashed_as_the_instant_that_it_means() -> None:
    here, there = a_draft(start="2027-01-31T22:00:00Z"), a_draft(start="2027-01-31T23:00:00+01:00")
    assert a_policy(here).text_hash == a_policy(there).text_hash
    assert a_policy(here).start == datetime(2027, 1, 31, 22, tzinfo=UTC)


def test_the_hash_of_a_content_does_not_change_between_versions() -> None:
    """A new version of the program must not make every document on a fleet look new."""
    assert hash_of(content_of(a_policy(a_draft()))) == a_policy(a_draft()).text_hash
    assert a_policy(a_draft()).text_hash == "64ed7b1d9f53be2092691f59ac78d16d41919991b9ee34ab5547474111804227"


def test_optional_fields_of_a_rule_are_content_only_where_they_are_set() -> None:
    """Otherwise the hash of every text that was published before would change."""
    plain = read(a_draft()).policy
    assert plain is not None
    assert content_of(plain)["image_policy"] == {"removal": [PLAIN_RULE]}
    assert plain.text_hash == hash_of(content_of(plain))
    optional = {"keep_last": 3, "lost_tag_only": True, "delete_after_minutes_under_pressure": 60}
    full = read(a_draft_with_rule(**optional)).policy
    assert full is not None
    assert content_of(full)["image_policy"] == {"removal": [{**PLAIN_RULE, **optional}]}
    assert full.text_hash != plain.text_hash


def test_both_spellings_of_the_optional_fields_mean_the_same() -> None:
    design = read(a_draft_with_rule(keep_last=3, lost_tag_only=True, delete_after_minutes_under_pressure=0))
    rule = {"imageId": "old:*", "deleteAfterMinutes": 1440, "agentDownloadedOnly": True}
    optional = {"keepLast": 3, "lostTagOnly": True, "deleteAfterMinutesUnderPressure": 0}
    policy = {"imageRemovalPolicies": [{**rule, **optional}]}
    upstream = read(a_draft(image_policy=..., agentImagePolicy=policy))
    assert design.policy is not None
    assert upstream.policy is not None
    assert content_of(upstream.policy) == content_of(design.policy)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"delete_after_minutes_under_pressure": 1440}, "must be smaller than delete_after_minutes, 1440"),
        ({"delete_after_minutes": 0, "delete_after_minutes_under_pressure": 0}, "must be smaller than"),
        ({"delete_after_minutes_under_pressure": True}, "must be a whole number of minutes"),
        ({"keep_last": 1001}, "must be at most 1000, not the number 1001"),
        ({"keep_last": "3d"}, "must be a whole number of images"),
        ({"keep_lost": 3}, "unknown field in a removal rule"),
    ],
)
def test_a_wrong_optional_field_makes_the_document_invalid(changes: dict[str, object], problem: str) -> None:
    document = read(a_draft_with_rule(**changes))
    assert document.policy is None
    assert any(problem in str(each) for each in document.problems), document.problems

"""An image policy as JSON text in a property: written and read, completely or not at all."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.document.document import NodeManagementPolicy
from controller.policy.document.exchange_answer import ExchangePolicy, read_answer
from controller.policy.document.image_property import folded, text_for_hzn, unfolded
from controller.policy.document.parse import parse_documents
from tests.exchange_rules import accepted
from tests.policy.drafts import posted_forms

RULE = {"image_name": "nginx:*", "delete_after_minutes": 1440, "agent_downloaded_only": True}
PURPOSE = {"name": "purpose", "value": "cleaning"}


def stored(*properties: object, **fields: object) -> dict[str, Any]:
    """A document as the Exchange returns it."""
    upgrade = {"manifest": "", "allowDowngrade": False}
    return {"label": "x", "enabled": True, "properties": list(properties), "agentUpgradePolicy": upgrade, **fields}


def holding(value: object) -> dict[str, object]:
    return {"name": "image_policy", "value": value, "type": "string"}


def delivered(document: dict[str, Any]) -> ExchangePolicy:
    (policy,) = read_answer(json.dumps({"managementPolicy": {"myorg/x": document}}).encode(), "myorg")
    return policy


def parsed(data: bytes) -> NodeManagementPolicy | None:
    (document,) = parse_documents(data, "x.json").documents
    return document.policy


def test_the_property_becomes_the_image_policy() -> None:
    policy = delivered(stored(holding(json.dumps({"removal": [RULE]}))))
    assert policy.fault == ""
    assert (document := parsed(policy.data))
    assert document.removal
    assert [rule.selector.text for rule in document.removal] == ["nginx:*"]


def test_the_property_is_kept_for_the_constraints_of_nodes() -> None:
    properties = [PURPOSE, holding('{"removal": []}')]
    assert unfolded(stored(*properties)).document["properties"] == properties


def test_a_text_on_several_lines_of_windows_is_read() -> None:
    assert unfolded(stored(holding('{\r\n"removal":\r\n[]}'))).document["image_policy"] == {"removal": []}


@pytest.mark.parametrize("document", [stored(), stored(PURPOSE), stored(properties=None), {}, stored(5, None, [])])
def test_a_document_without_the_property_is_left_as_it_is(document: dict[str, Any]) -> None:
    assert unfolded(document).document == document


NOT_JSON = "the property image_policy is invalid JSON: "
UNREADABLE = [
    (holding(""), f"{NOT_JSON}expected a value, found the end of the text, in line 1, column 1 of the text"),
    (holding("{'removal': []}"), NOT_JSON),
    (holding('{"removal": ['), NOT_JSON),
    (holding('{"removal": []}]'), NOT_JSON),
    (holding('{"removal": [],}'), NOT_JSON),
    (holding("[" * 99), "nested more than 50 levels deep"),
    (
        holding('{"removal": [], "removal": []}'),
        "the property image_policy is faulty: image_policy.removal: duplicate field",
    ),
    (holding(True), "the property image_policy is not a text"),
    (holding(None), "the property image_policy is not a text"),
    (holding({"removal": [RULE]}), "the property image_policy is not a text"),
    ({"name": "image_policy"}, "the property image_policy is not a text"),
]


@pytest.mark.parametrize(("given_property", "fault"), UNREADABLE)
def test_a_property_that_cannot_be_read_is_reported(given_property: dict[str, object], fault: str) -> None:
    assert fault in delivered(stored(given_property)).fault


@pytest.mark.parametrize(
    "given_property",
    [
        *(given_property for given_property, _ in UNREADABLE),
        holding("5"),
        holding('{"removal": [{"image_name": "nginx:*", "delete_after_minutes": 5}]}'),
        holding(json.dumps({"removal": [{**RULE, "delete_after_minutes": 1440.0}]})),
        holding(json.dumps({"removal": [{**RULE, "delete_after_minutes": "1440"}]})),
        holding(json.dumps({"removal": [RULE]}).replace("1440", "-0")),
        holding(json.dumps({"removal": [RULE]}).replace("1440", "1e3")),
        holding(json.dumps({"removal": [RULE]}).replace("1440", "1e999")),
        holding(json.dumps({"removal": [RULE]}).replace("1440", "9" * 5000)),
        holding(json.dumps({"removal": [{**RULE, "image_name": "nginx"}]})),
    ],
)
def test_an_error_in_the_property_makes_the_document_invalid(given_property: dict[str, object]) -> None:
    assert parsed(delivered(stored(given_property)).data) is None


@pytest.mark.parametrize(
    "document",
    [
        stored(holding('{"removal": []}'), holding('{"removal": []}')),
        stored(holding('{"removal": []}'), image_policy={"removal": [RULE]}),
        stored(holding('{"removal": []}'), agentImagePolicy={"imageRemovalPolicies": []}),
    ],
)
def test_two_image_policies_are_an_error(document: dict[str, Any]) -> None:
    policy = delivered(document)
    assert policy.fault == "has 2 image policies instead of one"
    assert parsed(policy.data) is None


def test_an_upgrade_policy_beside_the_property_makes_the_document_invalid() -> None:
    upgrade = {"manifest": "1.2.3", "allowDowngrade": False}
    policy = delivered(stored(holding(json.dumps({"removal": [RULE]})), agentUpgradePolicy=upgrade))
    assert parsed(policy.data) is None


# ── in a file ────────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD = json.dumps({"removal": [RULE]})


@pytest.mark.parametrize("data", posted_forms(stored(PURPOSE, holding(GOOD))))
def test_a_file_with_the_property_has_its_image_policy(data: bytes) -> None:
    policy = parsed(data)
    assert policy is not None
    assert policy.removal is not None
    assert [rule.selector.text for rule in policy.removal] == ["nginx:*"]


@pytest.mark.parametrize(("given_property", "fault"), [*UNREADABLE, (holding("null"), "image_policy is null")])
def test_a_file_with_a_property_that_cannot_be_read_is_invalid(given_property: dict[str, object], fault: str) -> None:
    for data in posted_forms(stored(given_property)):
        (document,) = parse_documents(data, "x.json").documents
        assert document.policy is None
        assert any(fault.removeprefix("the property image_policy is faulty: ") in str(p) for p in document.problems)


@pytest.mark.parametrize("name", ["imagePolicy", "image-policy", "Image_Policy", "agentImagePolicy"])
def test_a_name_that_nearly_fits_is_a_warning(name: str) -> None:
    (document,) = parse_documents(posted_forms(stored({**holding(GOOD), "name": name}))[0], "x.json").documents
    words = f"the property {name} is not read as an image policy (did you mean image_policy?)"
    assert any(words in str(problem) for problem in document.problems)
    assert document.policy is not None
    assert document.policy.removal is None


def test_the_property_null_makes_a_delivered_policy_invalid() -> None:
    policy = delivered(stored(holding("null")))
    assert policy.fault == "the property image_policy is null"
    assert parsed(policy.data) is None


def test_an_upgrade_policy_beside_the_property_is_named_as_the_reason() -> None:
    upgrade = {"manifest": "1.2.3", "allowDowngrade": False}
    policy = delivered(stored(holding(GOOD), agentUpgradePolicy=upgrade))
    assert policy.fault == "has an upgrade policy and the property image_policy: only one of them is allowed"
    (document,) = parse_documents(policy.data, "x.json").documents
    (error,) = [problem for problem in document.problems if problem.is_error]
    assert error.message == "the property image_policy and an upgrade policy exclude each other"


def test_two_properties_in_a_file_are_an_error() -> None:
    assert parsed(posted_forms(stored(holding(GOOD), holding(GOOD)))[0]) is None


def test_the_section_counts_before_the_property() -> None:
    policy = parsed(posted_forms(stored(holding("nonsense"), image_policy={"removal": []}))[0])
    assert policy is not None
    assert policy.removal == ()


# ── there and back again ──────────────────────────────────────────────────────────────────────────────────────────────


def as_hzn_reads(text: str) -> dict[str, Any]:
    """Upstream: anax cli/cliutils/cliutils.go, ReadJsonFile; no variable is set, so each becomes nothing."""
    without_comments = re.sub(r"(?s)/\*.*?\*/", "", text)
    read: dict[str, Any] = json.loads(re.sub(r"\$(\w+|\{.*?\}|.)", "", without_comments))
    return read


texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20) | st.sampled_from(
    ["$HOME", "/* a */", "${x}"]
)
image_names = st.sampled_from(
    ["*", "nginx:*", "r.io/*:*", "team/*/edge/*/app:1", "*/x:1", "r.io:5000/team/*:1.*", f"a@sha256:{'0' * 64}"]
)
rules = st.fixed_dictionaries(
    {
        "image_name": image_names,
        "delete_after_minutes": st.integers(0, 2**53),
        "agent_downloaded_only": st.booleans(),
    }
)
nodes = st.sampled_from([{}, {"constraints": ["site == paris"]}, {"patterns": ["myorg/$pattern"]}])
documents = st.builds(
    lambda fields, chosen: {**fields, **chosen},
    st.fixed_dictionaries(
        {
            "label": texts,
            "description": texts,
            "enabled": st.booleans(),
            "start": st.sampled_from(["now", "2027-01-31T22:00:00Z", "2027-01-31T22:00:00.5+01:30"]),
            "startWindow": st.integers(0, 2**53),
            "properties": st.lists(
                st.just(PURPOSE) | st.just({"name": "n", "value": 1.5, "type": "float"}), max_size=2
            ),
            "image_policy": st.fixed_dictionaries({"removal": st.lists(rules, max_size=3)}),
        }
    ),
    nodes,
)


@given(documents)
def test_a_policy_is_unchanged_after_the_way_through_the_exchange(document: dict[str, Any]) -> None:
    went = parsed(json.dumps(document).encode())
    assert went
    came = parsed(delivered(accepted(as_hzn_reads(text_for_hzn(folded(went))))).data)
    assert came
    assert came.removal is not None
    assert went.removal is not None
    for attribute in ("description", "constraints", "patterns", "enabled", "start", "start_window_seconds"):
        assert getattr(came, attribute) == getattr(went, attribute)
    assert came.label == (went.label or went.name)
    assert [rule.selector.text for rule in came.removal] == [rule.selector.text for rule in went.removal]
    assert came.properties[:-1] == went.properties


def test_a_policy_that_came_from_the_exchange_can_go_back() -> None:
    came = parsed(delivered(stored(PURPOSE, holding(json.dumps({"removal": [RULE]})))).data)
    assert came
    assert folded(came)["properties"] == [PURPOSE, holding(json.dumps({"removal": [RULE]}))]


def test_the_optional_fields_of_a_rule_survive_the_way_through_the_exchange() -> None:
    rule = {**RULE, "keep_last": 3, "lost_tag_only": True, "delete_after_minutes_under_pressure": 60}
    policy = parsed(json.dumps({"label": "x", "enabled": True, "image_policy": {"removal": [rule]}}).encode())
    assert policy is not None
    back = parsed(delivered(json.loads(text_for_hzn(folded(policy)))).data)
    assert back is not None
    assert back.removal is not None
    assert [(each.keep_last, each.lost_tag_only) for each in back.removal] == [(3, True)]
    assert [each.delete_after_minutes_under_pressure for each in back.removal] == [60]

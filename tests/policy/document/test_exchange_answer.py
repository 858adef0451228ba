"""The Exchange's answer as files: complete or refused, the same bytes for the same policy, safe names."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from controller.errors import ExchangeUnavailable
from controller.policy.document.exchange_answer import LONGEST_NAME, ExchangePolicy, file_name, read_answer
from controller.policy.document.parse import Document, parse_documents

SWEEP: dict[str, Any] = {
    "owner": "myorg/admin",
    "label": "sweep – Größe",
    "description": "",
    "constraints": ["site == paris"],
    "properties": [],
    "patterns": [],
    "enabled": True,
    "start": "now",
    "startWindow": 0,
    "agentUpgradePolicy": {"manifest": "", "allowDowngrade": False},
    "lastUpdated": "2026-11-23T08:00:00.000000001Z[UTC]",
    "created": "2026-11-23T08:00:00Z[UTC]",
}


def answer(**policies: object) -> bytes:
    documents = {f"myorg/{name}": document for name, document in policies.items()}
    return json.dumps({"managementPolicy": documents, "lastIndex": 0}).encode()


def document_in(policy: ExchangePolicy) -> Document:
    """The document that the controller reads from the file."""
    (document,) = parse_documents(policy.data, policy.file).documents
    return document


def test_each_policy_becomes_a_file_of_its_own_and_keeps_its_name() -> None:
    policies = read_answer(answer(sweep=SWEEP, keep=SWEEP), "myorg")
    assert [policy.file for policy in policies] == ["keep.json", "sweep.json"]
    assert [document_in(policy).name for policy in policies] == ["myorg/keep", "myorg/sweep"]


def test_a_policy_without_an_image_policy_is_delivered_and_valid() -> None:
    (policy,) = read_answer(answer(sweep=SWEEP), "myorg")
    assert json.loads(policy.data)["managementPolicy"]["myorg/sweep"] == SWEEP
    assert document_in(policy).state == "no_image_policy"


def test_an_upgrade_policy_is_delivered_as_it_is() -> None:
    upgrade = {**SWEEP, "agentUpgradePolicy": {"manifest": "1.2.3", "allowDowngrade": False}}
    (policy,) = read_answer(answer(upgrade=upgrade), "myorg")
    assert document_in(policy).state == "no_image_policy"


def test_the_order_of_an_answer_changes_no_file() -> None:
    backwards = dict(reversed(SWEEP.items()))
    assert read_answer(answer(a=SWEEP, b=SWEEP), "myorg") == read_answer(answer(b=backwards, a=backwards), "myorg")


def test_a_later_update_is_another_file_with_the_same_meaning() -> None:
    (before,) = read_answer(answer(sweep=SWEEP), "myorg")
    (after,) = read_answer(answer(sweep={**SWEEP, "lastUpdated": "2027-01-01T00:00:00Z"}), "myorg")
    assert before.data != after.data
    one, other = document_in(before).policy, document_in(after).policy
    assert one
    assert other
    assert one.text_hash == other.text_hash


def test_other_content_under_the_same_update_is_another_file() -> None:
    (before,) = read_answer(answer(sweep=SWEEP), "myorg")
    (after,) = read_answer(answer(sweep={**SWEEP, "enabled": False}), "myorg")
    assert before.data != after.data


def test_no_policies_is_an_answer() -> None:
    assert read_answer(b'{"managementPolicy": {}, "lastIndex": 0}', "myorg") == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"<html>", "not valid JSON"),
        (b'{"managementPolicy": {}} {}', "not valid JSON"),
        (b'{"managementPolicy": {"myorg/a": {"x": NaN}}}', '"NaN" is not a number'),
        (b'{"managementPolicy": {"myorg/a": {"x": 1e999}}}', '"1e999" is not a number'),
        (b'{"managementPolicy": {"myorg/a": {"x": ' + b"9" * 5000 + b"}}}", "not valid JSON"),
        (b'{"managementPolicy": {"myorg/a": {}, "myorg/a": {}}}', "duplicate name"),
        (b'{"managementPolicy": {"myorg/a": {"enabled": false, "enabled": true}}}', "duplicate name"),
        (
            b'{"managementPolicy": {"myorg/a": ' + b"[" * 99_999 + b"]" * 99_999 + b"}}",
            "nested more than 100 levels deep",
        ),
        (b'\xff{"managementPolicy": {}}', "not valid JSON"),
        (b"{}", 'no "managementPolicy"'),
        (b"[]", 'no "managementPolicy"'),
        (b'{"managementPolicy": null}', 'no "managementPolicy"'),
        (b'{"managementPolicy": []}', 'no "managementPolicy"'),
        (answer(sweep=None), '"myorg/sweep" is not a policy of myorg'),
        (answer(sweep=[SWEEP]), '"myorg/sweep" is not a policy of myorg'),
        (b'{"managementPolicy": {"other/a": {}}}', '"other/a" is not a policy of myorg'),
        (b'{"managementPolicy": {"myorg/": {}}}', '"myorg/" is not a policy of myorg'),
        (b'{"managementPolicy": {"sweep": {}}}', '"sweep" is not a policy of myorg'),
    ],
)
def test_an_invalid_answer_is_refused_completely(body: bytes, words: str) -> None:
    with pytest.raises(ExchangeUnavailable) as raised:
        read_answer(body, "myorg")
    assert words in str(raised.value)


def test_an_answer_cut_at_any_byte_is_refused() -> None:
    whole = answer(sweep=SWEEP)
    for end in range(len(whole)):
        with pytest.raises(ExchangeUnavailable):
            read_answer(whole[:end], "myorg")


names = st.sampled_from(["managementPolicy", "myorg/a", "properties", "name", "image_policy", "value"]) | st.text()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(ExchangeUnavailable):
        read_answer(body, "myorg")


@given(st.dictionaries(st.text(min_size=1), st.dictionaries(names, json_values, max_size=3), max_size=3))
def test_any_policies_become_ascii_json_under_their_names(policies: dict[str, dict[str, object]]) -> None:
    body = json.dumps({"managementPolicy": {f"myorg/{name}": policies[name] for name in policies}}).encode()
    try:
        delivered = read_answer(body, "myorg")
    except ExchangeUnavailable:
        assert "NaN" in body.decode() or "Infinity" in body.decode()
        return
    for policy in delivered:
        assert list(json.loads(policy.data.decode("ascii"))["managementPolicy"]) == [policy.name]
        parse_documents(policy.data, policy.file)


# ── names of files ────────────────────────────────────────────────────────────────────────────────────────────────────

HOSTILE = [
    "../../etc/x",
    "..",
    ".",
    ".hidden",
    "..data",
    "-rf",
    "a/b",
    "a\\b",
    "a\0b",
    "\n",
    " ",
    "a.json",
    "con",
    "a~b",
    "%2e",
    "x" * 300,
    "ü" * 100,
    "\ud800",
    "\u202egpj.exe",
    "A",
    "İ",
]


def test_names_are_kept_where_they_can_be() -> None:
    assert file_name("sweep-all_v1.2") == "sweep-all_v1.2"


def test_hostile_names_are_percent_encoded() -> None:
    assert file_name("../../etc/x") == "%2e.%2f..%2fetc%2fx"
    assert file_name("Prod") == "%50rod"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_gives_a_safe_file_name(name: str) -> None:
    _is_tame(file_name(name))


@given(st.text(min_size=1))
def test_every_name_gives_a_safe_file_name(name: str) -> None:
    _is_tame(file_name(name))


def _is_tame(file: str) -> None:
    assert re.fullmatch(r"[a-z0-9_%][a-z0-9_%~.-]*", file)
    assert len(file) <= LONGEST_NAME


@given(st.text(min_size=1, max_size=LONGEST_NAME // 12))
def test_a_name_can_be_read_back_from_its_file(name: str) -> None:
    assert unquote(file_name(name)) == name


@given(st.lists(st.text(min_size=1) | st.sampled_from(HOSTILE), unique=True, min_size=2))
@example(["x" * 300, "x" * 299])
@example(["PROD", "prod", "Prod", "%50rod"])
@example(["é", "e\u0301"])
def test_two_names_never_share_a_file_even_where_case_does_not_count(names: list[str]) -> None:
    assert len({file_name(name).casefold() for name in names}) == len(names)

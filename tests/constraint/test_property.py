from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.constraint.property import (
    ALLOW_PRIVILEGED,
    Property,
    allow_privileged_faults,
    property_faults,
    read_property,
)

_VECTORS = Path(__file__).parents[1] / "data" / "vectors" / "properties.json"
_ROWS: list[dict[str, Any]] = json.loads(_VECTORS.read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize(
    "row", [row for row in _ROWS if row["kind"] == "properties_validate"], ids=lambda row: row["id"]
)
def test_faults_are_those_of_upstream(row: dict[str, Any]) -> None:
    assert (not any(property_faults(read_property(one)) for one in row["properties"])) is row["valid"]


@pytest.mark.parametrize(
    "prop",
    [
        Property("a", True, "boolean"),
        Property("a", 5.0, "int"),
        Property("a", -(2**63), "int"),
        Property("a", 1e300),
        Property("a", "", "string"),
        Property("a", "x,y", "list of strings"),
        Property("a", "INFINITY", "version"),
        Property("a b:c*", "x"),
    ],
)
def test_this_property_is_valid(prop: Property) -> None:
    assert property_faults(prop) == []


@pytest.mark.parametrize(
    ("prop", "fault"),
    [
        (Property("", 1), "a property must have a name"),
        (Property("a", None), "a property must have a value"),
        (Property("a", [1]), 'write a list as one text with commas, with the type "list of strings"'),
        (Property("a", {}), "the value must be a text, a number, true or false"),
        (Property("a", 1, "integer"), 'unknown type "integer"'),
        (Property("a", 1, "string"), "the value is a number, but the type is string"),
        (Property("a", True, "int"), "the value is true or false, but the type is int"),
        (Property("a", "5", "int"), "the value is a text, but the type is int"),
        (Property("a", 5.5, "int"), "5.5 is not a 64-bit integer"),
        (Property("a", 2**63, "int"), "9223372036854775808 is not a 64-bit integer"),
        (Property("a", "01.2", "version"), '"01.2" is not a version'),
        (Property("a", 10**400), "the number is too large, or not a number"),
        (Property("a", float("nan")), "the number is too large, or not a number"),
    ],
)
def test_this_fault_is_reported(prop: Property, fault: str) -> None:
    [found] = property_faults(prop)
    assert found.startswith(fault)


def test_all_faults_of_a_property_are_reported_at_once() -> None:
    assert len(property_faults(Property("", None))) == 2


@pytest.mark.parametrize("value", [True, False, "true", "false"])
def test_allow_privileged_may_be_written_as_a_text(value: object) -> None:
    assert allow_privileged_faults(Property(ALLOW_PRIVILEGED, value)) == []


@pytest.mark.parametrize("value", ["yes", "True", 1, None])
def test_allow_privileged_must_be_true_or_false(value: object) -> None:
    assert len(allow_privileged_faults(Property(ALLOW_PRIVILEGED, value))) == 1


def test_texts_and_numbers_look_different() -> None:
    assert str(Property("n", "5")) == 'n = "5"'
    assert str(Property("n", 5)) == "n = 5"
    assert str(Property("n", True)) == "n = true"

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.constraint.property import ALLOW_PRIVILEGED, Property
from controller.plan.node.node import (
    ARCH,
    CONTAINERIZED,
    CPU,
    HARDWARE_ID,
    MEMORY,
    OPERATING_SYSTEM,
    HostFacts,
    builtin_properties,
    convert_flat_policy,
    management_view,
    node_of,
    normalised,
    with_builtin_properties,
)
from controller.policy.document.node_document import NodeDocument

_VECTORS = Path(__file__).parents[2] / "data" / "vectors" / "node_policy_merge.json"
_ROWS: list[dict[str, Any]] = json.loads(_VECTORS.read_text(encoding="utf-8"))["rows"]

_PI = HostFacts(
    cpuinfo="processor\t: 0\nmodel name\t: ARMv7\n\nprocessor\t: 1\n\nHardware\t: BCM2835\nSerial\t\t: 00000000f00d\n",
    meminfo="MemTotal:         949444 kB\nMemFree:          100000 kB\nMemAvailable:     600000 kB\n",
    machine="armv7l",
    os_release='PRETTY_NAME="Raspbian GNU/Linux 12"\nID=raspbian\nID_LIKE=debian\n',
)


def _rows(kind: str) -> list[dict[str, Any]]:
    return [row for row in _ROWS if row["kind"] == kind]


def _builtin(facts: HostFacts) -> dict[str, object]:
    return {prop.name: prop.value for prop in builtin_properties(facts)}


def _values(properties: object) -> list[tuple[object, object]]:
    assert isinstance(properties, list)
    return [(prop["name"], prop["value"]) for prop in properties]


@pytest.mark.parametrize("row", _rows("get_management_policy"), ids=lambda row: row["id"])
def test_the_management_view_is_that_of_upstream(row: dict[str, Any]) -> None:
    view = management_view(row["node_policy"])
    assert [{"name": prop.name, "value": prop.value} for prop in view.properties] == row["result"]["properties"]
    assert list(view.constraints) == row["result"]["constraints"]


@pytest.mark.parametrize("row", _rows("convert_v1_v2"), ids=lambda row: row["id"])
def test_a_flat_policy_is_converted_as_by_upstream(row: dict[str, Any]) -> None:
    assert convert_flat_policy(row["v1"]) == row["v2"]


def test_management_properties_replace_the_first_of_their_name() -> None:
    top = [{"name": "a", "value": 1}, {"name": "b", "value": 1}, {"name": "a", "value": 2}]
    own = [{"name": "a", "value": 3}, {"name": "c", "value": 4}, {"name": "a", "value": 5}]
    view = management_view({"properties": top, "management": {"properties": own}})
    assert [(p.name, p.value) for p in view.properties] == [("a", 5), ("b", 1), ("a", 2), ("c", 4)]


def test_an_invalid_management_property_is_dropped_only_over_a_top_level_list() -> None:
    own = {"properties": [{"name": "a", "type": "int", "value": "x"}]}
    assert management_view({"properties": [], "management": own}).properties == ()
    assert management_view({"properties": None, "management": own}).properties == (Property("a", "x", "int"),)
    assert management_view({"management": own}).properties == (Property("a", "x", "int"),)


def test_management_constraints_replace_all_others_even_by_a_blank() -> None:
    assert management_view({"constraints": ["a == 1"], "management": {"constraints": [""]}}).constraints == ("",)
    assert management_view({"constraints": ["a == 1"], "management": {"constraints": []}}).constraints == ("a == 1",)


def test_deployment_has_no_effect_and_a_missing_policy_is_empty() -> None:
    assert management_view({"deployment": {"constraints": ["a == 1"], "properties": [{"name": "a", "value": 1}]}}) == (
        (),
        (),
    )
    assert management_view({}) == ((), ())
    assert management_view({"properties": None, "constraints": None, "management": None}) == ((), ())


def test_of_a_flat_policy_only_builtin_properties_are_managed() -> None:
    flat = {"properties": [{"name": ARCH, "value": "arm"}, {"name": "a", "value": 1}], "constraints": ["b == 1"]}
    assert management_view(convert_flat_policy(flat)) == ((Property(ARCH, "arm"),), ())


def test_a_flat_policy_loses_invalid_and_repeated_properties() -> None:
    written = [{"name": ARCH, "value": "arm"}, {"name": ARCH, "value": "arm64"}, {"name": CPU, "value": None}]
    assert convert_flat_policy({"properties": written})["properties"] == [{"name": ARCH, "value": "arm"}]


def test_allow_privileged_becomes_true_or_false_in_every_section() -> None:
    section = {"properties": [{"name": "a", "value": 1}, {"name": ALLOW_PRIVILEGED, "value": "true", "type": "string"}]}
    expected = [{"name": "a", "value": 1}, {"name": ALLOW_PRIVILEGED, "value": True}]
    result = normalised({**section, "deployment": section, "management": section, "label": "l"})
    assert result == {
        "label": "l",
        "properties": expected,
        "deployment": {"properties": expected},
        "management": {"properties": expected},
    }


@pytest.mark.parametrize(
    "fault",
    [
        {"constraints": ["a b"]},
        {"properties": [{"name": "a", "value": None}]},
        {"properties": [{"name": ALLOW_PRIVILEGED, "value": "yes"}]},
    ],
)
def test_normalisation_ends_at_the_first_section_that_is_not_valid(fault: dict[str, object]) -> None:
    policy = {**fault, "management": {"properties": [{"name": ALLOW_PRIVILEGED, "value": "true"}]}}
    assert normalised(policy) == policy


def test_a_host_is_described_as_upstream_describes_it() -> None:
    assert _builtin(_PI) == {
        HARDWARE_ID: "00000000f00d",
        OPERATING_SYSTEM: "raspbian",
        CONTAINERIZED: False,
        CPU: 2,
        ARCH: "arm",
        MEMORY: 927,
        ALLOW_PRIVILEGED: False,
    }


def test_a_host_that_cannot_be_read_has_upstreams_defaults() -> None:
    facts = HostFacts(cpuinfo=None, meminfo=None, machine="x86_64", os_release=None)
    expected = {OPERATING_SYSTEM: "", CONTAINERIZED: False, CPU: 1, ARCH: "amd64", MEMORY: 0, ALLOW_PRIVILEGED: False}
    assert _builtin(facts) == expected


@pytest.mark.parametrize(
    ("machine", "arch"),
    [
        ("x86_64", "amd64"),
        ("aarch64", "arm64"),
        ("armv6l", "arm"),
        ("i686", "386"),
        ("ppc64le", "ppc64le"),
        ("arm64", "arm64"),
    ],
)
def test_architectures_are_named_as_go_names_them(machine: str, arch: str) -> None:
    assert _builtin(replace(_PI, machine=machine))[ARCH] == arch


def test_processors_are_counted_line_by_line() -> None:
    assert _builtin(replace(_PI, cpuinfo="processor 0: version = 8\n"))[CPU] == 0
    assert _builtin(replace(_PI, cpuinfo="processor:\nprocessor \t : 1\nProcessor: x"))[CPU] == 2


@pytest.mark.parametrize(
    ("cpuinfo", "hardware_id"),
    [
        ("Serial\t\t: abc def\r\n", "abc"),
        ("Serial:abc\nSerial : x", ":"),
        ("Serial: abc\r", "abc"),
        ("processor: 0", "kept"),
    ],
)
def test_the_serial_number_is_the_second_word(cpuinfo: str, hardware_id: str) -> None:
    assert _builtin(replace(_PI, cpuinfo=cpuinfo, hardware_id="kept"))[HARDWARE_ID] == hardware_id


@pytest.mark.parametrize(
    ("line", "megabytes"),
    [
        ("MemTotal: 2048 kB", 2),
        ("MemTotal:2048 MB", 2048),
        ("MemTotal: 2 gb", 2048),
        ("MemTotal : 1048576 B", 1),
        ("MemTotal: 7", 7),
    ],
)
def test_memory_is_counted_in_megabytes(line: str, megabytes: int) -> None:
    assert _builtin(replace(_PI, meminfo=f"MemFree: 1 kB\n{line}\nBuffers: 3 kB"))[MEMORY] == megabytes


@pytest.mark.parametrize(
    ("os_release", "is_containerized", "expected"),
    [
        ('ID="rhel"\n', False, ("rhel", False)),
        ("NAME=x\nID='suse'", False, ("suse", False)),
        ("ID=alpine", False, ("", False)),
        ("ID=debian\nID=ubuntu", False, ("ubuntu", False)),
        (None, False, ("", False)),
        ("OS=ubuntu\nID=alpine", True, ("ubuntu", True)),
        (None, True, ("", True)),
        ("OS=alpine", True, ("", False)),
    ],
)
def test_the_operating_system_is_one_that_upstream_knows(
    os_release: str | None, is_containerized: bool, expected: tuple[str, bool]
) -> None:
    found = _builtin(replace(_PI, os_release=os_release, is_containerized=is_containerized))
    assert (found[OPERATING_SYSTEM], found[CONTAINERIZED]) == expected


def test_builtin_properties_replace_those_of_a_policy_except_two() -> None:
    said: list[tuple[str, object]] = [(ARCH, "z80"), ("site", "lyon"), (ALLOW_PRIVILEGED, True), (HARDWARE_ID, "mine")]
    policy = {"label": "l", "properties": [{"name": name, "value": value} for name, value in said]}
    result = with_builtin_properties(policy, builtin_properties(_PI))
    assert _values(result["properties"])[:4] == [
        (ARCH, "arm"),
        ("site", "lyon"),
        (ALLOW_PRIVILEGED, True),
        (HARDWARE_ID, "mine"),
    ]
    assert {name for name, _ in _values(result["properties"])[4:]} == {OPERATING_SYSTEM, CONTAINERIZED, CPU, MEMORY}


def test_a_policy_without_properties_gets_all_builtin_ones() -> None:
    result = with_builtin_properties({"properties": None}, builtin_properties(_PI))
    assert management_view(result).properties == builtin_properties(_PI)


def test_an_invalid_policy_raises_nothing() -> None:
    odd: dict[str, object] = {"properties": [1, {"name": 5}], "constraints": [None, "a == 1"], "management": []}
    assert management_view(odd) == ((Property("", None),), ("a == 1",))


# ── a node file ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _described(
    policy: Mapping[str, object], org: str = "myorg", node_id: str = "gw-1", pattern: str = ""
) -> NodeDocument:
    return NodeDocument(org, node_id, pattern, policy, "node.yaml", 1)


@pytest.mark.parametrize(
    ("org", "pattern", "full"),
    [("o", "p", "o/p"), ("o", "x/p", "x/p"), ("", "p", "p"), ("o", "", ""), ("", "", "")],
)
def test_a_pattern_belongs_to_the_nodes_organisation_unless_it_names_another(org: str, pattern: str, full: str) -> None:
    assert node_of(_described({}, org=org, pattern=pattern)).pattern == full


def test_a_described_node_keeps_its_own_builtin_properties_and_gets_the_others() -> None:
    policy = {"properties": [{"name": CPU, "value": 64}]}
    node = node_of(_described(policy), [Property(CPU, 2), Property(ARCH, "arm")])
    assert node.properties == (Property(CPU, 64), Property(ARCH, "arm"))


def test_the_management_section_replaces_builtin_properties_too() -> None:
    policy = {"management": {"properties": [{"name": CPU, "value": 64}]}}
    assert node_of(_described(policy), [Property(CPU, 2)]).properties == (Property(CPU, 64),)


def test_a_described_node_without_an_id_gets_the_stand_in() -> None:
    assert node_of(_described({}, node_id=""), stand_in_id="0f").id == "0f"
    assert node_of(_described({}), stand_in_id="0f").id == "gw-1"

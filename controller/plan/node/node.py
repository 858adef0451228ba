"""The node that matching uses, made from a node document and facts about the host.

The document must be valid; everything but properties and constraints is ignored.
Upstream: anax exchangecommon/nodepolicy.go, externalpolicy/builtin_properties.go and cutil/cutil.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from controller.constraint.parser import validate
from controller.constraint.property import (
    ALLOW_PRIVILEGED,
    Property,
    allow_privileged_faults,
    property_faults,
    read_property,
)
from controller.errors import InvalidConstraint
from controller.value import dataclass

if TYPE_CHECKING:  # Commands that only read the ledger do not import YAML.
    from controller.policy.document.node_document import NodeDocument

CPU = "openhorizon.cpu"
MEMORY = "openhorizon.memory"
ARCH = "openhorizon.arch"
HARDWARE_ID = "openhorizon.hardwareId"
OPERATING_SYSTEM = "openhorizon.operatingSystem"
CONTAINERIZED = "openhorizon.containerized"
BUILTIN_NAMES = (
    CPU,
    MEMORY,
    ARCH,
    HARDWARE_ID,
    ALLOW_PRIVILEGED,
    OPERATING_SYSTEM,
    CONTAINERIZED,
    "openhorizon.kubernetesVersion",
    "openhorizon.kubernetesNamespace",
    "openhorizon.kubernetesNamespaceScoped",
)

_OPERATING_SYSTEMS = ("ubuntu", "debian", "raspbian", "rhel", "macos", "centos", "fedora", "suse")
_GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "loongarch64": "loong64",
}
_PROCESSOR = re.compile(r"processor[ \t]*:")
_SERIAL = re.compile(r"Serial[ \t]*:")
_TOTAL_MEMORY = re.compile(r"MemTotal[ \t]*:[ \t]*([0-9]+)[ \t]*(.*)$", re.MULTILINE)
_BITS_UP_TO_MB = {"B": -20, "KB": -10, "MB": 0, "GB": 10}


@dataclass(frozen=True, slots=True)
class Node:
    """`pattern` is `org/name`, or empty. Properties and constraints are the management view of the node's policy."""

    org: str = ""
    id: str = ""
    pattern: str = ""
    properties: tuple[Property, ...] = ()
    constraints: tuple[str, ...] = ()


def node_of(document: NodeDocument, builtin: Iterable[Property] = (), stand_in_id: str = "") -> Node:
    """The node of a document, with the built-in properties and the ID that the document omits."""
    policy = normalised(convert_flat_policy(document.policy) if document.is_flat else document.policy)
    given = {prop.name for prop in _properties(policy) or []}
    view = management_view(with_builtin_properties(policy, [prop for prop in builtin if prop.name not in given]))
    return Node(document.org, document.id or stand_in_id, full_pattern(document.pattern, document.org), *view)


def full_pattern(pattern: str, org: str) -> str:
    """`org/name`; a pattern without an organisation is in the node's own (persistence/device.go)."""
    return f"{org}/{pattern}" if pattern and org and "/" not in pattern else pattern


class ManagementView(NamedTuple):
    properties: tuple[Property, ...]
    constraints: tuple[str, ...]


def management_view(policy: Mapping[str, object]) -> ManagementView:
    """The part of a node policy for node management (GetManagementPolicy); the section `deployment` is ignored.

    Management properties replace those of the top level by name or are added. An invalid one is dropped, unless the top
    level has no list of properties. Management constraints replace those of the top level if there is one, even blank.
    """
    management = _section(policy, "management")
    common, own = _properties(policy), _properties(management) or []
    return ManagementView(
        tuple(own if common is None else _overlaid(common, own)),
        tuple(_constraints(management) or _constraints(policy)),
    )


def convert_flat_policy(policy: Mapping[str, object]) -> dict[str, object]:
    """Convert a policy of version 1 (no sections) to version 2: only built-in properties remain on the top level.

    Of two properties with one name the first is kept; an invalid one is dropped (ConvertNodePolicy_v1Tov2).
    """
    kept: dict[str, Property] = {}
    for prop in _properties(policy) or []:
        if not property_faults(prop):
            kept.setdefault(prop.name, prop)
    deployment = [_as_mapping(prop) for prop in kept.values() if prop.name not in BUILTIN_NAMES]
    return {
        "properties": [_as_mapping(prop) for prop in kept.values() if prop.name in BUILTIN_NAMES] or None,
        "constraints": None,
        "deployment": {"properties": deployment or None, "constraints": _constraints(policy) or None},
        "management": {"properties": None, "constraints": None},
    }


def normalised(policy: Mapping[str, object]) -> dict[str, object]:
    """The policy with a text `openhorizon.allowPrivileged` converted to true or false (ValidateAndNormalize).

    Like upstream, it converts section by section and stops at the first invalid one.
    """
    result = dict(policy)
    for key in ("", "deployment", "management"):
        section = _section(policy, key) if key else policy
        properties = _properties(section) or []
        privileged = next((prop for prop in properties if prop.name == ALLOW_PRIVILEGED), None)
        if any(map(property_faults, properties)) or (privileged and allow_privileged_faults(privileged)):
            break
        if privileged and isinstance(privileged.value, str):
            is_allowed = Property(ALLOW_PRIVILEGED, privileged.value == "true")
            changed = {"properties": [_as_mapping(prop) for prop in _overlaid(properties, [is_allowed])]}
            result |= {key: {**section, **changed}} if key else changed
        if not all(map(_is_valid_constraint, _constraints(section))):
            break
    return result


def with_builtin_properties(policy: Mapping[str, object], builtin: Iterable[Property]) -> dict[str, object]:
    """The policy with the built-in properties on its top level, as the agent sends it to the Exchange.

    They replace those of the policy, except a hardware ID or `openhorizon.allowPrivileged` that is already set.
    """
    properties = _properties(policy) or []
    set_already = {prop.name for prop in properties if prop.value not in ("", None)} & {HARDWARE_ID, ALLOW_PRIVILEGED}
    added = [prop for prop in builtin if prop.name not in set_already]
    return {**policy, "properties": [_as_mapping(prop) for prop in _overlaid(properties, added)]}


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The input of the built-in properties; None is a file that cannot be read.

    `machine` is uname's hardware name; `os_release` is /etc/os-release, or /etc/host-os-release in the agent's
    container; `hardware_id` is used if /proc/cpuinfo has no serial number.
    """

    cpuinfo: str | None
    meminfo: str | None
    machine: str
    os_release: str | None
    is_containerized: bool = False
    hardware_id: str = ""


def builtin_properties(facts: HostFacts) -> tuple[Property, ...]:
    """The built-in properties of a device agent (createDeviceNodeBuiltInPolicy)."""
    operating_system, is_containerized = _operating_system(facts)
    hardware_id = serial_number(facts.cpuinfo or "") or facts.hardware_id
    return (
        *([Property(HARDWARE_ID, hardware_id)] if hardware_id else []),
        Property(OPERATING_SYSTEM, operating_system),
        Property(CONTAINERIZED, is_containerized),
        Property(CPU, 1 if facts.cpuinfo is None else sum(map(_is_processor, facts.cpuinfo.split("\n")))),
        Property(ARCH, _go_architecture(facts.machine)),
        Property(MEMORY, _total_memory_mb(facts.meminfo or "")),
        Property(ALLOW_PRIVILEGED, False),
    )


def _is_processor(line: str) -> bool:
    return _PROCESSOR.search(line) is not None


def serial_number(cpuinfo: str) -> str:
    """The second word of the first serial number line that has one; words are separated by single blanks."""
    lines = (line.removesuffix("\r") for line in cpuinfo.split("\n"))
    return next((line.split(" ")[1] for line in lines if _SERIAL.search(line) and " " in line), "")


def _total_memory_mb(meminfo: str) -> int:
    found = _TOTAL_MEMORY.search(meminfo)
    if found is None:
        return 0
    total = int(found[1])
    shift = _BITS_UP_TO_MB.get(found[2].upper(), 0)
    return total << shift if shift > 0 else total >> -shift


def _go_architecture(machine: str) -> str:
    """GOARCH; names that are not in the table are the same."""
    return "arm" if machine.startswith("armv") else _GO_ARCHITECTURES.get(machine, machine)


def _operating_system(facts: HostFacts) -> tuple[str, bool]:
    """The system, and whether the agent is in a container, which upstream drops for an unknown system."""
    if facts.os_release is None:
        return "", facts.is_containerized
    name = _release_value(facts.os_release, "OS" if facts.is_containerized else "ID")
    return (name, facts.is_containerized) if name in _OPERATING_SYSTEMS else ("", False)


def _release_value(os_release: str, key: str) -> str:
    """The last value of the key in lines of KEY=value, without quotes."""
    value = ""
    for line in os_release.split("\n"):
        name, _, text = line.partition("=")
        if name.strip() == key:
            value = text.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`" else value


def _section(policy: Mapping[str, object], key: str) -> Mapping[str, object]:
    section = policy.get(key)
    return section if isinstance(section, Mapping) else {}


def _properties(section: Mapping[str, object]) -> list[Property] | None:
    """None means no list, which upstream treats differently from an empty one."""
    written = section.get("properties")
    return [read_property(one) for one in written if isinstance(one, Mapping)] if isinstance(written, list) else None


def _constraints(section: Mapping[str, object]) -> list[str]:
    written = section.get("constraints")
    return [one for one in written if isinstance(one, str)] if isinstance(written, list) else []


def _overlaid(properties: Iterable[Property], added: Iterable[Property]) -> list[Property]:
    """Each added property replaces the first of its name or is appended; an invalid one is left out."""
    result = list(properties)
    places: dict[str, int] = {}
    for place, prop in enumerate(result):
        places.setdefault(prop.name, place)
    for new in added:
        if not property_faults(new):
            place = places.setdefault(new.name, len(result))
            result[place : place + 1] = [new]
    return result


def _as_mapping(prop: Property) -> dict[str, object]:
    return {"name": prop.name, "value": prop.value} | ({"type": prop.type} if prop.type else {})


def _is_valid_constraint(text: str) -> bool:
    try:
        validate(text)
    except InvalidConstraint:
        return False
    return True

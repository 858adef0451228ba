"""A named, typed value of a node or document, and upstream's checks of it (anax externalpolicy/property_list.go)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from controller.constraint.version import is_plain_version
from controller.constraint.wording import shown
from controller.value import dataclass

# A bool, an int, a float or a str. Any other JSON value is a fault and satisfies no constraint.
PropertyValue: TypeAlias = object

LIST_OF_STRINGS = "list of strings"
VERSION = "version"
TYPES = ("string", VERSION, "boolean", "int", "float", LIST_OF_STRINGS)

ALLOW_PRIVILEGED = "openhorizon.allowPrivileged"

_TYPES_OF_BOOL = ("", "boolean")
_TYPES_OF_NUMBER = ("", "int", "float")
_TYPES_OF_TEXT = ("", "string", VERSION, LIST_OF_STRINGS)


@dataclass(frozen=True, slots=True)
class Property:
    """`type` is one of TYPES, or empty if not declared."""

    name: str
    value: PropertyValue
    type: str = ""

    def __str__(self) -> str:
        return f"{self.name} = {shown(self.value)}"


def read_property(written: Mapping[str, object]) -> Property:
    """The property of a mapping with `name`, `value` and optional `type`; missing values are empty, as in Go."""
    name, declared = written.get("name"), written.get("type")
    return Property(
        name if isinstance(name, str) else "", written.get("value"), declared if isinstance(declared, str) else ""
    )


def property_faults(prop: Property) -> list[str]:
    """What upstream's PropertyList.Validate rejects in this property, as sentences."""
    faults = []
    if not prop.name:
        faults.append("a property must have a name")
    if prop.type and prop.type not in TYPES:
        faults.append(f"unknown type {shown(prop.type)} (types: {', '.join(TYPES)})")
    elif fault := _value_fault(prop.value, prop.type):
        faults.append(fault)
    return faults


def allow_privileged_faults(prop: Property) -> list[str]:
    """What upstream's ExternalPolicy.Validate also rejects in the first property of this name."""
    if prop.name != ALLOW_PRIVILEGED or isinstance(prop.value, bool) or prop.value in ("true", "false"):
        return []
    return [f"{ALLOW_PRIVILEGED} must be true or false, not {shown(prop.value)}"]


def _value_fault(value: PropertyValue, declared: str) -> str:
    """The fault of the value, or an empty text."""
    match value:
        case bool():
            return _type_fault("true or false", declared, _TYPES_OF_BOOL)
        case int() | float():
            return _type_fault("a number", declared, _TYPES_OF_NUMBER) or _number_fault(value, declared)
        case str():
            return _type_fault("a text", declared, _TYPES_OF_TEXT) or _text_fault(value, declared)
        case None:
            return "a property must have a value"
        case Sequence():
            return f"write a list as one text with commas, with the type {shown(LIST_OF_STRINGS)}"
        case _:
            return "the value must be a text, a number, true or false"


def _type_fault(kind: str, declared: str, allowed: tuple[str, ...]) -> str:
    return "" if declared in allowed else f"the value is {kind}, but the type is {declared}"


def _number_fault(number: int | float, declared: str) -> str:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        return "the number is too large, or not a number"
    # Upstream converts every number from float64 to int64 and back, and compares.
    if declared == "int" and not (value.is_integer() and -(2.0**63) <= value < 2.0**63):
        return f"{shown(number)} is not a 64-bit integer"
    return ""


def _text_fault(text: str, declared: str) -> str:
    if declared == VERSION and not is_plain_version(text):
        return f"{shown(text)} is not a version: up to three numbers without leading zeros, such as 1.2.3, or INFINITY"
    return ""

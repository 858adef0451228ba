"""A named, typed value which a node or a document says of itself, and what upstream finds wrong with one.

Upstream: anax externalpolicy/property_list.go. How a property is compared with a constraint is in evaluate.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from controller.constraint.version import is_plain_version
from controller.constraint.wording import shown

# A bool, an int, a float or a str. Whatever else JSON and YAML can hold is a fault, and satisfies no constraint.
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
    """`type` is one of TYPES, or empty where none is declared."""

    name: str
    value: PropertyValue
    type: str = ""

    def __str__(self) -> str:
        return f"{self.name} = {shown(self.value)}"


def read_property(written: Mapping[str, object]) -> Property:
    """The property in a mapping with `name`, `value` and perhaps `type`; what is missing is empty, as in Go."""
    name, declared = written.get("name"), written.get("type")
    return Property(
        name if isinstance(name, str) else "", written.get("value"), declared if isinstance(declared, str) else ""
    )


def property_faults(prop: Property) -> list[str]:
    """What upstream's PropertyList.Validate rejects in this property, as sentences; empty if nothing."""
    faults = []
    if not prop.name:
        faults.append("a property must have a name")
    if prop.type and prop.type not in TYPES:
        faults.append(f"the type {shown(prop.type)} does not exist; the types are {', '.join(TYPES)}")
    elif fault := _value_fault(prop.value, prop.type):
        faults.append(fault)
    return faults


def allow_privileged_faults(prop: Property) -> list[str]:
    """What upstream's ExternalPolicy.Validate rejects on top of that in the first property of this name."""
    if prop.name != ALLOW_PRIVILEGED or isinstance(prop.value, bool) or prop.value in ("true", "false"):
        return []
    return [f"{ALLOW_PRIVILEGED} must be true or false, and is {shown(prop.value)}"]


def _value_fault(value: PropertyValue, declared: str) -> str:
    """The one thing that is wrong with the value, or an empty text."""
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
            return f"a list is written as one text with commas, of the type {LIST_OF_STRINGS}"
        case _:
            return "the value must be a text, a number, true or false"


def _type_fault(kind: str, declared: str, allowed: tuple[str, ...]) -> str:
    return "" if declared in allowed else f"the value is {kind}, and the declared type is {declared}"


def _number_fault(number: int | float, declared: str) -> str:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        return "the number is too large, or not a number"
    # Upstream reads every number as a float64 and asks whether it survives the way through a 64-bit integer and back.
    if declared == "int" and not (value.is_integer() and -(2.0**63) <= value < 2.0**63):
        return f"{shown(number)} is not an integer of 64 bits"
    return ""


def _text_fault(text: str, declared: str) -> str:
    if declared == VERSION and not is_plain_version(text):
        return f"{shown(text)} is not a version: up to three numbers without leading zeros, such as 1.2.3, or INFINITY"
    return ""

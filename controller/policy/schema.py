"""The fields as JSON Schema (2020-12), with which editors complete and check documents.

The validator refuses everything that the schema refuses. Only the validator sees how a value was written (`017`), a
constraint that does not compile, or a duplicate name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.constraint.property import ALLOW_PRIVILEGED
from controller.policy.document import fields, node_document
from controller.policy.document.fields import DOCUMENT, Exclusion, ReadProperty, ReadRule
from controller.policy.document.findings import Spelling
from controller.policy.document.languages import NOW, Constraint, ImageName, PatternName, PropertyContent, Start
from controller.policy.document.languages import PATTERN as RFC3339
from controller.policy.document.mapping import Field, MappingShape
from controller.policy.document.shapes import LONGEST_TEXT, Anything, ByName, Flag, Listed, OneOf, Shape, Text, Whole

Schema = dict[str, Any]

# Necessary, not sufficient: `*`, a tag part, or a digest of a name without `*`.
_COMPLETE_NAME = r"\*|[^@\s]+:[A-Za-z0-9_*][A-Za-z0-9_.*-]*|[^@\s*]+@sha256:[0-9a-f]{64}"
_VERSION = r"INFINITY|(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){0,2}"
_VALUE_BY_TYPE: dict[str, Schema] = {
    "string": {"type": "string"},
    "version": {"type": "string", "pattern": f"^({_VERSION})$"},
    "boolean": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "list of strings": {"type": "string"},
}
_NULL: Schema = {"type": "null"}
_DOCUMENT_REFERENCE: Schema = {"$ref": "#/$defs/document"}


def json_schema() -> Schema:
    """The schema of one document, in any of its forms and spellings."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Node management policy",
        "description": "Which container images a node removes, and when; plain, in an envelope, or from the Exchange.",
        "type": "object",
        "if": _has_any(fields.SIGNS_OF_AN_ANSWER),
        "then": _group(fields.ANSWER, None),
        "else": {
            "if": _has_any(fields.SIGNS_OF_AN_ENVELOPE),
            "then": _group(fields.ENVELOPE, None),
            "else": _DOCUMENT_REFERENCE,
        },
        "$defs": {"document": _document()},
    }


def node_json_schema() -> Schema:
    """The schema of a node file."""
    is_said = {
        node_document.PATTERN.name: {"type": "string", "minLength": 1},
        node_document.POLICY.name: {"type": "object"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Node file",
        "description": "Which node this is: its organisation, ID, pattern and policy.",
        **_group(node_document.NODE, None),
        "anyOf": [{"required": [name], "properties": {name: said}} for name, said in is_said.items()],
    }


def _document() -> Schema:
    rules_between_fields = [_not_mixed(DOCUMENT.fields), *(_not_both(exclusion) for exclusion in fields.EXCLUSIONS)]
    return _group(DOCUMENT, None) | {"allOf": rules_between_fields}


def _of(shape: Shape[Any], spelling: Spelling | None) -> Schema:
    match shape:
        case MappingShape():
            return _DOCUMENT_REFERENCE if shape is DOCUMENT else _group(shape, spelling)
        case ReadProperty(group):
            return _group(group, spelling) | {"allOf": _rules_of_a_property()}
        case ReadRule(group):
            return _group(group, spelling)
        case Listed(item):
            return {"type": "array", "items": _of(item, spelling)}
        case ByName(item):
            return {
                "type": "object",
                "propertyNames": _of(fields.NAME.shape, spelling),
                "additionalProperties": _or_null(_of(item, spelling)),
            }
        case Whole(most):
            return {"type": "integer", "minimum": 0, "maximum": most}
        case Flag():
            return {"type": "boolean"}
        case OneOf(words):
            return {"enum": list(words)}
        case PropertyContent():
            return {"type": ["string", "number", "boolean"]}
        case Text(may_be_blank, longest, pattern):
            return _text(longest, f"^({pattern})$" if pattern else "" if may_be_blank else r"\S")
        case Constraint(may_be_blank):
            return _text(LONGEST_TEXT, "" if may_be_blank else r"\S")
        case PatternName():
            return _text(LONGEST_TEXT, r"\S")
        case ImageName():
            return _text(LONGEST_TEXT, f"^({_COMPLETE_NAME})$")
        case Start():
            return _text(LONGEST_TEXT, f"^({NOW}|{RFC3339})$")
        case Anything():
            return {}
        case _:
            raise TypeError(f"no schema for {shape}")


def _text(longest: int, pattern: str) -> Schema:
    return {"type": "string", "maxLength": longest} | ({"pattern": pattern} if pattern else {})


def _group(group: MappingShape, spelling: Spelling | None) -> Schema:
    """Without a spelling both names of a field are known; below one of them only names of that spelling."""
    properties: Schema = {stray.name: False for stray in group.strays}
    for field in group.fields:
        for name, of_name in field.spellings.items():
            is_other_spelling = spelling and of_name and of_name is not spelling
            properties[name] = _NULL if is_other_spelling else _field(field, of_name or spelling)
    schema: Schema = {"type": "object", "properties": properties}
    if required := [field.name_in(spelling) for field in group.fields if field.if_missing == "error"]:
        schema["required"] = required
    if group.is_closed:
        schema["additionalProperties"] = False
    return schema


def _field(field: Field[Any], spelling: Spelling | None) -> Schema:
    value = _of(field.shape, spelling)
    notes: Schema = {"description": field.about} | ({"examples": list(field.examples)} if field.examples else {})
    return notes | (value if field.if_missing == "error" else _or_null(value))


def _or_null(schema: Schema) -> Schema:
    """`null` equals absent."""
    if isinstance(schema.get("type"), str):
        return schema | {"type": [schema["type"], "null"]}
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return {"anyOf": [schema, _NULL]} if schema else {}


def _rules_of_a_property() -> list[Schema]:
    by_type = [
        _if_equal(fields.PROPERTY_TYPE, word, {fields.PROPERTY_VALUE.name: value})
        for word, value in _VALUE_BY_TYPE.items()
    ]
    switch = {fields.PROPERTY_VALUE.name: {"enum": [True, False, "true", "false"]}}
    return [*by_type, _if_equal(fields.PROPERTY_NAME, ALLOW_PRIVILEGED, switch)]


def _if_equal(field: Field[Any], word: str, then: Schema) -> Schema:
    condition = {"properties": {field.name: {"const": word}}, "required": [field.name]}
    return {"if": condition, "then": {"properties": then}}


def _not_mixed(candidates: Iterable[Field[Any]]) -> Schema:
    spelled = [(spelling, _present(field, name)) for field in candidates for name, spelling in field.spellings.items()]
    of_either = [{"anyOf": [present for spelling, present in spelled if spelling is one]} for one in Spelling]
    return {"not": {"allOf": of_either}}


def _not_both(exclusion: Exclusion) -> Schema:
    either = [
        {"anyOf": [_present(field, name) for name in field.spellings]} for field in (exclusion.one, exclusion.other)
    ]
    return {"not": {"allOf": either}}


def _present(field: Field[Any], name: str) -> Schema:
    """The condition that the document has the field under this name, with content."""
    if isinstance(field.shape, Listed):
        content: Schema = {"type": "array", "minItems": 1}
    elif field.absent_without:
        inner = field.absent_without
        content = {"type": "object", "required": [inner], "properties": {inner: {"not": {"enum": [None, ""]}}}}
    else:
        content = {"not": _NULL}
    return {"required": [name], "properties": {name: content}}


def _has_any(signs: Iterable[Field[Any]]) -> Schema:
    return {"anyOf": [{"required": [sign.name]} for sign in signs]}

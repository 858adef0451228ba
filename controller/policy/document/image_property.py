"""An image policy as JSON text in the string property `image_policy`, because the Exchange has no field for it.

`folded` writes the property; `unfolded` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from controller.errors import InvalidText
from controller.policy.document import fields
from controller.policy.document.document import NodeManagementPolicy, content_of
from controller.policy.document.findings import Findings
from controller.policy.document.mapping import check_keys
from controller.policy.text.json_reader import read_json
from controller.policy.text.tree import Builder, plain

SECTION = fields.IMAGE_POLICY.name
PROPERTY = SECTION
"""The property has the name of the section."""


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A document of the Exchange as this program reads documents."""

    document: Mapping[str, object]
    fault: str = ""
    """The problem of its image policy, or empty."""


def unfolded(document: Mapping[str, object]) -> Unfolded:
    """The document with the image policy in its property as a section.

    A property that cannot be read becomes the section unchanged, so that the document is invalid; without the section
    it would be valid and ignored. The property itself is kept, because constraints of nodes may test it.
    """
    properties = [given.get("value") for given in _list(document.get("properties")) if _is_ours(given)]
    if not properties:
        return Unfolded(document)
    sections = [document[name] for name in fields.IMAGE_POLICY.spellings if document.get(name) is not None]
    if len(properties) + len(sections) > 1:
        several = [*sections, *properties]
        return Unfolded({**document, SECTION: several}, f"has {len(several)} image policies instead of one")
    section, fault = _read(properties[0])
    return Unfolded({**document, SECTION: section}, fault and f"the property {PROPERTY} {fault}")


def folded(policy: NodeManagementPolicy) -> dict[str, object]:
    """A policy with removal rules as the Exchange accepts it: only fields it knows, not both constraints and patterns.

    Upstream: exchange-api PostPutManagementPolicyRequest.scala.
    """
    content = content_of(policy)
    text = json.dumps(content.pop(SECTION))
    kept = [given for given in _list(content["properties"]) if not _is_ours(given)]
    content["properties"] = [*kept, {"name": PROPERTY, "value": text, "type": "string"}]
    content["label"] = policy.label or policy.name
    return {name: value for name, value in content.items() if value or name not in ("constraints", "patterns")}


def text_for_hzn(document: Mapping[str, object]) -> str:
    """JSON that `hzn` does not change: it removes `/*...*/` and replaces `$NAME`, even inside texts.

    Two wildcards in one name are enough: `team/*/edge/*/app:1` would become `teamapp:1`.
    Upstream: anax cli/cliutils/cliutils.go, ReadJsonFile.
    """
    return json.dumps(document, indent=2).replace("/*", "/\\u002a").replace("$", "\\u0024") + "\n"


def _is_ours(given: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(given, Mapping) and given.get("name") == PROPERTY


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _read(value: object) -> tuple[object, str]:
    """The section, and its problem or an empty text."""
    if not isinstance(value, str):
        return value, "is not a text"
    try:
        tree = read_json(value.replace("\r\n", "\n"), Builder())
    except InvalidText as error:
        return value, f"is {error.message}, in line {error.line}, column {error.column} of the text"
    found = Findings("")
    check_keys(tree, PROPERTY, found)
    return (value, f"is faulty: {found.problems[0].sentence}") if found.problems else (plain(tree), "")

"""An image policy as JSON text in the string property `image_policy`: today's Exchange has no other place for one.

`folded` writes it, for `imagectl nmp export`; `unfolded` reads it, for `imagectl sync exchange`.
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
"""The property is called like the section that it holds."""


@dataclass(frozen=True, slots=True)
class Unfolded:
    """A document of the Exchange as this program reads documents."""

    document: Mapping[str, object]
    fault: str = ""
    """What is wrong with its image policy; empty if nothing."""


def unfolded(document: Mapping[str, object]) -> Unfolded:
    """The document with the image policy in its property as a section.

    A property that cannot be read becomes the section as it is: the document is then invalid and shown as such, where
    one without the section would only look like none of our business. The property itself stays, since constraints of
    nodes may ask for it: whether a document applies to a node must not depend on who reads it.
    """
    properties = [given.get("value") for given in _list(document.get("properties")) if _is_ours(given)]
    if not properties:
        return Unfolded(document)
    sections = [document[name] for name in fields.IMAGE_POLICY.spellings if document.get(name) is not None]
    if len(properties) + len(sections) > 1:
        several = [*sections, *properties]
        return Unfolded({**document, SECTION: several}, f"has {len(several)} image policies and not one")
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
    """JSON that survives `hzn`, which removes `/*...*/` from what it reads and replaces `$NAME`, within texts as well.

    Two wildcards in one name are enough: `team/*/edge/*/app:1` would become `teamapp:1`.
    Upstream: anax cli/cliutils/cliutils.go, ReadJsonFile.
    """
    return json.dumps(document, indent=2).replace("/*", "/\\u002a").replace("$", "\\u0024") + "\n"


def _is_ours(given: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(given, Mapping) and given.get("name") == PROPERTY


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _read(value: object) -> tuple[object, str]:
    """The section, and what is wrong with it."""
    if not isinstance(value, str):
        return value, "is not a text"
    try:
        tree = read_json(value.replace("\r\n", "\n"), Builder())
    except InvalidText as error:
        return value, f"is {error.message}, in line {error.line}, column {error.column} of the text"
    found = Findings("")
    check_keys(tree, PROPERTY, found)
    return (value, f"is faulty: {found.problems[0].sentence}") if found.problems else (plain(tree), "")

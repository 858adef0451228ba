"""An image policy as JSON text in the string property `image_policy`, because the Exchange has no field for it.

`folded` writes the property; `unfolded` reads it from values, `with_section` from the tree of a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from controller.errors import InvalidText
from controller.policy.document import fields
from controller.policy.document.document import NodeManagementPolicy, content_of
from controller.policy.document.findings import Findings
from controller.policy.document.mapping import LONGEST_NAME, Field, check_keys, joined
from controller.policy.text import tree
from controller.policy.text.json_reader import read_json
from controller.policy.text.tree import Builder, Node, Scalar, is_null, plain
from controller.value import dataclass

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
    if _has_upgrade(document):
        return Unfolded(document, f"has an upgrade policy and {_NAMED}: only one of them is allowed")
    sections = [document[name] for name in fields.IMAGE_POLICY.spellings if document.get(name) is not None]
    if len(properties) + len(sections) > 1:
        several = [*sections, *properties]
        return Unfolded({**document, SECTION: several}, f"has {len(several)} image policies instead of one")
    section, fault = _read(properties[0])
    return Unfolded({**document, SECTION: section}, fault and f"{_NAMED} {fault}")


def _has_upgrade(document: Mapping[str, object]) -> bool:
    """The Exchange adds an upgrade policy without a manifest to every document."""
    upgrades = (document.get(name) for name in fields.UPGRADE.spellings)
    return any(upgrade.get("manifest") for upgrade in upgrades if isinstance(upgrade, Mapping))


def with_section(root: Node, path: str, found: Findings) -> Node:
    """The document of a file with the image policy in its property as a section; problems have the property's place.

    A document that has the section keeps it: `imagectl sync` writes both.
    """
    if not isinstance(root, tree.Mapping):
        return root
    ours = []
    for name, value in _properties_of(root):
        if name.text == PROPERTY:
            ours.append(value)
        elif _spelling(name.text) in _NEAR:
            found.warning(name, joined(path, "properties"), _NOT_READ.format(name.text), f"did you mean {PROPERTY}?")
    if not ours or any(not field.is_absent(node) for field, node in _sections_of(root)):
        return root
    if len(ours) > 1:
        found.error(ours[1], joined(path, "properties"), f"has {len(ours)} properties {PROPERTY} instead of one")
        return root
    if _has_upgrade(_as_values(root)):
        message = f"{_NAMED} and an upgrade policy exclude each other"
        found.error(ours[0], joined(path, "properties"), message, "put them into two documents")
        return root
    section = _section_of(ours[0], path, found)
    if section is None:
        return root
    key = Scalar(SECTION, SECTION, ours[0].line, ours[0].column)
    entries = [entry for entry in root.entries if entry[0].text not in fields.IMAGE_POLICY.spellings]
    return root._replace(entries=(*entries, (key, section)))


_NAMED = f"the property {PROPERTY}"
_NEAR = ("imagepolicy", "imagepolicies", "agentimagepolicy", "imageremovalpolicy", "imageremovalpolicies")
_NOT_READ = "the property {} is not read as an image policy"


def _spelling(name: str) -> str:
    return name[:LONGEST_NAME].lower().replace("-", "").replace("_", "").replace(" ", "")


def _properties_of(root: tree.Mapping) -> Iterator[tuple[Scalar, Node]]:
    """The name and the value of each property that has both; a missing value is the property itself."""
    for key, properties in root.entries:
        if key.text == fields.PROPERTIES.name and isinstance(properties, tree.Sequence):
            for item in properties.items:
                if isinstance(item, tree.Mapping):
                    parts = {key.text: value for key, value in item.entries}
                    if isinstance(name := parts.get("name"), Scalar):
                        yield name, parts.get("value", item)


def _sections_of(root: tree.Mapping) -> Iterator[tuple[Field[Any], Node]]:
    return ((fields.IMAGE_POLICY, node) for key, node in root.entries if key.text in fields.IMAGE_POLICY.spellings)


def _as_values(root: tree.Mapping) -> Mapping[str, object]:
    return {key.text: plain(node) for key, node in root.entries if key.text in fields.UPGRADE.spellings}


def _section_of(value: Node, path: str, found: Findings) -> Node | None:
    """The tree of the text, at the place of the property; None, with an error, if it cannot be read."""
    where = joined(path, "properties")
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        found.error(value, where, f"{_NAMED} is not a text", "write it with imagectl nmp export --exchange")
        return None
    try:
        section = read_json(value.value.replace("\r\n", "\n"), Builder())
    except InvalidText as error:
        found.error(
            value, where, f"{_NAMED} is {error.message}, in line {error.line}, column {error.column} of the text"
        )
        return None
    if is_null(section):
        found.error(value, where, f"{_NAMED} is null")
        return None
    section = _moved(section, value)
    check_keys(section, joined(path, SECTION), found)
    return section


def _moved(node: Node, to: Scalar) -> Node:
    """The same tree at another place."""
    if isinstance(node, Scalar):
        return node._replace(line=to.line, column=to.column, inset=None)
    if isinstance(node, tree.Sequence):
        return node._replace(items=tuple(_moved(item, to) for item in node.items), line=to.line, column=to.column)
    entries = tuple((key._replace(line=to.line, column=to.column), _moved(child, to)) for key, child in node.entries)
    return node._replace(entries=entries, line=to.line, column=to.column)


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
        section = read_json(value.replace("\r\n", "\n"), Builder())
    except InvalidText as error:
        return value, f"is {error.message}, in line {error.line}, column {error.column} of the text"
    if is_null(section):
        return value, "is null"
    found = Findings("")
    check_keys(section, PROPERTY, found)
    return (value, f"is faulty: {found.problems[0].sentence}") if found.problems else (plain(section), "")

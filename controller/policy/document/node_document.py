"""A node file > the nodes that it describes, valid or not, and every problem in it. Nothing is raised.

The fields are declared once, here. What a node policy amounts to for node management is in `plan/node`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from controller.policy.document import fields
from controller.policy.document.findings import Allowance, Findings
from controller.policy.document.languages import Constraint
from controller.policy.document.mapping import Field, MappingShape, Values, check_keys
from controller.policy.document.shapes import Listed, OneOf, Text
from controller.policy.problem import Problem
from controller.policy.text.source import read_source
from controller.policy.text.tree import Node, is_null, plain

_NAME = r"[^\s/]{1,255}"

PROPERTIES = Field(
    "properties",
    fields.PROPERTIES.shape,
    "what the node says of itself, for the constraints of documents",
    examples=([{"name": "site", "value": "lyon"}],),
)
CONSTRAINTS = Field(
    "constraints",
    Listed(Constraint(may_be_blank=True)),  # an agent takes a blank one, and so did whoever wrote the policy
    "which documents the node takes, by their properties; all must hold; none: every document without patterns",
    examples=(["purpose == cleaning"],),
)
MANAGEMENT = Field(
    "management",
    MappingShape("the management section", (PROPERTIES, CONSTRAINTS), is_closed=True),
    "what holds for node management only: properties replace those above by name, constraints replace all above",
)
DEPLOYMENT = Field(
    "deployment",
    MappingShape("the deployment section", (PROPERTIES, CONSTRAINTS), is_closed=True),
    "what holds for services only; it has no say here",
)
POLICY_VERSION = Field(
    "nodePolicyVersion",
    OneOf(("v2", "")),
    "set by the Exchange; empty: an old policy without sections, of which only built-in properties count here",
)

ORG = Field(
    "org", Text(pattern=_NAME, says="the ID of an organisation: no blank, no slash"), "the organisation of the node"
)
ID = Field("id", Text(pattern=_NAME, says="the ID of a node: no blank, no slash"), "the node's ID in its organisation")
PATTERN = Field(
    "pattern",
    Text(pattern=rf"|({_NAME}/)?{_NAME}", says="a pattern: org/name, or name"),
    "the pattern that the node is registered with; empty: none, and its policy counts",
    examples=("", "myorg/gateway"),
)
POLICY = Field(
    "policy",
    # Closed: a misspelt `constraints` or `pattern` would open the node to documents that are not meant for it.
    MappingShape(
        "a node policy",
        (
            Field("label", Text(), "a short name for people"),
            Field("description", Text(), "what the node is, at length"),
            PROPERTIES,
            CONSTRAINTS,
            MANAGEMENT,
            DEPLOYMENT,
            POLICY_VERSION,
            Field("lastUpdated", Text(), "set by the Exchange"),
        ),
        is_closed=True,
    ),
    "the node policy, as `hzn policy list` prints it",
)
NODE = MappingShape("a node", (ORG, ID, PATTERN, POLICY), is_closed=True)


@dataclass(frozen=True, slots=True)
class NodeDocument:
    """One valid description of a node; what is not given is empty."""

    org: str
    id: str
    pattern: str
    """As it is written: `org/name` or `name`."""
    policy: Mapping[str, object]
    """As plain values."""
    file: str
    line: int

    @property
    def is_flat(self) -> bool:
        """Does the Exchange say that the policy is of the first version, which had no sections?"""
        return self.policy.get(POLICY_VERSION.name) == ""


@dataclass(frozen=True, slots=True)
class ParsedNodes:
    """What was read of one or more files."""

    nodes: tuple[NodeDocument, ...] = ()
    """The valid ones, in the order of the text."""
    problems: tuple[Problem, ...] = ()
    """By place."""


def parse_nodes(data: bytes, file: str) -> ParsedNodes:
    """All nodes of one file, in YAML (several documents, perhaps) or JSON; `file` is what messages call it."""
    roots = [root for root in read_source(data, file) if isinstance(root, Problem) or not is_null(root)]
    if not roots:
        return ParsedNodes(problems=(Problem(file, 1, 1, "", "error", "describes no node"),))
    nodes: list[NodeDocument] = []
    problems: list[Problem] = []
    allowance = Allowance()
    for root in roots:
        node, of_root = (None, [root]) if isinstance(root, Problem) else _read_node(root, Findings(file, allowance))
        nodes += [node] if node else []
        problems += of_root
    return ParsedNodes(tuple(nodes), tuple(sorted(problems)))


def parse_node_line(line: bytes, file: str, number: int) -> ParsedNodes:
    """The node in one line of a file of JSON lines; a blank line holds none."""
    if not line.strip():
        return ParsedNodes()
    parsed = parse_nodes(line, file)
    return ParsedNodes(
        tuple(replace(node, line=number) for node in parsed.nodes),
        tuple(replace(problem, line=number) for problem in parsed.problems),
    )


def _read_node(root: Node, found: Findings) -> tuple[NodeDocument | None, list[Problem]]:
    check_keys(root, "", found)
    values = NODE.read(root, "", found)
    if values and not found.has_errors and not (values[PATTERN] or values[POLICY]):
        # What is left of a file that was cut short looks like this: an unknown node is not an empty one.
        hint = "write `policy: {}` if the node really has neither"
        found.error(root, "", "neither a pattern nor a policy", hint)
    return (None if found.has_errors or not values else _node(values, found.file)), found.problems


def _node(values: Values, file: str) -> NodeDocument:
    policy = values.node_of(POLICY)
    return NodeDocument(
        org=values[ORG] or "",
        id=values[ID] or "",
        pattern=values[PATTERN] or "",
        policy=cast("Mapping[str, object]", plain(policy)) if policy else {},
        file=file,
        line=values.mapping.line,
    )

"""Read the nodes of a node file and every problem in it. Nothing is raised.

`plan/node` converts a node document into the node that matching uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from controller.policy.document import fields
from controller.policy.document.findings import Allowance, Findings
from controller.policy.document.languages import Constraint
from controller.policy.document.mapping import Field, MappingShape, Values, check_keys
from controller.policy.document.shapes import Listed, OneOf, Text
from controller.policy.problem import Problem
from controller.policy.text.source import read_source
from controller.policy.text.tree import Node, is_null, plain
from controller.value import dataclass

_NAME = r"[^\s/]{1,255}"

PROPERTIES = Field(
    "properties",
    fields.PROPERTIES.shape,
    "properties of the node, for the constraints of documents",
    examples=([{"name": "site", "value": "lyon"}],),
)
CONSTRAINTS = Field(
    "constraints",
    Listed(Constraint(may_be_blank=True)),  # the agent accepts a blank one
    "which documents apply, by their properties; all must be true; none: every document without patterns",
    examples=(["purpose == cleaning"],),
)
MANAGEMENT = Field(
    "management",
    MappingShape("the management section", (PROPERTIES, CONSTRAINTS), is_closed=True),
    "for node management only: its properties replace those above by name, its constraints replace all above",
)
DEPLOYMENT = Field(
    "deployment",
    MappingShape("the deployment section", (PROPERTIES, CONSTRAINTS), is_closed=True),
    "for services only; ignored here",
)
POLICY_VERSION = Field(
    "nodePolicyVersion",
    OneOf(("v2", "")),
    "set by the Exchange; empty: an old policy without sections; only its built-in properties are used here",
)

ORG = Field(
    "org", Text(pattern=_NAME, says="the ID of an organisation: no blank, no slash"), "the organisation of the node"
)
ID = Field("id", Text(pattern=_NAME, says="the ID of a node: no blank, no slash"), "the node's ID in its organisation")
PATTERN = Field(
    "pattern",
    Text(pattern=rf"|({_NAME}/)?{_NAME}", says="a pattern: org/name, or name"),
    "the pattern of the registration; empty: none, so the node policy is used",
    examples=("", "myorg/gateway"),
)
POLICY = Field(
    "policy",
    # Closed: with a misspelt `constraints` or `pattern` more documents would apply to the node.
    MappingShape(
        "a node policy",
        (
            Field("label", Text(), "a short name for people"),
            Field("description", Text(), "a long description"),
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
    """One valid node; missing values are empty."""

    org: str
    id: str
    pattern: str
    """As written: `org/name` or `name`."""
    policy: Mapping[str, object]
    """As plain values."""
    file: str
    line: int

    @property
    def is_flat(self) -> bool:
        """True if the policy is of version 1 (no sections) according to the Exchange."""
        return self.policy.get(POLICY_VERSION.name) == ""


@dataclass(frozen=True, slots=True)
class ParsedNodes:
    """The content of one or more files."""

    nodes: tuple[NodeDocument, ...] = ()
    """The valid ones, in the order of the text."""
    problems: tuple[Problem, ...] = ()
    """By place."""


def parse_nodes(data: bytes, file: str) -> ParsedNodes:
    """All nodes of one file, in YAML (several documents, perhaps) or JSON; messages name it `file`."""
    roots = [root for root in read_source(data, file) if isinstance(root, Problem) or not is_null(root)]
    if not roots:
        return ParsedNodes(problems=(Problem(file, 1, 1, "", "error", "contains no node"),))
    nodes: list[NodeDocument] = []
    problems: list[Problem] = []
    allowance = Allowance()
    for root in roots:
        node, of_root = (None, [root]) if isinstance(root, Problem) else _read_node(root, Findings(file, allowance))
        nodes += [node] if node else []
        problems += of_root
    return ParsedNodes(tuple(nodes), tuple(sorted(problems)))


def parse_node_line(line: bytes, file: str, number: int) -> ParsedNodes:
    """The node in one line of a JSON lines file; a blank line has none."""
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
        # A truncated file may have neither; then the node is unknown, not empty.
        hint = "write `policy: {}` if the node has neither"
        found.error(root, "", "has no pattern and no policy", hint)
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

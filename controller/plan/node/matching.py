"""Whether a document applies to a node, and why, exactly as upstream decides it.

Whether the document is enabled or has started is decided elsewhere.
Upstream: anax nodemanagement/node_management_worker.go, VerifyCompatible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from controller.constraint.evaluate import Evaluation, evaluate
from controller.constraint.parser import parse
from controller.constraint.property import Property
from controller.constraint.wording import shown
from controller.errors import InvalidConstraint
from controller.plan.node.node import Node
from controller.value import dataclass

_SHOWN_PATTERNS = 5


class MatchableDocument(Protocol):
    """The fields of a policy that matching uses."""

    @property
    def constraints(self) -> Sequence[str]: ...
    @property
    def properties(self) -> Sequence[Property]: ...
    @property
    def patterns(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Match:
    """`reason` is a sentence or an evaluation that makes one on demand, because a fleet has a million of them."""

    applies: bool
    reason: str | Evaluation

    @property
    def why(self) -> str:
        """Why the document applies or not, as a sentence."""
        return self.reason if isinstance(self.reason, str) else self.reason.why

    @property
    def warning(self) -> str:
        """Set if the agent itself crashes on this comparison, which is no match."""
        return self.why if isinstance(self.reason, Evaluation) and self.reason.crashes_upstream else ""


def match(document: MatchableDocument, node: Node) -> Match:
    """Whether the document applies to the node.

    If either has a pattern, only patterns count. Otherwise the document's properties must satisfy the node's
    constraints and the node's properties the document's; a constraint that cannot be parsed is never satisfied.
    """
    if node.pattern or document.patterns:
        return _match_patterns(document.patterns, node.pattern)
    return (
        _refusal("the node", node.constraints, "the document", document.properties)
        or _refusal("the document", document.constraints, "the node", node.properties)
        or Match(True, "the constraints on both sides are satisfied, and neither side has patterns")
    )


def _match_patterns(listed: Sequence[str], pattern: str) -> Match:
    """The pattern `org/name` is listed as `org/name`, or as `name`, which is the pattern of any organisation."""
    if pattern in listed:
        return Match(True, f"the document lists the node's pattern {shown(pattern)}")
    _, slash, name = pattern.partition("/")
    if slash and name in listed:
        return Match(True, f"the document lists {shown(name)}, which covers the node's pattern {shown(pattern)}")
    if not pattern:
        return Match(False, f"the document is for nodes with the pattern {_either(listed)}, and the node has none")
    if not listed:
        return Match(False, f"the node has the pattern {shown(pattern)}, and the document lists no patterns")
    return Match(False, f"the node has the pattern {shown(pattern)}, and the document lists {_either(listed)}")


def _either(patterns: Sequence[str]) -> str:
    named = " or ".join(map(shown, patterns[:_SHOWN_PATTERNS]))
    return named + (f" or {len(patterns) - _SHOWN_PATTERNS} others" if len(patterns) > _SHOWN_PATTERNS else "")


def _refusal(owner: str, constraints: Sequence[str], holder: str, properties: Sequence[Property]) -> Match | None:
    """No match, if the properties of the holder do not satisfy the constraints of the owner."""
    try:
        expressions = [parse(text) for text in constraints]
    except InvalidConstraint:
        return Match(False, _unreadable(owner, constraints))
    answer = evaluate(expressions, properties, holder)
    return None if answer.holds else Match(False, answer)


def _unreadable(owner: str, constraints: Sequence[str]) -> str:
    """The first constraint that cannot be parsed, and why; it makes all of them fail."""
    for text in constraints:
        try:
            parse(text)
        except InvalidConstraint as error:
            place = f"{shown(text)}, character {error.position + 1}"
            return f"a constraint of {owner} cannot be parsed: {place}: {error.message}"
    return ""

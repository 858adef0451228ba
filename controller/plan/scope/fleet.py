"""Which nodes of a fleet a document applies to, why not to the others, and which images it could remove there.

Start times and idle times are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from controller.constraint.expression import And, Comparison, Or
from controller.constraint.parser import parse
from controller.image.reference import reference_from_engine
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.matching import Match, match
from controller.plan.node.node import Node
from controller.plan.scope.candidate import Candidate
from controller.plan.scope.in_force import never_in_force
from controller.policy.document.parse import Document
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a fleet."""

    name: str
    node: Node
    candidates: tuple[Candidate, ...] = ()
    """Empty without a plan of the node."""


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes with the same result for a document, for the same reason."""

    applies: bool
    why: str
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reach:
    """The nodes and images that one document covers."""

    document: Document
    groups: tuple[NodeGroup, ...]
    """Groups to which it applies first; then by size."""
    could_remove: dict[str, list[str]]
    """References by node name."""

    @property
    def applies_to(self) -> list[Member]:
        """The nodes to which it applies."""
        return [member for group in self.groups if group.applies for member in group.members]


def applies(document: Document, who: NodeAnswer) -> Match:
    """Whether the document can ever be in force on this node, and why."""
    if never := never_in_force(document):
        return Match(False, never[1])
    assert document.policy is not None
    return Match(False, who.why) if who.node is None else match(document.policy, who.node)


def reaches(documents: Sequence[Document], fleet: Iterable[Member]) -> Iterator[Reach]:
    """The nodes that each document applies to."""
    classes = list(_classes(fleet, documents))
    for document in documents:
        yield _reach(document, classes)


def _classes(fleet: Iterable[Member], documents: Iterable[Document]) -> Iterable[list[Member]]:
    """Nodes that are equal for all documents, so that each class is matched once."""
    asked_for = {name for document in documents for name in _names_in_constraints(document)}
    classes: dict[tuple[object, ...], list[Member]] = {}
    for member in fleet:
        # repr, because 1, 1.0 and True are equal in Python and not in a constraint.
        tested = (repr(prop) for prop in member.node.properties if prop.name in asked_for)
        classes.setdefault((member.node.pattern, member.node.constraints, *tested), []).append(member)
    return classes.values()


def _names_in_constraints(document: Document) -> Iterator[str]:
    ahead: list[And | Or | Comparison] = (
        [parse(text) for text in document.policy.constraints] if document.policy else []
    )
    while ahead:
        part = ahead.pop()
        if isinstance(part, Comparison):
            yield part.name
        else:
            ahead += part.parts


def _reach(document: Document, classes: Iterable[Sequence[Member]]) -> Reach:
    groups: dict[tuple[bool, str], NodeGroup] = {}
    for members in classes:
        answer = applies(document, NodeAnswer(members[0].node))
        key = (answer.applies, answer.why)
        groups.setdefault(key, NodeGroup(*key)).members.extend(members)
    ordered = sorted(groups.values(), key=lambda group: (not group.applies, -len(group.members)))
    return Reach(document, tuple(ordered), _removable(document, ordered))


def _removable(document: Document, groups: Iterable[NodeGroup]) -> dict[str, list[str]]:
    covers = _Coverage(document)
    return {
        member.name: references
        for group in groups
        if group.applies
        for member in group.members
        if (references := covers.among(member.candidates))
    }


def could_remove(document: Document, candidates: Iterable[Candidate]) -> list[str]:
    """The references that a rule of the document covers, in their order."""
    return _Coverage(document).among(candidates)


class _Coverage:
    """The references that the rules of one document cover; results are cached, because nodes are alike."""

    def __init__(self, document: Document) -> None:
        self._rules = (document.policy.removal or ()) if document.policy else ()
        self._known: dict[Candidate, bool] = {}

    def among(self, candidates: Iterable[Candidate]) -> list[str]:
        return [candidate.reference for candidate in candidates if self._covers(candidate)]

    def _covers(self, candidate: Candidate) -> bool:
        if candidate not in self._known:
            names = [reference_from_engine(name) for name in (candidate.reference, *candidate.names)]
            has_lost_tag = any("@" not in name for name in candidate.names)
            self._known[candidate] = any(
                rule.selector.matches(name)
                for rule in self._rules
                for name in names
                if candidate.downloaded_by_agent or not rule.agent_downloaded_only
                if has_lost_tag or not rule.lost_tag_only
            )
        return self._known[candidate]

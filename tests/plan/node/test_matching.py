from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.property import Property
from controller.plan.node.matching import match
from controller.plan.node.node import Node
from tests.steps import steps_of


@dataclass(frozen=True)
class _Policy:
    constraints: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()
    patterns: tuple[str, ...] = ()


_LYON = Node(properties=(Property("site", "lyon"),), constraints=("purpose == cleanup",))
_CLEANUP = (Property("purpose", "cleanup"),)
_patterns = st.sampled_from(["", "p", "/", "/p", "o/p", "o/", "x/p", "o/p/q", "p/q", "P"])


@pytest.mark.parametrize(
    ("pattern", "listed", "applies"),
    [
        ("org/p1", ("org/p1",), True),
        ("org/p1", ("p1",), True),
        ("org2/p1", ("p1",), True),
        ("org2/p1", ("org/p1",), False),
        ("p1", ("org/p1",), False),
        ("org/p1/x", ("p1/x",), True),
        ("org/p1/x", ("x",), False),
        ("org/P1", ("p1",), False),
        ("org/p1", (), False),
        ("org/", ("",), True),
        ("org/p1", ("*",), False),
        ("", ("p1",), False),
        ("", ("",), True),
    ],
)
def test_patterns_match_as_upstream_compares_them(pattern: str, listed: tuple[str, ...], applies: bool) -> None:
    document = _Policy(patterns=listed, constraints=("never == true",))
    assert match(document, Node(pattern=pattern)).applies is applies


@given(_patterns, st.lists(_patterns, min_size=1, max_size=3))
def test_constraints_have_no_effect_beside_patterns(pattern: str, listed: list[str]) -> None:
    without = match(_Policy(patterns=tuple(listed)), Node(pattern=pattern)).applies
    invalid = Node(pattern=pattern, constraints=("no constraint",))
    assert match(_Policy(patterns=tuple(listed), constraints=("() x",)), invalid).applies is without


def test_without_patterns_the_constraints_of_both_sides_must_hold() -> None:
    document = _Policy(constraints=("site == lyon",), properties=_CLEANUP)
    assert match(document, _LYON).applies
    assert not match(document, Node(constraints=_LYON.constraints)).applies
    assert not match(_Policy(constraints=("site == lyon",)), _LYON).applies


def test_without_constraints_on_both_sides_the_document_matches() -> None:
    assert match(_Policy(), Node()).applies
    assert match(_Policy(constraints=("", "  ")), Node(constraints=("()",))).applies


@pytest.mark.parametrize(
    ("document", "node", "why"),
    [
        (
            _Policy(constraints=('site == "paris"',), properties=_CLEANUP),
            _LYON,
            """constraint 'site == "paris"' is not satisfied: the node has site = "lyon\"""",
        ),
        (
            _Policy(properties=(Property("purpose", "x"),)),
            _LYON,
            "constraint 'purpose == cleanup' is not satisfied: the document has purpose = \"x\"",
        ),
        (
            _Policy(constraints=("a == nginx:1",)),
            Node(),
            'a constraint of the document cannot be parsed: "a == nginx:1", character 11: ":" is not allowed',
        ),
        (_Policy(), Node(constraints=("a",)), 'a constraint of the node cannot be parsed: "a", character 2: '),
        (
            _Policy(patterns=("a", "b")),
            Node(),
            'the document is for nodes with the pattern "a" or "b", and the node has none',
        ),
        (_Policy(), Node(pattern="o/p"), 'the node has the pattern "o/p", and the document lists no patterns'),
        (_Policy(patterns=("a",)), Node(pattern="o/p"), 'the node has the pattern "o/p", and the document lists "a"'),
        (_Policy(patterns=("o/p",)), Node(pattern="o/p"), 'the document lists the node\'s pattern "o/p"'),
        (
            _Policy(patterns=("p",)),
            Node(pattern="o/p"),
            'the document lists "p", which covers the node\'s pattern "o/p"',
        ),
        (_Policy(), Node(), "the constraints on both sides are satisfied"),
    ],
)
def test_the_reason_is_a_sentence(document: _Policy, node: Node, why: str) -> None:
    assert match(document, node).why.startswith(why)


def test_many_patterns_are_counted_in_the_reason() -> None:
    listed = tuple(f"p{number}" for number in range(1000))
    assert match(_Policy(patterns=listed), Node()).why.count("p") < 30
    assert "or 995 others" in match(_Policy(patterns=listed), Node()).why


def test_one_constraint_that_cannot_be_parsed_makes_all_fail() -> None:
    assert not match(_Policy(constraints=("", "a b")), Node()).applies
    assert not match(_Policy(), Node(constraints=("", "() a == 1"))).applies


def test_where_the_agent_would_crash_there_is_a_warning_and_no_match() -> None:
    answer = match(_Policy(constraints=("a == x",)), Node(properties=(Property("a", '"'),)))
    assert not answer.applies
    assert "the agent crashes" in answer.warning
    assert match(_Policy(), Node()).warning == ""


def test_a_match_takes_few_steps_once_the_constraints_are_parsed() -> None:
    documents = [_Policy((f'site == "s{number}" && tier == gold',), _CLEANUP) for number in range(20)]
    nodes = [
        Node(properties=(Property("site", f"s{number % 50}"), Property("tier", "gold")), constraints=_LYON.constraints)
        for number in range(100)
    ]
    matches = [match(document, node) for document in documents for node in nodes]
    assert sum(found.applies for found in matches) == 40
    assert steps_of(lambda: [match(document, node) for document in documents for node in nodes]) < 200 * len(matches)

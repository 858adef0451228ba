"""The nodes of a fleet that a document applies to: equal to the result for each node alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.property import Property
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.matching import Match, MatchableDocument, match
from controller.plan.node.node import Node
from controller.plan.scope import fleet as fleet_scope
from controller.plan.scope.candidate import Candidate
from controller.plan.scope.fleet import Member, applies, could_remove, reaches
from controller.policy.document.parse import Document, parse_documents
from tests.policy.drafts import RULE, a_draft


def a_document(**changes: object) -> Document:
    (document,) = parse_documents(json.dumps(a_draft(**changes)).encode(), "sweep.json").documents
    return document


def a_member(name: str, pattern: str = "", *candidates: Candidate, **properties: object) -> Member:
    said = tuple(Property(key, value) for key, value in properties.items())
    return Member(name, Node("myorg", name, pattern, said), candidates)


FLEET = (
    a_member("lyon-1", site="lyon"),
    a_member("lyon-2", site="lyon"),
    a_member("paris", site="paris"),
    a_member("bare"),
    a_member("gateway", "myorg/gateway", site="lyon"),
)


def test_nodes_are_listed_with_the_reason_and_matching_nodes_first() -> None:
    (reach,) = reaches([a_document(constraints=["site == lyon"])], FLEET)
    assert [member.name for member in reach.applies_to] == ["lyon-1", "lyon-2"]
    assert [(group.applies, group.why, len(group.members)) for group in reach.groups] == [
        (True, "the constraints on both sides are satisfied, and neither side has patterns", 2),
        (False, "constraint 'site == lyon' is not satisfied: the node has site = \"paris\"", 1),
        (False, "constraint 'site == lyon' is not satisfied: the node has no property site", 1),
        (False, 'the node has the pattern "myorg/gateway", and the document lists no patterns', 1),
    ]


def test_a_document_that_is_never_in_force_applies_to_no_node_and_says_why() -> None:
    documents = [a_document(enabled=False), a_document(enabled=7), a_document(image_policy=...)]
    whys = [[group.why for group in reach.groups] for reach in reaches(documents, FLEET)]
    assert whys == [["enabled is false"], ["1 error"], ["ignored (no image policy)"]]


def test_no_document_applies_to_an_unknown_node() -> None:
    answer = applies(a_document(), NodeAnswer(None, "the agent is silent", is_silence=True))
    assert (answer.applies, answer.why) == (False, "the agent is silent")


def test_values_that_python_considers_equal_are_distinguished() -> None:
    fleet = [a_member(str(number), n=value) for number, value in enumerate((1, 1.0, True, "1"))]
    (reach,) = reaches([a_document(constraints=["n == 1 && n < 2"])], fleet)
    assert [member.name for member in reach.applies_to] == ["0", "1"]


_values = st.sampled_from([1, 1.0, True, "1", "a", "a,b", 0, False, None, '"'])
_members = st.builds(
    lambda pattern, values, constraints: Node("o", "n", pattern, tuple(map(Property, "abab", values)), constraints),
    st.sampled_from(["", "", "o/p"]),
    st.lists(_values, max_size=4),
    st.sampled_from([(), ("x == 1",), ("x == 2",), ("",), ("a b",)]),
)
_documents = st.builds(
    lambda chosen: a_document(properties=[{"name": "x", "value": 1}], **chosen),
    st.one_of(
        st.fixed_dictionaries(
            {
                "constraints": st.lists(
                    st.sampled_from(["a == 1", "(b != a || a < 1)", 'a in "a,b"', "c == 1"]), max_size=2
                )
            }
        ),
        st.just({"patterns": ["p"]}),
        st.just({"enabled": False}),
    ),
)


@given(st.lists(_documents, max_size=3), st.lists(_members, max_size=8))
def test_every_node_gets_the_answer_that_it_gets_alone(documents: list[Document], nodes: list[Node]) -> None:
    fleet = [Member(str(number), node) for number, node in enumerate(nodes)]
    for document, reach in zip(documents, reaches(documents, fleet), strict=True):
        shown = {member.name: (group.applies, group.why) for group in reach.groups for member in group.members}
        alone = {member.name: applies(document, NodeAnswer(member.node)) for member in fleet}
        assert shown == {name: (answer.applies, answer.why) for name, answer in alone.items()}


def test_nodes_that_no_document_distinguishes_are_matched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [a_document(constraints=[f'site == "s{number}" && tier == gold']) for number in range(100)]
    fleet = [a_member(f"n{n}", hardware=f"h{n}", site=f"s{n % 50}", tier="gold", cpu=4) for n in range(10_000)]
    asked = list[object]()

    def counted(document: MatchableDocument, node: Node) -> Match:
        asked.append(document)
        return match(document, node)

    monkeypatch.setattr(fleet_scope, "match", counted)
    found = [len(reach.applies_to) for reach in reaches(documents, fleet)]
    assert len(asked) == 100 * 50
    assert found == [200] * 50 + [0] * 50


# ── images ────────────────────────────────────────────────────────────────────────────────────────────────────────────

OLD, OLDER, NEW = Candidate("old:1", downloaded_by_agent=True), Candidate("old:0"), Candidate("new:1")
A_DIGEST = "sha256:" + "0" * 64


def test_what_a_rule_covers_could_be_removed() -> None:
    anybodys = a_document(image_policy={"removal": [{**RULE, "agent_downloaded_only": False}]})
    assert could_remove(anybodys, [OLD, OLDER, NEW]) == ["old:1", "old:0"]


def test_a_rule_for_downloaded_images_could_remove_only_those() -> None:
    assert could_remove(a_document(), [OLD, OLDER, NEW]) == ["old:1"]


def test_an_image_that_lost_its_names_is_found_by_the_last_ones() -> None:
    nameless = Candidate(A_DIGEST, ("docker.io/library/old:1",), downloaded_by_agent=True)
    assert could_remove(a_document(), [nameless]) == [A_DIGEST]
    assert could_remove(a_document(), [Candidate(A_DIGEST, (), True)]) == []


def test_an_invalid_document_could_remove_nothing() -> None:
    assert could_remove(a_document(enabled=7), [OLD]) == []


def test_images_are_listed_for_nodes_to_which_the_document_applies() -> None:
    fleet = [a_member("a", "", OLD, NEW, site="lyon"), a_member("b", "", OLD, site="paris"), a_member("c", site="lyon")]
    (reach,) = reaches([a_document(constraints=["site == lyon"])], fleet)
    assert reach.could_remove == {"a": ["old:1"]}

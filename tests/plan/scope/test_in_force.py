"""Documents on one node: they come into force, wait and end, with a reason."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.property import Property
from controller.instant import Instant
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import TextKey, TextRecord
from controller.plan.node.agent import NodeAnswer
from controller.plan.node.node import Node
from controller.plan.scope.in_force import (
    A_TEXT_IS_FORGOTTEN_AFTER_SECONDS,
    Circumstances,
    DocumentDecisions,
    DocumentState,
    DocumentStatus,
    decide_documents,
    held_names,
    texts_after,
)
from controller.plan.scope.window import offset_seconds
from controller.policy.document.parse import Document, FolderReading, parse_documents
from controller.policy.problem import Problem, Severity
from tests.policy.drafts import a_draft

HOUR, DAY = 3600, 86_400
IN_FORCE, WAITING, NOT_APPLICABLE = DocumentState.IN_FORCE, DocumentState.WAITING, DocumentState.NOT_APPLICABLE
LYON = Node("myorg", "gw-1", properties=(Property("site", "lyon"),))
PARIS = Node("myorg", "gw-1", properties=(Property("site", "paris"),))
GATEWAY = Node("myorg", "gw-1", pattern="myorg/gateway", properties=(Property("site", "lyon"),))
TEN_O_CLOCK = datetime(2027, 1, 31, 22, tzinfo=UTC).timestamp()


def a_document(name: str = "sweep", /, **changes: object) -> Document:
    (document,) = parse_documents(json.dumps(a_draft(**changes)).encode(), f"{name}.json").documents
    return document


@pytest.mark.parametrize(
    ("place", "severity", "is_held"),
    [
        ("p/team/a.json", "error", True),
        ("p/team/a.json", "warning", True),
        ("p/team", "error", True),
        ("p/team", "warning", False),
        ("p/tea", "error", False),
        ("p/team/a.yaml", "error", False),
        ("", "error", False),
    ],
)
def test_a_name_is_held_by_the_file_that_had_it_while_that_cannot_be_read(
    place: str, severity: Severity, is_held: bool
) -> None:
    """A folder that cannot be listed is an error, one that others may write is a warning."""
    document = a_document("sweep")
    reading = FolderReading("p", (document,), (Problem(place, 1, 1, "", severity, "x"),))
    texts = {("sweep", "another"): TextRecord(1.0, 2.0, 1.0, "{}", "p/team/a.json")}
    assert held_names(reading, texts) == ({"sweep": "p/team/a.json"} if is_held else {})
    assert document.policy
    assert held_names(reading, {("sweep", document.policy.text_hash): TextRecord(1.0, 2.0, 1.0, "{}", place)}) == {}


class Life:
    """A node with its state between passes."""

    def __init__(self, node: Node | None = LYON, wall: float = TEN_O_CLOCK) -> None:
        self.who = NodeAnswer(node)
        self.wall = wall
        self.boot, self.uptime = "boot", 10_000.0
        self.clock = LedgerClock().advanced(self._instant(), math.inf)
        self.texts: Mapping[TextKey, TextRecord] = {}

    def _instant(self) -> Instant:
        return Instant(self.wall, self.boot, self.uptime)

    def passes(self, seconds: float) -> Life:
        """Advance the clock to the next pass."""
        self.wall += seconds
        self.uptime += seconds
        self.clock = self.clock.advanced(self._instant(), math.inf)
        return self

    def run_pass(self, *documents: Document) -> DocumentDecisions:
        """One pass with stable documents."""
        policies = [document.policy for document in documents if document.policy]
        self.texts = texts_after(self.texts, policies, self.clock)
        return decide_documents(documents, Circumstances(self.who, self.clock, self.texts))

    def sees(self, document: Document) -> DocumentStatus:
        (status,) = self.run_pass(document).documents
        return status


# ── which documents apply ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_that_applies_is_in_force_from_when_it_was_first_seen() -> None:
    life = Life()
    began = life.clock.seconds
    status = life.sees(a_document(constraints=["site == lyon"]))
    assert (status.state, status.why, status.in_force_from) == (IN_FORCE, "applies to this node", began)
    assert life.passes(HOUR).sees(a_document(constraints=["site == lyon"])).in_force_from == began


def test_it_ends_when_the_node_policy_changes_and_says_why() -> None:
    life, document = Life(LYON), a_document(constraints=["site == lyon"])
    assert life.run_pass(document).rules
    life.who = NodeAnswer(PARIS)
    scope = life.passes(60).run_pass(document)
    assert scope.rules == ()
    assert scope.documents[0].state is NOT_APPLICABLE
    assert scope.documents[0].why == ("constraint 'site == lyon' is not satisfied: the node has site = \"paris\"")


def test_it_also_ends_when_the_node_no_longer_accepts_such_documents() -> None:
    life, document = Life(LYON), a_document(properties=[{"name": "purpose", "value": "cleaning"}])
    assert life.sees(document).state is IN_FORCE
    life.who = NodeAnswer(Node("myorg", "gw-1", constraints=("purpose == upgrade",)))
    assert life.passes(60).sees(document).state is NOT_APPLICABLE


def test_of_two_documents_one_is_for_nodes_with_a_pattern_and_one_for_the_others() -> None:
    by_pattern = a_document("by-pattern", patterns=["gateway"])
    by_policy = a_document("by-policy", constraints=["site == lyon"])
    for node, expected in ((GATEWAY, [IN_FORCE, NOT_APPLICABLE]), (LYON, [NOT_APPLICABLE, IN_FORCE])):
        scope = Life(node).run_pass(by_pattern, by_policy)
        assert [status.state for status in scope.documents] == expected
        assert {rule.document for rule in scope.rules} == {("by-pattern", "by-policy")[expected.index(IN_FORCE)]}


@pytest.mark.parametrize("constraints", [[], ["site == lyon"], ["site != nowhere"], ["openhorizon.cpu > 0"]])
def test_documents_with_constraints_never_apply_to_a_node_with_a_pattern(constraints: list[str]) -> None:
    status = Life(GATEWAY).sees(a_document(constraints=constraints))
    assert status.state is NOT_APPLICABLE
    assert status.why == 'the node has the pattern "myorg/gateway", and the document lists no patterns'


def test_no_document_applies_to_an_unknown_node() -> None:
    life = Life()
    life.who = NodeAnswer(None, "the agent is silent", is_silence=True)
    scope = life.run_pass(a_document())
    assert scope.rules == ()
    assert (scope.documents[0].state, scope.documents[0].why) == (NOT_APPLICABLE, "the agent is silent")


@pytest.mark.parametrize(
    ("changes", "state", "why"),
    [
        ({"enabled": False}, DocumentState.DISABLED, "enabled is false"),
        ({"enabled": "yes"}, DocumentState.INVALID, "1 error"),
        ({"enabled": "yes", "start": "soon"}, DocumentState.INVALID, "2 errors"),
        ({"image_policy": ...}, DocumentState.NO_IMAGE_POLICY, "ignored (no image policy)"),
        (
            {"image_policy": ..., "enabled": False},
            DocumentState.NO_IMAGE_POLICY,
            "ignored (no image policy)",
        ),
    ],
)
def test_documents_that_are_disabled_or_without_image_policy_give_no_rules(
    changes: dict[str, object], state: DocumentState, why: str
) -> None:
    scope = Life().run_pass(a_document(**changes))
    assert scope.rules == ()
    assert (scope.documents[0].state, scope.documents[0].why) == (state, why)


def test_a_bad_document_does_not_affect_the_others() -> None:
    scope = Life().run_pass(a_document("bad", enabled=7), a_document("good"))
    assert [status.state for status in scope.documents] == [DocumentState.INVALID, IN_FORCE]
    assert {rule.document for rule in scope.rules} == {"good"}


def test_a_document_that_is_gone_gives_no_rules_at_once() -> None:
    life = Life()
    assert life.run_pass(a_document()).rules
    assert life.passes(60).run_pass() == DocumentDecisions()


def test_a_text_that_is_not_stable_waits() -> None:
    life, document = Life(), a_document()
    around = Circumstances(life.who, life.clock, texts={})
    (status,) = decide_documents([document], around).documents
    assert (status.state, status.why, status.is_unstable) == (
        WAITING,
        "waiting until the file has been stable for 2 s",
        False,
    )
    restless = Circumstances(life.who, life.clock, texts={}, unstable={"sweep"})
    scope = decide_documents([document], restless)
    assert scope.documents[0].is_unstable
    assert scope.rules == ()


# ── start: now, and the window ────────────────────────────────────────────────────────────────────────────────────────


def test_now_is_the_first_seen_time_plus_the_offset_of_the_node() -> None:
    life, document = Life(), a_document(startWindow=DAY)
    offset = offset_seconds("myorg/gw-1", "sweep", DAY)
    began = life.clock.seconds
    status = life.sees(document)
    assert (status.state, status.why) == (WAITING, "waiting for its start")
    assert status.in_force_from == pytest.approx(began + offset)
    assert life.passes(offset - 1).sees(document).state is WAITING
    assert life.passes(2).sees(document).state is IN_FORCE


def test_the_rules_of_a_document_that_waits_are_known_and_say_from_when() -> None:
    life, document = Life(), a_document(startWindow=DAY)
    scope = life.run_pass(document)
    assert [rule.in_force_from for rule in scope.rules] == [scope.documents[0].in_force_from]


def test_a_reboot_does_not_change_the_offset() -> None:
    life, document = Life(), a_document(startWindow=DAY)
    expected = life.sees(document).in_force_from
    life.boot, life.uptime, life.wall = "next boot", 5.0, 0.0
    assert life.passes(HOUR).sees(document).in_force_from == expected


def test_an_edit_restarts_the_window() -> None:
    life = Life()
    assert life.sees(a_document(startWindow=DAY)).state is WAITING
    assert life.passes(DAY).sees(a_document(startWindow=DAY)).state is IN_FORCE
    edited = a_document(startWindow=DAY, label="edited")
    began = life.passes(HOUR).clock.seconds
    status = life.sees(edited)
    assert status.state is WAITING
    assert status.in_force_from == pytest.approx(began + offset_seconds("myorg/gw-1", "sweep", DAY))


def test_a_change_of_layout_or_spelling_is_not_an_edit() -> None:
    life, rule = Life(), {"imageId": "old:*", "deleteAfterMinutes": 1440, "agentDownloadedOnly": True}
    assert life.sees(a_document(startWindow=DAY)).state is WAITING
    upstream: dict[str, Any] = {"image_policy": ..., "agentImagePolicy": {"imageRemovalPolicies": [rule]}}
    assert life.passes(DAY).sees(a_document(startWindow=DAY, **upstream)).state is IN_FORCE


def test_going_back_to_a_text_that_was_in_force_needs_no_second_wait() -> None:
    life, first, second = Life(), a_document(startWindow=DAY), a_document(startWindow=DAY, label="second")
    life.sees(first)
    assert life.passes(DAY).sees(first).state is IN_FORCE
    assert life.passes(60).sees(second).state is WAITING
    assert life.passes(60).sees(first).state is IN_FORCE


def test_switching_a_document_on_is_an_edit() -> None:
    life = Life()
    assert life.sees(a_document(startWindow=DAY, enabled=False)).state is DocumentState.DISABLED
    assert life.passes(DAY).sees(a_document(startWindow=DAY)).state is WAITING


def test_another_name_is_another_document() -> None:
    life = Life()
    life.sees(a_document(startWindow=DAY))
    assert life.passes(DAY).sees(a_document("renamed", startWindow=DAY)).state is WAITING


def test_nodes_and_documents_start_at_different_times() -> None:
    one, other = a_document("one", startWindow=DAY), a_document("other", startWindow=DAY)
    starts = {
        status.in_force_from
        for name in ("gw-1", "gw-2", "gw-3")
        for status in Life(Node("myorg", name)).run_pass(one, other).documents
    }
    assert len(starts) == 6


@given(window=st.integers(0, 10**9), name=st.text("abc/", min_size=1), waited=st.floats(0, 2e9))
def test_every_node_starts_within_the_window(window: int, name: str, waited: float) -> None:
    life, document = Life(Node("myorg", name)), a_document(startWindow=window)
    began, start = life.clock.seconds, life.sees(document).in_force_from
    assert start is not None
    assert began <= start <= began + window
    life.passes(min(waited, A_TEXT_IS_FORGOTTEN_AFTER_SECONDS - 1))
    assert (life.sees(document).state is IN_FORCE) == (start <= life.clock.seconds)


# ── start: a date ─────────────────────────────────────────────────────────────────────────────────────────────────────

AT_TEN = "2027-01-31T22:00:00Z"


def test_a_written_start_is_reached_when_the_wall_clock_has_passed_it() -> None:
    life, document = Life(wall=TEN_O_CLOCK - HOUR), a_document(start=AT_TEN)
    life.passes(900)
    status = life.sees(document)
    assert (status.state, status.why) == (WAITING, "waiting for its start")
    assert status.in_force_from == pytest.approx(life.clock.seconds + 2700)
    assert life.passes(2699).sees(document).state is WAITING
    scope = life.passes(1).run_pass(document)
    assert scope.documents[0].state is IN_FORCE
    assert scope.rules[0].in_force_from == life.clock.seconds


def test_the_rules_of_a_future_written_start_have_only_an_estimate() -> None:
    (rule,) = Life(wall=TEN_O_CLOCK - HOUR).run_pass(a_document(start=AT_TEN)).rules
    assert rule.in_force_from is None


def test_a_written_start_is_a_time_for_a_pass() -> None:
    life = Life(wall=TEN_O_CLOCK - HOUR).passes(900)
    scope = life.run_pass(a_document(start=AT_TEN))
    assert scope.documents[0].state is WAITING
    assert scope.next_change_at == life.clock.seconds + HOUR - 900
    assert scope.rules[0].expected_from == pytest.approx(life.clock.seconds + HOUR - 900, abs=60)


def test_the_window_counts_from_a_written_start() -> None:
    life, document = Life(), a_document(start=AT_TEN, startWindow=DAY)
    offset = offset_seconds("myorg/gw-1", "sweep", DAY)
    passed = life.passes(600).clock.seconds
    assert life.sees(document).in_force_from == pytest.approx(passed + offset)
    assert life.passes(offset + 1).sees(document).state is IN_FORCE


def test_on_a_host_that_starts_in_1970_a_written_start_waits_for_a_trusted_clock() -> None:
    life, document = Life(wall=0.0), a_document(start=AT_TEN)
    assert life.passes(HOUR).sees(document).why == "waiting for its start"
    life.wall = TEN_O_CLOCK + DAY  # NTP answers
    status = life.passes(1).sees(document)
    assert (status.state, status.why) == (WAITING, "waiting until the wall clock can be trusted")
    assert life.passes(598).sees(document).state is WAITING
    assert life.passes(3).sees(document).state is IN_FORCE


def test_a_short_step_of_the_clock_starts_nothing() -> None:
    life, document = Life(wall=TEN_O_CLOCK - 10 * DAY), a_document(start=AT_TEN)
    life.passes(HOUR).sees(document)
    life.wall += 20 * DAY
    assert life.passes(300).sees(document).state is WAITING
    life.wall -= 20 * DAY
    assert life.passes(HOUR).sees(document).state is WAITING


def test_a_started_document_remains_started_when_the_clock_is_set_back() -> None:
    life, document = Life(), a_document(start=AT_TEN)
    began = life.passes(900).sees(document).in_force_from
    life.wall -= 30 * DAY
    status = life.passes(60).sees(document)
    assert (status.state, status.in_force_from) == (IN_FORCE, began)


def test_now_needs_no_wall_clock() -> None:
    life = Life(wall=0.0)
    life.wall = TEN_O_CLOCK
    assert life.passes(1).sees(a_document()).state is IN_FORCE


# ── what the ledger keeps of texts ────────────────────────────────────────────────────────────────────────────────────


def test_a_text_is_kept_for_thirty_days_after_its_document_has_gone() -> None:
    life, document = Life(), a_document(startWindow=DAY)
    life.sees(document)
    life.passes(29 * DAY).run_pass()
    assert life.sees(document).state is IN_FORCE
    life.passes(31 * DAY).run_pass()
    assert life.texts == {}
    assert life.sees(document).state is WAITING


def test_a_text_that_is_present_is_never_forgotten() -> None:
    life, document = Life(), a_document()
    began = life.sees(document).in_force_from
    for _ in range(40):
        assert life.passes(DAY).sees(document).in_force_from == began


def test_passes_in_which_nothing_changes_write_nothing() -> None:
    life, document = Life(), a_document()
    life.run_pass(document)
    before = life.texts
    for _ in range(11):
        life.passes(300).run_pass(document)
    assert life.texts is before
    life.passes(300).run_pass(document)
    assert life.texts is not before


def test_the_content_of_an_old_text_can_be_read_later() -> None:
    life, document = Life(), a_document()
    life.run_pass(document)
    assert document.policy
    kept = json.loads(life.texts["sweep", document.policy.text_hash].text)
    assert kept["image_policy"]["removal"][0]["image_name"] == "old:*"


def test_a_status_names_the_document() -> None:
    status = Life().sees(a_document(label="the label"))
    assert (status.name, status.file, status.line, status.label, status.rules) == (
        "sweep",
        "sweep.json",
        1,
        "the label",
        1,
    )

"""What is worth a line in the log: each change once, and nothing for a pass in which nothing changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.daemon.journal import SETBACKS_TOLD_ONE_BY_ONE, Line, freed_in_words, lines_for
from controller.daemon.status import Status
from controller.log_events import LogEvent
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.planner import Terms
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Batch,
    Exactness,
    Freed,
    Intent,
    Outcome,
    Removal,
)
from controller.policy.document.parse import FolderReading
from controller.policy.problem import Problem
from tests.builders import an_id
from tests.fakes import a_document, a_removal
from tests.host import Host, a_host


@pytest.fixture
def host() -> Iterator[Host]:
    with a_host(conditions=Conditions(Terms(settle_seconds=0.0))) as host:
        host.rules(a_removal("app:*"))
        yield host


def said(before: Status | None, after: Status) -> list[str]:
    return [line.message for line in lines_for(before, after)]


def a_removal_of(reference: str, outcome: Outcome, freed: Freed = NOTHING_FREED, message: str = "") -> Removal:
    intent = Intent(an_id(reference), reference, reference, "doc", 3, "0123456789abcdef", 90.0, 1)
    return Removal(intent, outcome, freed, 0.0, message)


def only(lines: Iterator[Line]) -> Line:
    (line,) = lines
    return line


def test_a_pass_in_which_nothing_changed_says_nothing(host: Host) -> None:
    assert said(host.last, host.look()) == []


def test_a_gap_in_the_watch_is_told_once_with_its_reason(host: Host) -> None:
    host.reboot()
    first = host.look()
    assert "the host was restarted: uses may have been missed, so everything settles anew" in said(None, first)
    host.clock.elapse(1.0)
    assert said(first, host.look()) == []


def test_a_document_is_told_of_when_it_comes_changes_and_goes(host: Host) -> None:
    first = host.last
    assert said(None, first) == ["policy doc is in force: applies to this node"]
    host.folder.files = {}
    assert "policy doc is gone" in said(first, host.look())


def test_a_bad_document_is_a_warning_with_all_its_problems(host: Host) -> None:
    host.folder.files["bad.yaml"] = {"enabled": True, "image_policy": {"removal": [{"image_name": "x"}]}}
    lines = [line for line in lines_for(host.last, host.look()) if line.fields.get("document") == "bad"]
    assert [line.level for line in lines] == [logging.WARNING]
    assert "bad.yaml" in lines[0].message
    assert len(lines[0].fields["problems"]) >= 2


def test_a_file_that_is_no_document_is_told_once(host: Host) -> None:
    problem = Problem("x.yaml", 1, 1, "", "warning", "a FIFO is never opened")
    after = replace(host.last, reading=replace(host.last.reading, problems=(problem,)))
    assert said(host.last, after) == [str(problem)]
    assert said(after, after) == []


def test_trouble_is_told_once_and_so_is_its_end(host: Host) -> None:
    well = host.last
    host.engine.is_down = True
    ill, still_ill = host.look(), host.look()
    host.engine.is_down = False
    assert [(line.level, line.message) for line in lines_for(well, ill)] == [(logging.ERROR, "the engine is down")]
    assert said(ill, still_ill) == []
    assert said(still_ill, host.look()) == ["over: the engine is down"]


def test_events_say_what_is_wrong_and_what_is_resolved(host: Host) -> None:
    well = host.last
    host.engine.is_down = True
    ill = host.look()
    host.engine.is_down = False
    assert [line.event for line in lines_for(well, ill)] == [LogEvent.ENGINE_UNREACHABLE]
    line = only(lines_for(ill, host.look()))
    assert (line.event, line.fields["resolved"]) == (LogEvent.RESOLVED, LogEvent.ENGINE_UNREACHABLE)


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Outcome.REMOVED, LogEvent.IMAGE_REMOVED),
        (Outcome.UNTAGGED, LogEvent.IMAGE_UNTAGGED),
        (Outcome.GONE, LogEvent.IMAGE_GONE),
        (Outcome.REFUSED, LogEvent.REMOVAL_REFUSED),
        (Outcome.FAILED, LogEvent.REMOVAL_FAILED),
    ],
)
def test_every_outcome_of_a_removal_has_its_event(host: Host, outcome: Outcome, event: LogEvent) -> None:
    news = (a_removal_of("app:1", outcome),)
    assert [line.event for line in lines_for(host.last, replace(host.last, news=news))] == [event]


def test_a_lost_folder_is_a_warning(host: Host) -> None:
    host.folder.lost = "policies cannot be read: Permission denied"
    lines = list(lines_for(host.last, host.look()))
    assert (logging.WARNING, "no policies: policies cannot be read: Permission denied") in [
        (line.level, line.message) for line in lines
    ]


def test_a_removal_says_what_by_which_rule_and_what_it_freed(host: Host) -> None:
    removal = a_removal_of("app:1", Outcome.REMOVED, Freed(12_400_000, Exactness.EXACT))
    line = only(lines_for(host.last, replace(host.last, news=(removal,))))
    assert line.message == "removed app:1: idle for 1m 30s, freed 12.4 MB (doc#3)"
    assert line.level == logging.INFO
    assert line.fields["bytes"] == 12_400_000
    assert line.fields["text_hash"] == "0123456789ab"


def test_a_setback_is_a_warning_in_the_engines_words(host: Host) -> None:
    removal = a_removal_of("app:1", Outcome.REFUSED, message="conflict: in use")
    line = only(lines_for(host.last, replace(host.last, news=(removal,))))
    assert (line.level, line.message) == (logging.WARNING, "refused: app:1 stays: conflict: in use (doc#3)")


def test_a_thousand_setbacks_of_one_kind_are_one_line(host: Host) -> None:
    news = tuple(a_removal_of(f"app:{number}", Outcome.REFUSED, message="in use") for number in range(1_000))
    line = only(lines_for(host.last, replace(host.last, news=news)))
    assert "1000 references stay, app:0 because: in use" in line.message
    assert line.fields["references"] == 1_000


def test_a_few_setbacks_are_told_one_by_one(host: Host) -> None:
    news = tuple(a_removal_of(f"app:{n}", Outcome.FAILED, message="500") for n in range(SETBACKS_TOLD_ONE_BY_ONE))
    assert len(said(host.last, replace(host.last, news=news))) == SETBACKS_TOLD_ONE_BY_ONE


def test_a_batch_is_told_of_when_its_figure_counts(host: Host) -> None:
    batch = Batch("b", "doc", Freed(1_000, Exactness.LOWER_BOUND))
    assert said(host.last, replace(host.last, batches=(batch,))) == ["the removals of one batch freed at least 1.0 kB"]


@pytest.mark.parametrize(
    ("freed", "words"),
    [
        (Freed(0, Exactness.EXACT), "freed 0 B"),
        (Freed(1_000_000, Exactness.LOWER_BOUND), "freed at least 1.0 MB"),
        (UNKNOWN_BYTES, "freed an unknown number of bytes"),
        (FREED_IN_BATCH, "to be measured with its batch"),
    ],
)
def test_an_unknown_is_told_as_unknown(freed: Freed, words: str) -> None:
    assert freed_in_words(freed) == words


def test_a_dry_run_tells_once_what_it_would_remove(host: Host) -> None:
    host.options = replace(host.options, dry_run=True)
    host.restart()
    first = host.look()
    host.engine.load("app:1")
    second = host.look()
    assert said(first, second) == ["dry run: would remove app:1 (doc#0)"]
    assert said(second, host.look()) == []


def test_a_revision_is_told_when_it_changes(host: Host) -> None:
    delivered = replace(host.last, reading=FolderReading("policies", host.last.reading.documents, revision="abc"))
    assert said(host.last, delivered) == ["policies are at revision abc"]
    assert said(delivered, delivered) == []


def test_documents_that_only_moved_on_in_time_are_not_told_again(host: Host) -> None:
    host.folder.files["doc.yaml"] = a_document(a_removal("app:*"))
    before = host.look()
    host.clock.elapse(100)
    assert said(before, host.look()) == []

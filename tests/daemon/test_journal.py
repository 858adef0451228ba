"""Log lines: one for each change, and none for a pass in which nothing changed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.adapters.ledger.history import HistoryReader
from controller.daemon.journal import MAX_SETBACK_LINES, Journal, Line, freed_in_words
from controller.daemon.status import Status
from controller.log_events import LogEvent
from controller.plan.memory.disk import DiskMark, DiskUsage, ImageDisk, Pressure, PressureMarks
from controller.plan.memory.memory import Attempt, Setback
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Batch,
    Exactness,
    Freed,
    Intent,
    Mark,
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


SETTLE = 600.0


def lines_for(before: Status | None, after: Status) -> list[Line]:
    journal = Journal(SETTLE)
    if before is not None:
        journal.lines(before)
    return journal.lines(after)


def said(before: Status | None, after: Status) -> list[str]:
    return [line.message for line in lines_for(before, after)]


def a_removal_of(reference: str, outcome: Outcome, freed: Freed = NOTHING_FREED, message: str = "") -> Removal:
    intent = Intent(an_id(reference), reference, reference, "doc", 3, "0123456789abcdef", 90.0, 1)
    return Removal(intent, outcome, freed, 0.0, message)


def only(lines: list[Line]) -> Line:
    (line,) = lines
    return line


def test_a_pass_in_which_nothing_changed_says_nothing(host: Host) -> None:
    assert said(host.last, host.run_pass()) == []


def test_a_change_of_engine_is_one_line_and_a_mark_in_the_history(host: Host) -> None:
    host.engine.load("app:1")
    before = host.run_pass()
    host.engine.identity = "another"
    host.engine.generation += 1
    line = next(each for each in lines_for(before, host.run_pass()) if each.event is LogEvent.ENGINE_CHANGED)
    assert (line.level, line.message) == (logging.WARNING, host.last.engine_change)
    assert line.message.startswith("another engine answers: Docker 20.10.24 at /var/lib/docker (another) instead of")
    assert host.run_pass().engine_change == ""
    reader = HistoryReader(host.ledger_file)
    assert reader.marks() == (Mark(host.clock.now().wall_seconds, line.message),)
    assert reader.marks(host.clock.now().wall_seconds + 1) == ()
    reader.close()


def test_a_gap_is_reported_once_with_its_reason_and_the_settle_time(host: Host) -> None:
    host.reboot()
    first = host.run_pass()
    effect = "image use may have gone unnoticed; the settle time (10m) starts again for all images"
    assert f"the host was restarted: {effect}" in said(None, first)
    host.clock.elapse(1.0)
    assert said(first, host.run_pass()) == []


def test_a_document_is_logged_when_it_is_added_and_removed(host: Host) -> None:
    first = host.last
    assert said(None, first) == ["policy doc: in force"]
    host.folder.files = {}
    assert "policy doc: removed from the folder" in said(first, host.run_pass())


def test_a_bad_document_is_a_warning_with_all_its_problems(host: Host) -> None:
    host.folder.files["bad.yaml"] = {"enabled": True, "image_policy": {"removal": [{"image_name": "x"}]}}
    lines = [line for line in lines_for(host.last, host.run_pass()) if line.fields.get("document") == "bad"]
    assert [line.level for line in lines] == [logging.WARNING]
    assert "bad.yaml" in lines[0].message
    assert len(lines[0].fields["problems"]) >= 2


def test_a_file_that_is_no_document_is_logged_once(host: Host) -> None:
    problem = Problem("x.yaml", 1, 1, "", "warning", "a FIFO is never opened")
    after = replace(host.last, reading=replace(host.last.reading, problems=(problem,)))
    assert said(host.last, after) == [str(problem)]
    assert said(after, after) == []


def test_a_failure_is_logged_once_and_its_end_with_its_duration(host: Host) -> None:
    journal = Journal(SETTLE)
    journal.lines(host.last)
    host.engine.is_down = True
    assert [(line.level, line.message) for line in journal.lines(host.run_pass())] == [
        (logging.ERROR, "the engine is down")
    ]
    host.clock.elapse(240)
    assert journal.lines(host.run_pass()) == []
    host.engine.is_down = False
    line = only(journal.lines(host.run_pass()))
    assert (line.message, line.fields["seconds"]) == ("resolved: the engine is down (after 4m)", 240.0)


def test_a_failure_whose_text_changes_is_not_resolved_in_between(host: Host) -> None:
    refused, denied = (replace(host.last, trouble=text, engine_is_up=False) for text in ("refused", "denied"))
    assert said(refused, denied) == ["denied"]


def test_events_say_what_is_wrong_and_what_is_resolved(host: Host) -> None:
    well = host.last
    host.engine.is_down = True
    ill = host.run_pass()
    host.engine.is_down = False
    assert [line.event for line in lines_for(well, ill)] == [LogEvent.ENGINE_UNREACHABLE]
    line = only(lines_for(ill, host.run_pass()))
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
    lines = list(lines_for(host.last, host.run_pass()))
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
    assert (line.level, line.message) == (
        logging.WARNING,
        "cannot remove app:1: the engine refused: conflict: in use (doc#3)",
    )


def test_a_setback_says_when_the_next_attempt_is(host: Host) -> None:
    removal = a_removal_of("app:1", Outcome.FAILED, message="500")
    memory = host.last.decision.memory
    attempt = Attempt(Setback.FAILED, "500", 1, memory.clock.seconds + 5.0, "")
    memory = replace(memory, attempts={(removal.intent.image, "app:1"): attempt})
    decision = replace(host.last.decision, memory=memory)
    assert said(host.last, replace(host.last, decision=decision, news=(removal,))) == [
        "cannot remove app:1: the engine failed: 500 (retry in 5s; doc#3)"
    ]


def test_a_thousand_setbacks_of_one_kind_are_one_line(host: Host) -> None:
    news = tuple(a_removal_of(f"app:{number}", Outcome.REFUSED, message="in use") for number in range(1_000))
    line = only(lines_for(host.last, replace(host.last, news=news)))
    assert "cannot remove 1000 references (first: app:0): the engine refused: in use" in line.message
    assert line.fields["references"] == 1_000


def test_a_few_setbacks_are_a_line_each(host: Host) -> None:
    news = tuple(a_removal_of(f"app:{n}", Outcome.FAILED, message="500") for n in range(MAX_SETBACK_LINES))
    assert len(said(host.last, replace(host.last, news=news))) == MAX_SETBACK_LINES


def test_a_measurement_is_logged_when_it_is_final_with_the_number_of_removals(host: Host) -> None:
    batch = Batch("b", "doc", Freed(1_000, Exactness.LOWER_BOUND))
    removals = tuple(replace(a_removal_of(f"app:{n}", Outcome.REMOVED), batch="b") for n in range(7))
    measured = replace(host.last, batches=(batch,))
    assert said(replace(host.last, removals=removals), measured) == [
        "freed at least 1.0 kB by 7 removals of policy doc"
    ]
    assert said(host.last, measured) == ["freed at least 1.0 kB by the removals of policy doc"]


@pytest.mark.parametrize(
    ("freed", "words"),
    [
        (Freed(0, Exactness.EXACT), "freed 0 B"),
        (Freed(1_000_000, Exactness.LOWER_BOUND), "freed at least 1.0 MB"),
        (UNKNOWN_BYTES, "bytes freed: unknown"),
        (FREED_IN_BATCH, "bytes freed: not measured yet"),
    ],
)
def test_an_unknown_figure_is_called_unknown(freed: Freed, words: str) -> None:
    assert freed_in_words(freed) == words


def test_a_dry_run_logs_once_what_it_would_remove(host: Host) -> None:
    host.options = replace(host.options, dry_run=True)
    host.restart()
    first = host.run_pass()
    host.engine.load("app:1")
    second = host.run_pass()
    assert said(first, second) == ["dry run: would remove app:1 (doc#0)"]
    assert said(second, host.run_pass()) == []


def test_a_revision_is_logged_when_it_changes(host: Host) -> None:
    delivered = replace(host.last, reading=FolderReading("policies", host.last.reading.documents, revision="abc"))
    assert said(host.last, delivered) == ["policy revision: abc"]
    assert said(delivered, delivered) == []


def test_documents_for_which_only_time_has_passed_are_not_logged_again(host: Host) -> None:
    host.folder.files["doc.yaml"] = a_document(a_removal("app:*"))
    before = host.run_pass()
    host.clock.elapse(100)
    assert said(before, host.run_pass()) == []


def test_a_stop_file_gives_one_line_when_it_appears_and_one_when_it_is_deleted(host: Host) -> None:
    before = host.run_pass()
    host.folder.is_stopped = True
    stopped, still = host.run_pass(), host.run_pass()
    host.folder.is_stopped = False
    after = host.run_pass()
    assert [line for line in said(before, stopped) if "STOP" in line] == [
        "all removals are stopped: the policy folder has a file STOP (delete it to continue)"
    ]
    assert not [line for line in said(stopped, still) if "STOP" in line]
    assert [line for line in said(still, after) if "STOP" in line] == ["removals continue: the file STOP was deleted"]


def test_the_begin_and_the_end_of_disk_pressure_are_logged_once(host: Host) -> None:
    marks = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
    calm = replace(host.last, pressure_marks=marks, disk=ImageDisk("/images", DiskUsage(100, 50)))

    def pressed(available: int) -> Status:
        memory = replace(calm.decision.memory, pressure=Pressure(1.0, DiskUsage(100, available)))
        return replace(calm, decision=replace(calm.decision, memory=memory))

    assert said(calm, pressed(9)) == [
        "disk pressure: 91 % used, start 85 %: rules with delete_after_minutes_under_pressure use that limit until 75 %"
    ]
    assert said(pressed(9), pressed(8)) == []
    (ended,) = lines_for(pressed(8), calm)
    assert (ended.event, ended.message) == (LogEvent.DISK_PRESSURE_ENDED, "disk pressure has ended (after 2s)")


def test_the_begin_of_disk_pressure_shows_the_disk_before_the_removals_of_the_pass(host: Host) -> None:
    marks = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))
    removal = a_removal_of("app:1", Outcome.REMOVED, Freed(2_000, Exactness.EXACT), "")
    removal = replace(removal, intent=replace(removal.intent, pressure="disk pressure: 91 % used, start 85 %"))
    memory = replace(host.last.decision.memory, pressure=Pressure(1.0, DiskUsage(100, 20)))
    after = replace(host.last, pressure_marks=marks, decision=replace(host.last.decision, memory=memory))
    lines = said(host.last, replace(after, removals=(removal,)))
    assert any(line.startswith("disk pressure: 91 % used, start 85 %: ") for line in lines)


def test_a_removal_under_disk_pressure_says_so(host: Host) -> None:
    words = "disk pressure: 91 % used, start 85 %"
    removal = a_removal_of("app:1", Outcome.REMOVED, Freed(2_000, Exactness.EXACT), words)
    removal = replace(removal, intent=replace(removal.intent, pressure=words))
    assert said(host.last, replace(host.last, removals=(removal,), news=(removal,))) == [
        f"removed app:1: idle for 1m 30s, freed 2.0 kB, {words} (doc#3)"
    ]

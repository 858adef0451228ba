"""Turns each new status into log lines: one line for each change, none for a pass in which nothing changed."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from controller.daemon.status import Degradation, Status
from controller.log_events import LogEvent
from controller.plan.memory.disk import pressure_in_words
from controller.plan.report.words import STOPPED, document_in_words
from controller.plan.scope.in_force import DocumentState, DocumentStatus
from controller.plan.verdict.removal import Batch, Exactness, Freed, Outcome, Removal
from controller.plan.verdict.verdict import Action, Verdict
from controller.quantity import bytes_in_words, seconds_in_words
from controller.value import dataclass

MAX_SETBACK_LINES = 5
"""More refused or failed removals of one document in a pass become one line; there may be thousands."""
_EVENT_OF = {
    Outcome.REMOVED: LogEvent.IMAGE_REMOVED,
    Outcome.UNTAGGED: LogEvent.IMAGE_UNTAGGED,
    Outcome.GONE: LogEvent.IMAGE_GONE,
    Outcome.REFUSED: LogEvent.REMOVAL_REFUSED,
    Outcome.FAILED: LogEvent.REMOVAL_FAILED,
    Outcome.UNEXPECTED: LogEvent.UNEXPECTED_DELETION,
}
_WORDS_OF = {Outcome.REMOVED: "removed", Outcome.UNTAGGED: "untagged", Outcome.GONE: "already removed"}
_REASON_OF = {Outcome.REFUSED: "the engine refused", Outcome.FAILED: "the engine failed"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a sentence for people, and fields for machines."""

    event: LogEvent
    level: int
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Journal:
    """The log of one run of the controller."""

    settle_seconds: float
    _before: Status | None = None
    _degraded_since: dict[LogEvent, float] = field(default_factory=dict)
    """Uptime of the first pass of each degraded state that has not ended."""
    _batches: Counter[str] = field(default_factory=Counter)
    """Removals of each batch whose measurement is not final yet."""

    def lines(self, after: Status) -> list[Line]:
        """What has changed since the last call."""
        before = self._before
        self._batches.update(removal.batch for removal in after.removals if removal.batch)
        lines = [
            *_degraded(before, after),
            *self._resolved(after),
            *_engine_changed(after),
            *self._gap(after),
            *_stopped(before, after),
            *_pressure(before, after),
            *_no_policies_yet(before, after),
            *_cut_short(before, after),
            *_revision(before, after),
            *_documents(before, after),
            *_problems_of_files(before, after),
            *_removals(after),
            *(_measured(batch, self._batches.pop(batch.name, 0)) for batch in after.batches),
            *(_would_remove(before, after) if after.dry_run else ()),
        ]
        self._before = after
        return lines

    def _resolved(self, after: Status) -> Iterator[Line]:
        """The end of each degraded state, with its duration."""
        now = after.at.uptime_seconds
        lasting = {degradation.event for degradation in after.degradations}
        for ended in self._before.degradations if self._before else ():
            if ended.event not in lasting:
                yield _resolved(ended, now - self._degraded_since.pop(ended.event, now))
        for event in lasting:
            self._degraded_since.setdefault(event, now)

    def _gap(self, after: Status) -> Iterator[Line]:
        """A gap is reported by the pass that detects it."""
        memory, before = after.decision.memory, self._before
        is_known = before is not None and before.decision.memory.watch == memory.watch
        starts_now = memory.watch.since == memory.clock.seconds and not memory.watch.is_blind
        if memory.watch.gap and starts_now and not is_known:
            settle = seconds_in_words(self.settle_seconds)
            effect = f"image use may have gone unnoticed; the settle time ({settle}) starts again for all images"
            yield Line(LogEvent.ENGINE_EVENTS_MISSED, logging.INFO, f"{memory.watch.gap}: {effect}")


def _degraded(before: Status | None, after: Status) -> Iterator[Line]:
    known = before.degradations if before else ()
    for degradation in after.degradations:
        if degradation not in known and not _is_same_silence(degradation, before, after):
            level = logging.ERROR if degradation.text == after.trouble else logging.WARNING
            yield Line(degradation.event, level, degradation.text)


def _engine_changed(after: Status) -> Iterator[Line]:
    if after.engine_change:
        yield Line(LogEvent.ENGINE_CHANGED, logging.WARNING, after.engine_change)


def _is_same_silence(degradation: Degradation, before: Status | None, after: Status) -> bool:
    """The reason of a missing answer may change each minute; it is reported once."""
    is_silent = before is not None and before.decision.node.is_silence and after.decision.node.is_silence
    return degradation.event is LogEvent.NODE_UNKNOWN and is_silent


def _cut_short(before: Status | None, after: Status) -> Iterator[Line]:
    was_cut = before is not None and before.decision.node.agent.is_cut_short
    if after.decision.node.agent.is_cut_short and not was_cut:
        sentence = "the agent's archived records cannot be read completely: images may lack evidence of their download"
        yield Line(LogEvent.AGENT_ANSWER_CUT_SHORT, logging.WARNING, sentence)


def _resolved(ended: Degradation, seconds: float) -> Line:
    sentence = f"resolved: {ended.text} (after {seconds_in_words(seconds)})"
    return Line(LogEvent.RESOLVED, logging.INFO, sentence, {"resolved": ended.event, "seconds": round(seconds, 1)})


def _measured(batch: Batch, removals: int) -> Line:
    count = f"{removals} removal{'s' * (removals != 1)}" if removals else "the removals"
    sentence = f"{freed_in_words(batch.freed)} by {count} of policy {batch.document}"
    return Line(
        LogEvent.BYTES_MEASURED, logging.INFO, sentence, {"document": batch.document, "bytes": batch.freed.bytes}
    )


def _stopped(before: Status | None, after: Status) -> Iterator[Line]:
    was_stopped = before is not None and before.reading.is_stopped
    if after.reading.is_stopped and not was_stopped:
        sentence = f"{STOPPED} (delete it to continue)"
        yield Line(LogEvent.REMOVALS_STOPPED, logging.WARNING, sentence)
    if was_stopped and not after.reading.is_stopped:
        yield Line(LogEvent.REMOVALS_RESUMED, logging.INFO, "removals continue: the file STOP was deleted")


def _pressure(before: Status | None, after: Status) -> Iterator[Line]:
    memory = after.decision.memory
    was, now = before.decision.memory.pressure if before else None, memory.pressure
    if now and after.pressure_marks and not was:
        stop = f"rules with delete_after_minutes_under_pressure use that limit until {after.pressure_marks.stop}"
        # Before the removals of the pass, not as measured after them.
        found = next((removal.intent.pressure for removal in after.removals if removal.intent.pressure), "")
        sentence = f"{found or pressure_in_words(now.usage, after.pressure_marks)}: {stop}"
        yield Line(LogEvent.DISK_PRESSURE_BEGAN, logging.WARNING, sentence, {"path": after.disk.path})
    if was and not now:
        seconds = memory.clock.seconds - was.since
        sentence = f"disk pressure has ended (after {seconds_in_words(seconds)})"
        yield Line(LogEvent.DISK_PRESSURE_ENDED, logging.INFO, sentence, {"seconds": round(seconds, 1)})


def _no_policies_yet(before: Status | None, after: Status) -> Iterator[Line]:
    if after.has_no_policies_yet and not (before and before.has_no_policies_yet):
        sentence = f"no policies yet: {after.reading.lost} (put a document into it)"
        yield Line(LogEvent.POLICY_FOLDER_EMPTY, logging.WARNING, sentence)


def _revision(before: Status | None, after: Status) -> Iterator[Line]:
    revision = after.reading.revision
    if revision and revision != (before.reading.revision if before else ""):
        sentence = f"policy revision: {revision}"
        yield Line(LogEvent.POLICY_REVISION, logging.INFO, sentence, {"revision": revision})


def _documents(before: Status | None, after: Status) -> Iterator[Line]:
    was = {document.name: document for document in before.decision.scope.documents} if before else {}
    now = {document.name: document for document in after.decision.scope.documents}
    for name, document in now.items():
        if name not in was or _shown(was[name]) != _shown(document):
            yield _document(document)
    for name in was.keys() - now.keys():
        yield Line(LogEvent.POLICY_REMOVED, logging.INFO, f"policy {name}: removed from the folder", {"document": name})


def _problems_of_files(before: Status | None, after: Status) -> Iterator[Line]:
    """Problems without a document: files that cannot be read or contain no document."""
    of_documents = {problem for document in after.decision.scope.documents for problem in document.problems}
    known = of_documents.union(before.reading.problems if before else ())
    for problem in after.reading.problems:
        if problem not in known:
            yield Line(LogEvent.POLICY_FILE_PROBLEM, logging.WARNING, str(problem))


def _shown(document: DocumentStatus) -> tuple[object, ...]:
    return document.state, document.why, document.text_hash, document.problems


def _document(document: DocumentStatus) -> Line:
    invalid = document.state is DocumentState.INVALID
    problems = [str(problem) for problem in document.problems]
    sentence = document_in_words(document.name, document.state, document.why)
    fields = {"document": document.name, "state": document.state.value, "text_hash": document.text_hash[:12]}
    return Line(
        LogEvent(f"policy_{document.state}"),
        logging.WARNING if invalid else logging.INFO,
        "\n  ".join((sentence, *problems)),
        {**fields, "problems": problems},
    )


def _removals(after: Status) -> Iterator[Line]:
    """A line for each removal, but one line for many failures of one kind."""
    setbacks: dict[tuple[Outcome, str], list[Removal]] = {}
    for removal in after.news:
        if removal.outcome.is_success:
            yield _removed(removal)
        elif removal.outcome is Outcome.UNEXPECTED:
            yield _unexpected(removal)
        else:
            setbacks.setdefault((removal.outcome, removal.intent.document), []).append(removal)
    for alike in setbacks.values():
        if len(alike) > MAX_SETBACK_LINES:
            yield _many_setbacks(alike)
        else:
            yield from (_setback(removal, after) for removal in alike)


def _removed(removal: Removal) -> Line:
    intent = removal.intent
    sentence = f"{_WORDS_OF[removal.outcome]} {intent.reference}: idle for {seconds_in_words(intent.idle_seconds)}"
    freed = "" if removal.outcome is Outcome.GONE else f", {freed_in_words(removal.freed)}"
    pressure = f", {intent.pressure}" if intent.pressure else ""
    message = f"{sentence}{freed}{pressure} ({intent.document}#{intent.rule})"
    return Line(_EVENT_OF[removal.outcome], logging.INFO, message, _fields(removal))


def _unexpected(removal: Removal) -> Line:
    intent = removal.intent
    sentence = f"unexpected deletion at the removal of {intent.reference}: {removal.message}"
    message = f"{sentence} ({intent.document}#{intent.rule})"
    return Line(_EVENT_OF[removal.outcome], logging.ERROR, message, _fields(removal))


def _setback(removal: Removal, after: Status) -> Line:
    intent, memory = removal.intent, after.decision.memory
    attempt = memory.attempts.get((intent.image, intent.reference))
    retry = f"retry in {seconds_in_words(attempt.retry_at - memory.clock.seconds)}; " if attempt else ""
    reason = f"{_REASON_OF[removal.outcome]}: {removal.message}"
    sentence = f"cannot remove {intent.reference}: {reason} ({retry}{intent.document}#{intent.rule})"
    return Line(_EVENT_OF[removal.outcome], logging.WARNING, sentence, _fields(removal))


def _many_setbacks(alike: Sequence[Removal]) -> Line:
    first = alike[0]
    reason = f"{_REASON_OF[first.outcome]}: {first.message}"
    sentence = f"cannot remove {len(alike)} references (first: {first.intent.reference}): {reason}"
    fields = {"outcome": first.outcome.value, "references": len(alike), "document": first.intent.document}
    more = f"({first.intent.document}; all: imagectl get removals --failed)"
    return Line(_EVENT_OF[first.outcome], logging.WARNING, f"{sentence} {more}", fields)


def _fields(removal: Removal) -> dict[str, Any]:
    intent = removal.intent
    return {
        "outcome": removal.outcome.value,
        "reference": intent.reference,
        "image": intent.image,
        "idle_seconds": round(intent.idle_seconds, 1),
        "bytes": removal.freed.bytes,
        "document": intent.document,
        "rule": intent.rule,
        "text_hash": intent.text_hash[:12],
    }


def headline(status: Status) -> str:
    """The status in one line, problems first."""
    verdicts, documents = status.decision.plan.verdicts, status.decision.scope.documents
    waiting = sum(verdict.action is Action.WAIT for verdict in verdicts)
    in_force = sum(document.state is DocumentState.IN_FORCE for document in documents)
    counts = f"references: {len(verdicts)} ({waiting} waiting for removal); policies in force: {in_force}"
    at = f" (revision {status.reading.revision})" if status.reading.revision else ""
    no_policies = (f"no policies yet: {status.reading.lost}",) if status.has_no_policies_yet else ()
    return "; ".join((*status.degraded, *no_policies, counts + at))


def freed_in_words(freed: Freed) -> str:
    """`freed 12.4 MB`, or why the figure is not known."""
    if freed.exactness is Exactness.IN_BATCH:
        return "bytes freed: not measured yet"
    if freed.bytes is None:
        return "bytes freed: unknown"
    at_least = "at least " if freed.exactness is Exactness.LOWER_BOUND else ""
    return f"freed {at_least}{bytes_in_words(freed.bytes)}"


def _would_remove(before: Status | None, after: Status) -> Iterator[Line]:
    known = {_key(verdict) for verdict in before.decision.plan.removals} if before else set()
    for verdict in after.decision.plan.removals:
        if _key(verdict) not in known:
            rule = verdict.rule.name if verdict.rule else ""
            sentence = f"dry run: would remove {verdict.reference} ({rule})"
            fields = {"reference": verdict.reference}
            yield Line(LogEvent.REMOVAL_SKIPPED_DRY_RUN, logging.INFO, sentence, fields)


def _key(verdict: Verdict) -> tuple[str, str]:
    return verdict.image, verdict.reference

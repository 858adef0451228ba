"""Two statuses → what is worth a line in the log: one for each change, none for a pass in which nothing changed.
Pure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.daemon.status import Status
from controller.log_events import LogEvent
from controller.plan.scope.in_force import DocumentState, DocumentStatus
from controller.plan.verdict.removal import Exactness, Freed, Outcome, Removal
from controller.plan.verdict.verdict import Action, Verdict
from controller.quantity import bytes_in_words, seconds_in_words

SETBACKS_TOLD_ONE_BY_ONE = 5
_EVENT_OF = {
    Outcome.REMOVED: LogEvent.IMAGE_REMOVED,
    Outcome.UNTAGGED: LogEvent.IMAGE_UNTAGGED,
    Outcome.GONE: LogEvent.IMAGE_GONE,
    Outcome.REFUSED: LogEvent.REMOVAL_REFUSED,
    Outcome.FAILED: LogEvent.REMOVAL_FAILED,
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a sentence for people, and fields for machines."""

    event: LogEvent
    level: int
    message: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def lines_for(before: Status | None, after: Status) -> Iterator[Line]:
    """What has changed from one pass to the next."""
    yield from _troubles(before, after)
    yield from _gap(before, after)
    yield from _revision(before, after)
    yield from _documents(before, after)
    yield from _problems_of_files(before, after)
    yield from _removals(after.news)
    for batch in after.batches:
        freed = f"the removals of one batch {freed_in_words(batch.freed)}"
        fields = {"document": batch.document, "bytes": batch.freed.bytes}
        yield Line(LogEvent.BYTES_MEASURED, logging.INFO, freed, fields)
    if after.dry_run:
        yield from _would_remove(before, after)


def _troubles(before: Status | None, after: Status) -> Iterator[Line]:
    was, now = (before.degradations if before else ()), after.degradations
    for trouble in now:
        if trouble not in was:
            level = logging.ERROR if trouble.text == after.trouble else logging.WARNING
            yield Line(trouble.event, level, trouble.text)
    for trouble in was:
        if trouble not in now:
            yield Line(LogEvent.RESOLVED, logging.INFO, f"over: {trouble.text}", {"resolved": trouble.event})


def _gap(before: Status | None, after: Status) -> Iterator[Line]:
    """Told once, by the pass that found it."""
    memory = after.decision.memory
    is_told = before is not None and before.decision.memory.watch == memory.watch
    if memory.watch.gap and memory.watch.since == memory.clock.seconds and not is_told:
        sentence = f"{memory.watch.gap}: uses may have been missed, so everything settles anew"
        yield Line(LogEvent.ENGINE_EVENTS_MISSED, logging.INFO, sentence)


def _revision(before: Status | None, after: Status) -> Iterator[Line]:
    revision = after.reading.revision
    if revision and revision != (before.reading.revision if before else ""):
        sentence = f"policies are at revision {revision}"
        yield Line(LogEvent.POLICY_REVISION, logging.INFO, sentence, {"revision": revision})


def _documents(before: Status | None, after: Status) -> Iterator[Line]:
    was = {document.name: document for document in before.decision.scope.documents} if before else {}
    now = {document.name: document for document in after.decision.scope.documents}
    for name, document in now.items():
        if name not in was or _shown(was[name]) != _shown(document):
            yield _document(document)
    for name in was.keys() - now.keys():
        yield Line(LogEvent.POLICY_REMOVED, logging.INFO, f"policy {name} is gone", {"document": name})


def _problems_of_files(before: Status | None, after: Status) -> Iterator[Line]:
    """Those that belong to no document: a file that cannot be read, or that is none."""
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
    sentence = f"policy {document.name} is {document.state.value.replace('_', ' ')}: {document.why}"
    fields = {"document": document.name, "state": document.state.value, "text_hash": document.text_hash[:12]}
    return Line(
        LogEvent(f"policy_{document.state}"),
        logging.WARNING if invalid else logging.INFO,
        "\n  ".join((sentence, *problems)),
        {**fields, "problems": problems},
    )


def _removals(news: Iterable[Removal]) -> Iterator[Line]:
    """A line for each; but setbacks of one kind come by the thousand, and then they are one line."""
    setbacks: dict[tuple[Outcome, str], list[Removal]] = {}
    for removal in news:
        if removal.outcome.is_success:
            yield _removed(removal)
        else:
            setbacks.setdefault((removal.outcome, removal.intent.document), []).append(removal)
    for alike in setbacks.values():
        yield from map(_removed, alike) if len(alike) <= SETBACKS_TOLD_ONE_BY_ONE else [_setbacks(alike)]


def _setbacks(alike: Sequence[Removal]) -> Line:
    first = alike[0]
    sentence = f"{first.outcome.value}: {len(alike)} references stay, {first.intent.reference} because: {first.message}"
    fields = {"outcome": first.outcome.value, "references": len(alike), "document": first.intent.document}
    more = f"({first.intent.document}; all: imagectl get removals --failed)"
    return Line(_EVENT_OF[first.outcome], logging.WARNING, f"{sentence} {more}", fields)


def _removed(removal: Removal) -> Line:
    intent = removal.intent
    if removal.outcome.is_success:
        sentence = f"{removal.outcome.value} {intent.reference}: idle for {seconds_in_words(intent.idle_seconds)}"
        sentence += "" if removal.outcome is Outcome.GONE else f", {freed_in_words(removal.freed)}"
    else:
        sentence = f"{removal.outcome.value}: {intent.reference} stays: {removal.message}"
    fields = {
        "outcome": removal.outcome.value,
        "reference": intent.reference,
        "image": intent.image,
        "idle_seconds": round(intent.idle_seconds, 1),
        "bytes": removal.freed.bytes,
        "document": intent.document,
        "rule": intent.rule,
        "text_hash": intent.text_hash[:12],
    }
    level = logging.INFO if removal.outcome.is_success else logging.WARNING
    return Line(_EVENT_OF[removal.outcome], level, f"{sentence} ({intent.document}#{intent.rule})", fields)


def headline(status: Status) -> str:
    """A status in one line, what is wrong first."""
    verdicts, documents = status.decision.plan.verdicts, status.decision.scope.documents
    waiting = sum(verdict.action is Action.WAIT for verdict in verdicts)
    in_force = sum(document.state is DocumentState.IN_FORCE for document in documents)
    counts = f"{len(verdicts)} references, {waiting} of them waiting to go; {in_force} policies in force"
    at = f" at {status.reading.revision}" if status.reading.revision else ""
    return "; ".join((*status.degraded, counts + at))


def freed_in_words(freed: Freed) -> str:
    """`freed 12.4 MB`, or what is known instead."""
    if freed.exactness is Exactness.IN_BATCH:
        return "to be measured with its batch"
    if freed.bytes is None:
        return "freed an unknown number of bytes"
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

"""A decision as plain values: the one form in which commands, the API and the status page show it.

Moments are given twice: in seconds from now on the ledger's clock, which decides, and as the wall time that this
amounts to at best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from controller.image.layers import LayerTree
from controller.plan.decision import Decision
from controller.plan.idleness import Usage, idle_since
from controller.plan.in_force import DocumentStatus
from controller.plan.ledger_clock import LedgerClock
from controller.plan.memory import IN_USE, Memory
from controller.plan.reclaim import freed_together, layer_tree
from controller.plan.removal import Batch, Exactness, Removal
from controller.plan.verdict import Action, Verdict

Values = dict[str, Any]


def references(decision: Decision, usage: Usage) -> list[Values]:
    """Every reference with its verdict and the evidence for it."""
    tree = layer_tree(decision.memory)
    return [reference_values(verdict, decision.memory, usage, tree) for verdict in decision.plan.verdicts]


def reference_values(verdict: Verdict, memory: Memory, usage: Usage, tree: LayerTree | None = None) -> Values:
    """One reference with its verdict and the evidence for it."""
    tree = tree or layer_tree(memory)
    record, clock = memory.records[verdict.image], memory.clock
    image = memory.seen.images[verdict.image] if memory.seen else None
    evidence = memory.evidence.get(verdict.image)
    return {
        "reference": verdict.reference,
        "image": verdict.image,
        "size_bytes": image.size_bytes if image else None,
        "frees_alone_bytes": tree.alone(record.tip).at_least_bytes,
        "verdict": verdict.reason.value,
        "action": verdict.action.value,
        "detail": verdict.detail,
        "document": verdict.rule.document if verdict.rule else None,
        "rule": verdict.rule.number if verdict.rule else None,
        "until_seconds": seconds_left(verdict.until, clock),
        "until": wall_moment(verdict.until, clock),
        "due_in_seconds": seconds_left(verdict.due_at, clock),
        "due_at": wall_moment(verdict.due_at, clock),
        "idle_seconds": None if record.last_used == IN_USE else round(clock.seconds - idle_since(record, usage), 1),
        "last_used": "in use" if record.last_used == IN_USE else wall_moment(record.last_used, clock),
        "first_seen": wall_moment(record.first_seen, clock),
        "last_sign": record.touch.value if record.touch else None,
        "last_sign_at": wall_moment(record.last_touched, clock),
        "origin": record.origin.value if record.origin else None,
        "agent_downloaded": f"{evidence.source.value}: {evidence.detail}" if evidence else None,
    }


def documents(decision: Decision) -> list[Values]:
    """Every document, and what it amounts to on this node."""
    return [_document(document, decision.memory.clock) for document in decision.ruling.documents]


def _document(document: DocumentStatus, clock: LedgerClock) -> Values:
    return {
        "name": document.name,
        "label": document.label,
        "state": document.state.value,
        "why": document.why,
        "rules": document.rules,
        "in_force_from": wall_moment(document.in_force_from, clock),
        "file": document.file,
        "line": document.line,
        "text_hash": document.text_hash,
        "problems": [str(problem) for problem in document.problems],
    }


def reclaimable(decision: Decision) -> Values:
    """What removing all that is due, and all that waits as well, would free: less than the sum of sizes."""
    waiting = [verdict for verdict in decision.plan.verdicts if verdict.action is Action.WAIT]
    due = freed_together(decision.plan.removals, decision.memory)
    both = freed_together((*decision.plan.removals, *waiting), decision.memory)
    return {
        "due_bytes": due.at_least_bytes,
        "due_and_waiting_bytes": both.at_least_bytes,
        "is_exact": due.is_exact and both.is_exact,
        "without_evidence_bytes": _without_evidence(decision),
    }


def _without_evidence(decision: Decision) -> int:
    """What stays only because nothing tells that the agent downloaded it."""
    kept = [verdict for verdict in decision.plan.verdicts if verdict.reason.value == "NOT_DOWNLOADED_BY_AGENT"]
    return freed_together(kept, decision.memory).at_least_bytes


def removals(history: Iterable[Removal], batches: Mapping[str, Batch]) -> list[Values]:
    """The history of removals."""
    return [_removal(removal, batches) for removal in history]


def _removal(removal: Removal, batches: Mapping[str, Batch]) -> Values:
    intent, batch = removal.intent, batches.get(removal.batch)
    return {
        "at": _iso(removal.wall_seconds),
        "reference": intent.reference,
        "image": intent.image,
        "outcome": removal.outcome.value,
        "idle_seconds": round(intent.idle_seconds, 1),
        "freed_bytes": removal.freed.bytes,
        "exactness": removal.freed.exactness.value,
        "batch": removal.batch or None,
        "batch_freed_bytes": batch.freed.bytes if batch else None,
        "batch_exactness": (batch.freed.exactness if batch else Exactness.UNKNOWN).value if removal.batch else None,
        "size_bytes": intent.size_bytes,
        "document": intent.document,
        "rule": intent.rule,
        "text_hash": intent.text_hash,
        "message": removal.message or None,
    }


def seconds_left(at: float | None, clock: LedgerClock) -> float | None:
    """Until then, on the ledger's clock; negative if it has passed."""
    return None if at is None else round(at - clock.seconds, 1)


def wall_moment(at: float | None, clock: LedgerClock) -> str | None:
    """The date that this amounts to at best."""
    wall = None if at is None else clock.wall_at(at)
    return None if wall is None else _iso(wall)


def _iso(wall_seconds: float) -> str:
    """A date, or the number of seconds where a clock is so wrong that there is no date for it."""
    try:
        return datetime.fromtimestamp(wall_seconds, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{wall_seconds:.0f} s"

"""Converts a decision to rows, which commands, the API and the page show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.image.layers import LayerTree, Reclaim
from controller.plan.memory.disk import PressureMarks, pressure_in_words
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.memory import IN_USE, Evidence, Memory
from controller.plan.node.agent import NodeAnswer
from controller.plan.report.rows import (
    DocumentRow,
    FolderRow,
    NodeRow,
    ReclaimableRow,
    ReferenceRow,
    ShownDocument,
    ShownReference,
    wall_moment,
)
from controller.plan.scope.in_force import DocumentStatus
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.local import why_local
from controller.plan.verdict.reclaim import Bound, bound_of, freed_together, layer_tree
from controller.plan.verdict.verdict import Action, Reason, Verdict
from controller.policy.document.parse import FolderReading
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class PlanFrame:
    """What `imagectl plan` shows besides the references."""

    documents: tuple[ShownDocument, ...]
    reclaimable: ReclaimableRow
    folder: FolderRow
    node: NodeRow
    at: str | None
    without_events: str = ""
    """Why engine events are not available; empty if they are."""
    information: tuple[str, ...] = ()
    """Patterns that match nothing, and other things that are no trouble."""
    disk_pressure: str = ""
    """In words; empty without pressure."""


def plan_frame(decision: Decision, reading: FolderReading, marks: PressureMarks | None = None) -> PlanFrame:
    """The frame at the time of the decision."""
    clock = decision.memory.clock
    return PlanFrame(
        documents=tuple(row.shown(clock) for row in document_rows(decision)),
        reclaimable=reclaimable(decision),
        folder=folder_row(reading),
        node=node_row(decision.node),
        at=wall_moment(clock.seconds, clock),
        disk_pressure=disk_pressure(decision, marks),
        without_events=without_events(decision),
        information=decision.information,
    )


def disk_pressure(decision: Decision, marks: PressureMarks | None) -> str:
    """`disk pressure: 91 % used, start 85 %`; empty without pressure."""
    pressure = decision.memory.pressure
    return pressure_in_words(pressure.usage, marks) if pressure and marks else ""


def without_events(decision: Decision) -> str:
    """Why engine events are not available; empty if they are."""
    watch = decision.memory.watch
    return watch.gap if watch.is_blind else ""


def shown_references(decision: Decision, usage: Usage) -> list[ShownReference]:
    """Every reference with its verdict and its evidence, at the time of the decision."""
    return [row.shown(decision.memory.clock) for row in reference_rows(decision, usage)]


def reference_rows(decision: Decision, usage: Usage, places: Sequence[int] | None = None) -> Iterator[ReferenceRow]:
    """Every reference, or those in these places among all."""
    tree, verdicts = layer_tree(decision.memory), decision.plan.verdicts
    wanted = verdicts if places is None else (verdicts[place] for place in places)
    return (reference_row(verdict, decision.memory, usage, tree) for verdict in wanted)


def reference_row(verdict: Verdict, memory: Memory, usage: Usage, tree: LayerTree) -> ReferenceRow:
    """One reference with its verdict and the evidence for it."""
    record = memory.records[verdict.image]
    alone = tree.alone(record.tip)
    image = memory.seen.images[verdict.image] if memory.seen else None
    evidence = memory.evidence.get(verdict.image)
    is_in_use = record.last_used == IN_USE
    return ReferenceRow(
        reference=verdict.reference,
        image=verdict.image,
        names_remembered=() if image and image.tags else tuple(record.names),
        size_bytes=image.size_bytes if image else None,
        frees_alone_bytes=alone.at_least_bytes,
        frees_alone_bound=bound_of(alone, memory.seen).value,
        verdict=verdict.reason.value,
        action=verdict.action.value,
        detail=verdict.detail,
        document=verdict.rule.document if verdict.rule else None,
        rule=verdict.rule.number if verdict.rule else None,
        until=verdict.until,
        due_at=verdict.due_at,
        idle_since=None if is_in_use else idle_since(record, usage),
        last_used="in use" if is_in_use else record.last_used,
        first_seen=record.first_seen,
        last_sign=record.touch.value if record.touch else None,
        last_sign_at=record.last_touched,
        origin=record.origin.value if record.origin else None,
        local=_why_local(verdict, memory) or None,
        agent_downloaded=_evidence_in_words(evidence) if evidence else None,
    )


def _evidence_in_words(evidence: Evidence) -> str:
    record = f" ({evidence.record})" if evidence.record else ""
    return f"{evidence.source.value}: {evidence.detail}{record}"


def document_rows(decision: Decision) -> list[DocumentRow]:
    """Every document, and its state on this node."""
    return [_document(document) for document in decision.scope.documents]


def _document(document: DocumentStatus) -> DocumentRow:
    return DocumentRow(
        name=document.name,
        label=document.label,
        state=document.state.value,
        why=document.why,
        rules=document.rules,
        in_force_from=None if document.in_force_from is None else round(document.in_force_from),
        file=document.file,
        line=document.line,
        text_hash=document.text_hash,
        problems=tuple(map(str, document.problems)),
    )


def reclaimable(decision: Decision) -> ReclaimableRow:
    """The bytes that would be freed by removing all that is due, and all that is due or waits."""
    verdicts, removals, memory = decision.plan.verdicts, decision.plan.removals, decision.memory
    due = freed_together(removals, memory)
    both = freed_together((*removals, *(each for each in verdicts if each.action is Action.WAIT)), memory)
    local = [each for each in removals if _why_local(each, memory)]
    bound = bound_of(Reclaim(both.at_least_bytes, due.is_exact and both.is_exact), memory.seen)
    without_evidence = [each for each in verdicts if each.reason is Reason.NOT_DOWNLOADED_BY_AGENT]
    return ReclaimableRow(
        due_bytes=due.at_least_bytes,
        due_and_waiting_bytes=both.at_least_bytes,
        is_exact=bound is Bound.EXACT,
        without_evidence_bytes=freed_together(without_evidence, memory).at_least_bytes,
        due_local_images=len({each.image for each in local}),
        due_local_bytes=freed_together(local, memory).at_least_bytes,
        bound=bound.value,
    )


def _why_local(verdict: Verdict, memory: Memory) -> str:
    """Why the image of a verdict cannot be pulled again; empty if it can."""
    seen = memory.seen
    return why_local(seen.images[verdict.image], memory.records[verdict.image], seen.engine.store) if seen else ""


def folder_row(reading: FolderReading) -> FolderRow:
    """The policy folder and its problems."""
    return FolderRow(
        path=reading.folder,
        lost=reading.lost,
        stopped=reading.is_stopped,
        revision=reading.revision,
        problems=tuple(map(str, reading.problems)),
    )


def node_row(answer: NodeAnswer) -> NodeRow:
    """The identity of this node, as far as it is known."""
    node = answer.node
    return NodeRow(
        name=f"{node.org}/{node.id}" if node and node.org else node.id if node else "",
        org=node.org if node else "",
        id=node.id if node else "",
        why=answer.why,
        is_degraded=answer.is_degraded,
        agent_answer_age_seconds=round(answer.age_seconds) if answer.has_agent else None,
    )

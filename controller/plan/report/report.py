"""A decision → rows: the one form in which commands, the API and the page show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from controller.image.layers import LayerTree
from controller.plan.memory.disk import PressureMarks, pressure_in_words
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.memory import IN_USE, Memory
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
from controller.plan.verdict.reclaim import freed_together, layer_tree
from controller.plan.verdict.verdict import Action, Reason, Verdict
from controller.policy.document.parse import FolderReading


@dataclass(frozen=True, slots=True)
class PlanFrame:
    """What `imagectl plan` shows besides the references."""

    documents: tuple[ShownDocument, ...]
    reclaimable: ReclaimableRow
    folder: FolderRow
    node: NodeRow
    at: str | None
    disk_pressure: str
    """In words; empty without pressure."""


def plan_frame(decision: Decision, reading: FolderReading, marks: PressureMarks | None = None) -> PlanFrame:
    """All of it, as of the decision's moment."""
    clock = decision.memory.clock
    return PlanFrame(
        documents=tuple(row.shown(clock) for row in document_rows(decision)),
        reclaimable=reclaimable(decision),
        folder=folder_row(reading),
        node=node_row(decision.node),
        at=wall_moment(clock.seconds, clock),
        disk_pressure=disk_pressure(decision, marks),
    )


def disk_pressure(decision: Decision, marks: PressureMarks | None) -> str:
    """`disk pressure: 91 % used, start 85 %`; empty without pressure."""
    pressure = decision.memory.pressure
    return pressure_in_words(pressure.usage, marks) if pressure and marks else ""


def shown_references(decision: Decision, usage: Usage) -> list[ShownReference]:
    """Every reference with its verdict and the evidence for it, as of the decision's moment."""
    return [row.shown(decision.memory.clock) for row in reference_rows(decision, usage)]


def reference_rows(decision: Decision, usage: Usage, places: Sequence[int] | None = None) -> Iterator[ReferenceRow]:
    """Every reference, or those in these places among all."""
    tree, verdicts = layer_tree(decision.memory), decision.plan.verdicts
    wanted = verdicts if places is None else (verdicts[place] for place in places)
    return (reference_row(verdict, decision.memory, usage, tree) for verdict in wanted)


def reference_row(verdict: Verdict, memory: Memory, usage: Usage, tree: LayerTree) -> ReferenceRow:
    """One reference with its verdict and the evidence for it."""
    record = memory.records[verdict.image]
    image = memory.seen.images[verdict.image] if memory.seen else None
    evidence = memory.evidence.get(verdict.image)
    is_in_use = record.last_used == IN_USE
    return ReferenceRow(
        reference=verdict.reference,
        image=verdict.image,
        names_remembered=() if image and image.tags else tuple(record.names),
        size_bytes=image.size_bytes if image else None,
        frees_alone_bytes=tree.alone(record.tip).at_least_bytes,
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
        agent_downloaded=f"{evidence.source.value}: {evidence.detail}" if evidence else None,
    )


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
    """What removing all that is due, and all that waits as well, would free."""
    verdicts, removals, memory = decision.plan.verdicts, decision.plan.removals, decision.memory
    due = freed_together(removals, memory)
    both = freed_together((*removals, *(each for each in verdicts if each.action is Action.WAIT)), memory)
    local = [each for each in removals if _why_local(each, memory)]
    without_evidence = [each for each in verdicts if each.reason is Reason.NOT_DOWNLOADED_BY_AGENT]
    return ReclaimableRow(
        due_bytes=due.at_least_bytes,
        due_and_waiting_bytes=both.at_least_bytes,
        is_exact=due.is_exact and both.is_exact,
        without_evidence_bytes=freed_together(without_evidence, memory).at_least_bytes,
        due_local_images=len({each.image for each in local}),
        due_local_bytes=freed_together(local, memory).at_least_bytes,
    )


def _why_local(verdict: Verdict, memory: Memory) -> str:
    """Why the image of a verdict cannot be pulled again; empty if it can."""
    seen = memory.seen
    return why_local(seen.images[verdict.image], memory.records[verdict.image], seen.engine.store) if seen else ""


def folder_row(reading: FolderReading) -> FolderRow:
    """The folder of policies, and what is wrong with it."""
    return FolderRow(
        path=reading.folder,
        lost=reading.lost,
        stopped=reading.is_stopped,
        revision=reading.revision,
        problems=tuple(map(str, reading.problems)),
    )


def node_row(answer: NodeAnswer) -> NodeRow:
    """Which node this is, as far as that is known."""
    node = answer.node
    return NodeRow(
        name=f"{node.org}/{node.id}" if node and node.org else node.id if node else "",
        org=node.org if node else "",
        id=node.id if node else "",
        why=answer.why,
        is_degraded=answer.is_degraded,
    )

"""A decision as plain values: the one form in which commands, the API and the status page show it.

Rows are made at rest, with moments on the ledger's clock; `moments.told` says when that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from controller.image.layers import LayerTree
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.memory import IN_USE, Memory
from controller.plan.node.agent import NodeAnswer
from controller.plan.report.moments import to_display
from controller.plan.scope.in_force import DocumentStatus
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.local import why_local
from controller.plan.verdict.reclaim import freed_together, layer_tree
from controller.plan.verdict.verdict import Action, Verdict
from controller.policy.document.parse import FolderReading

Values = dict[str, Any]


def report_values(decision: Decision, reading: FolderReading, usage: Usage) -> Values:
    """All of it, as of the decision's moment."""
    return {
        "references": references(decision, usage),
        "documents": documents(decision),
        "reclaimable": reclaimable(decision),
        "folder": folder_values(reading),
        "node": node_values(decision.node),
    }


def references(decision: Decision, usage: Usage) -> list[Values]:
    """Every reference with its verdict and the evidence for it, as of the decision's moment."""
    return [to_display(row, decision.memory.clock) for row in references_at_rest(decision, usage)]


def references_at_rest(decision: Decision, usage: Usage, places: Sequence[int] | None = None) -> Iterator[Values]:
    """The same, with moments on the ledger's clock; perhaps only those in these places among all."""
    tree, verdicts = layer_tree(decision.memory), decision.plan.verdicts
    wanted = verdicts if places is None else (verdicts[place] for place in places)
    return (reference_at_rest(verdict, decision.memory, usage, tree) for verdict in wanted)


def reference_at_rest(verdict: Verdict, memory: Memory, usage: Usage, tree: LayerTree) -> Values:
    """One reference with its verdict and the evidence for it."""
    record = memory.records[verdict.image]
    image = memory.seen.images[verdict.image] if memory.seen else None
    evidence = memory.evidence.get(verdict.image)
    is_in_use = record.last_used == IN_USE
    return {
        "reference": verdict.reference,
        "image": verdict.image,
        "names_remembered": [] if image and image.tags else list(record.names),
        "size_bytes": image.size_bytes if image else None,
        "frees_alone_bytes": tree.alone(record.tip).at_least_bytes,
        "verdict": verdict.reason.value,
        "action": verdict.action.value,
        "detail": verdict.detail,
        "document": verdict.rule.document if verdict.rule else None,
        "rule": verdict.rule.number if verdict.rule else None,
        "until": verdict.until,
        "due_at": verdict.due_at,
        "idle_since": None if is_in_use else idle_since(record, usage),
        "last_used": "in use" if is_in_use else record.last_used,
        "first_seen": record.first_seen,
        "last_sign": record.touch.value if record.touch else None,
        "last_sign_at": record.last_touched,
        "origin": record.origin.value if record.origin else None,
        "local": why_local_of(verdict, memory) or None,
        "agent_downloaded": f"{evidence.source.value}: {evidence.detail}" if evidence else None,
    }


def documents(decision: Decision) -> list[Values]:
    """Every document, and what it amounts to on this node."""
    return [to_display(row, decision.memory.clock) for row in documents_at_rest(decision)]


def documents_at_rest(decision: Decision) -> list[Values]:
    """The same, with moments on the ledger's clock."""
    return [_document(document) for document in decision.scope.documents]


def _document(document: DocumentStatus) -> Values:
    return {
        "name": document.name,
        "label": document.label,
        "state": document.state.value,
        "why": document.why,
        "rules": document.rules,
        "in_force_from": None if document.in_force_from is None else round(document.in_force_from),
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
        **_due_local(decision),
    }


def _due_local(decision: Decision) -> Values:
    """The due images that cannot be pulled again."""
    memory = decision.memory
    local = [verdict for verdict in decision.plan.removals if why_local_of(verdict, memory)]
    return {
        "due_local_images": len({verdict.image for verdict in local}),
        "due_local_bytes": freed_together(local, memory).at_least_bytes,
    }


def why_local_of(verdict: Verdict, memory: Memory) -> str:
    """Why the image of a verdict cannot be pulled again; empty if it can."""
    seen = memory.seen
    return why_local(seen.images[verdict.image], memory.records[verdict.image], seen.engine.store) if seen else ""


def _without_evidence(decision: Decision) -> int:
    """What stays only because nothing tells that the agent downloaded it."""
    kept = [verdict for verdict in decision.plan.verdicts if verdict.reason.value == "NOT_DOWNLOADED_BY_AGENT"]
    return freed_together(kept, decision.memory).at_least_bytes


def folder_values(reading: FolderReading) -> Values:
    """The folder of policies, and what is wrong with it."""
    return {
        "path": reading.folder,
        "lost": reading.lost,
        "stopped": reading.is_stopped,
        "revision": reading.revision,
        "problems": [str(problem) for problem in reading.problems],
    }


def node_values(answer: NodeAnswer) -> Values:
    """Which node this is, as far as that is known."""
    node = answer.node
    return {
        "name": f"{node.org}/{node.id}" if node and node.org else node.id if node else "",
        "org": node.org if node else "",
        "id": node.id if node else "",
        "why": answer.why,
        "is_degraded": answer.is_degraded,
    }

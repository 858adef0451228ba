"""The explanation of one image: every rule that covers it, the rule that decides, and the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from controller.image.image import Image
from controller.plan.memory.memory import Memory, Record
from controller.plan.memory.observation import Observation
from controller.plan.report.meaning import matching_rows
from controller.plan.report.report import reference_row
from controller.plan.report.rows import ExplanationRow, FindingRow, ReferenceRow
from controller.plan.verdict.covering import names_of
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.judge import Judge, Terms, decisive
from controller.plan.verdict.reclaim import layer_tree
from controller.plan.verdict.verdict import Finding, Verdict
from controller.quantity import times

Explained = tuple[ReferenceRow, ExplanationRow]
"""Both rows of one reference."""


def explained(
    decision: Decision,
    terms: Terms,
    text: str,
    matching: Callable[[Iterator[ExplanationRow], str], list[ExplanationRow]] = matching_rows,
) -> list[Explained]:
    """Explanations of all references of the images that `text` matches: a name, an ID, or the start of an ID."""
    memory, tree = decision.memory, layer_tree(decision.memory)
    verdicts = {(each.image, each.reference): each for each in decision.plan.verdicts}
    return [
        (reference_row(verdicts[row.image, row.reference], memory, terms.usage, tree), row)  # type: ignore[index]
        for row in matching(explanation_rows(decision, terms), text)
    ]


def explanation_rows(decision: Decision, terms: Terms) -> Iterator[ExplanationRow]:
    """The explanation of each reference, in addition to its row in the report."""
    memory = decision.memory
    if memory.seen is not None:
        judges = [
            Judge(decision.book, memory, memory.seen, terms, is_under_pressure=pressed) for pressed in (False, True)
        ]
        for verdict in decision.plan.verdicts:
            yield _explanation(verdict, memory, memory.seen, judges[verdict.is_under_pressure])


def _names(image: Image, record: Record) -> tuple[str, ...]:
    """Its names, and tags that are known only from containers and pulls (`repo:tag@digest`)."""
    pinned = (f"{name.familiar_repository}:{name.tag}" for name in names_of(image, record) if name.tag and name.digest)
    return tuple(dict.fromkeys((*(name.familiar for name in (*image.tags, *image.digests)), *pinned)))


def _explanation(verdict: Verdict, memory: Memory, seen: Observation, judge: Judge) -> ExplanationRow:
    image, record = seen.images[verdict.image], memory.records[verdict.image]
    reference = next((name for name in image.removable_references if name.familiar == verdict.reference), None)
    findings = judge.findings(image, record, reference)
    decides = decisive(findings) if findings else None
    attempt = memory.attempts.get((image.id, verdict.reference))
    return ExplanationRow(
        reference=verdict.reference,
        image=verdict.image,
        names=_names(image, record),
        rules=tuple(_rule(finding, finding is decides) for finding in findings),
        containers=tuple(f"{user.name} ({user.state})" for user in seen.users.get(image.id, ())),
        children=tuple(seen.children.get(image.id, ())),
        parent=image.parent,
        setback=f"{attempt.setback.value} {times(attempt.failures)}: {attempt.message}" if attempt else None,
    )


def _rule(finding: Finding, decides: bool) -> FindingRow:
    rule = finding.rule
    return FindingRow(
        rule=rule.name,
        image_name=rule.selector.text,
        delete_after_minutes=int(rule.delete_after_seconds // 60),
        agent_downloaded_only=rule.agent_downloaded_only,
        keep_last=rule.keep_last,
        lost_tag_only=rule.lost_tag_only,
        delete_after_minutes_under_pressure=_minutes(rule.delete_after_seconds_under_pressure),
        says=finding.reason.value,
        due_at=finding.due_at,
        decides=decides,
    )


def _minutes(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds // 60)

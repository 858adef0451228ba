"""Everything known of one image: every rule that touches it, which of them decides, the evidence, and what
would change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.plan.decision import Decision
from controller.plan.memory import Memory
from controller.plan.names import Names
from controller.plan.observation import Observation
from controller.plan.planner import Judge, Terms, decisive
from controller.plan.report import reference_values, seconds_left, wall_moment
from controller.plan.verdict import Finding, Reason, Verdict

Values = dict[str, Any]

WHAT_MAKES_IT_GO: Mapping[Reason, str] = {
    Reason.NO_RULE: "a rule of a policy in force that covers its name",
    Reason.PROTECTED: "an end of its protection",
    Reason.IN_USE: "the removal of every container that is made from it or mounts it, stopped ones too",
    Reason.HAS_CHILDREN: "the removal of the images that are built on it; then it goes by itself",
    Reason.SETTLING: "nothing but time without a sign of life",
    Reason.NOT_DOWNLOADED_BY_AGENT: "evidence that the agent downloaded it: one of its containers, or record-download",
    Reason.NOT_STARTED: "the start of its policy",
    Reason.NOT_IDLE_LONG_ENOUGH: "nothing but time without use",
    Reason.DUE: "the next pass of a controller",
    Reason.BACKING_OFF: "the next try; or a change of its names, containers or children, which is tried at once",
    Reason.HELD_BACK: "room under the operator's limit",
}
_STAYS = "a container of it, --protect, the label image-controller.keep=true, or a change of the policy"
WHAT_KEEPS_IT: Mapping[Reason, str] = {
    Reason.NO_RULE: "nothing has to: no rule covers it",
    Reason.PROTECTED: "its protection",
    Reason.IN_USE: "its use",
    Reason.NOT_DOWNLOADED_BY_AGENT: "the lack of evidence that the agent downloaded it",
}


def explained(decision: Decision, terms: Terms, text: str) -> list[Values]:
    """One explanation for each reference of each image that `text` names: a name, an ID, or the beginning of one."""
    memory, seen = decision.memory, decision.memory.seen
    if seen is None:
        return []
    judge = Judge(decision.book, memory, seen, terms)
    meant = Names(seen.images).meant(text)
    verdicts = [verdict for verdict in decision.plan.verdicts if verdict.image in meant]
    return [_explained(verdict, memory, seen, judge, terms) for verdict in verdicts]


def _explained(verdict: Verdict, memory: Memory, seen: Observation, judge: Judge, terms: Terms) -> Values:
    image, record = seen.images[verdict.image], memory.records[verdict.image]
    reference = next((name for name in image.removable_references if name.familiar == verdict.reference), None)
    findings = judge.findings(image, record, judge.covering(image, record, reference))
    decides = decisive(findings) if findings else None
    attempt = memory.attempts.get((image.id, verdict.reference))
    return {
        **reference_values(verdict, memory, terms.usage),
        "names": [name.familiar for name in (*image.tags, *image.digests)],
        "names_remembered": [name for name in record.names if not image.tags],
        "rules": [_rule(finding, memory, finding is decides) for finding in findings],
        "containers": [f"{user.name} ({user.state})" for user in seen.users.get(image.id, ())],
        "children": list(judge.children.get(image.id, ())),
        "parent": image.parent,
        "setback": f"{attempt.setback.value} {attempt.failures} times: {attempt.message}" if attempt else None,
        "what_makes_it_go": WHAT_MAKES_IT_GO[verdict.reason],
        "what_keeps_it": WHAT_KEEPS_IT.get(verdict.reason, _STAYS),
    }


def _rule(finding: Finding, memory: Memory, decides: bool) -> Values:
    rule = finding.rule
    return {
        "rule": rule.name,
        "image_name": rule.selector.text,
        "delete_after_minutes": int(rule.delete_after_seconds // 60),
        "agent_downloaded_only": rule.agent_downloaded_only,
        "says": finding.reason.value,
        "due_in_seconds": seconds_left(finding.due_at, memory.clock),
        "due_at": wall_moment(finding.due_at, memory.clock),
        "decides": decides,
    }


def similar_names(decision: Decision, text: str) -> list[str]:
    """Names on the node, for a hint when `text` names nothing."""
    return [verdict.reference for verdict in decision.plan.verdicts if text.lower() in verdict.reference.lower()]

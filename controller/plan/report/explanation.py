"""Everything known of one image: every rule that touches it, which of them decides, the evidence, and what
would change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.image.image import Image
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation
from controller.plan.report.meaning import matching_rows
from controller.plan.report.report import reference_at_rest
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.planner import Judge, Terms, decisive
from controller.plan.verdict.reclaim import layer_tree
from controller.plan.verdict.verdict import Finding, Reason, Verdict

Values = dict[str, Any]

WHAT_MAKES_IT_GO: Mapping[Reason, str] = {
    Reason.NO_RULE: "a rule of a policy in force that covers its name",
    Reason.PROTECTED: "an end of its protection",
    Reason.IN_USE: "the removal of every container that is made from it or mounts it, stopped ones too",
    Reason.HAS_CHILDREN: "the removal of the images that are built on it; then it goes by itself",
    Reason.SETTLING: "nothing but time without a sign of life",
    Reason.NOT_DOWNLOADED_BY_AGENT: "evidence that the agent downloaded it: one of its containers, or record-download",
    Reason.KEPT_AS_RECENT: "the use of newer images of its repository, or another rule without keep_last",
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
    Reason.KEPT_AS_RECENT: "keep_last of the rule",
    Reason.NOT_DOWNLOADED_BY_AGENT: "the lack of evidence that the agent downloaded it",
}


def explained(decision: Decision, terms: Terms, text: str) -> list[Values]:
    """All there is to say of each reference of each image that `text` names: a name, an ID, or the beginning of one.

    Moments are on the ledger's clock.
    """
    memory = decision.memory
    if memory.seen is None:
        return []
    images, tree = memory.seen.images, layer_tree(memory)
    named = (
        {"image": each.image, "names": _names(images[each.image]), "verdict": each} for each in decision.plan.verdicts
    )
    meant = [row["verdict"] for row in matching_rows(named, text)]
    judge = Judge(decision.book, memory, memory.seen, terms)
    return [
        {
            **reference_at_rest(verdict, memory, terms.usage, tree),
            **_explanation(verdict, memory, memory.seen, judge),
        }
        for verdict in meant
    ]


def explanations_at_rest(decision: Decision, terms: Terms) -> Iterator[Values]:
    """What there is to say of each reference besides its row in the report; moments are on the ledger's clock."""
    memory = decision.memory
    if memory.seen is not None:
        judge = Judge(decision.book, memory, memory.seen, terms)
        for verdict in decision.plan.verdicts:
            yield _explanation(verdict, memory, memory.seen, judge)


def _names(image: Image) -> list[str]:
    return [name.familiar for name in (*image.tags, *image.digests)]


def _explanation(verdict: Verdict, memory: Memory, seen: Observation, judge: Judge) -> Values:
    image, record = seen.images[verdict.image], memory.records[verdict.image]
    reference = next((name for name in image.removable_references if name.familiar == verdict.reference), None)
    findings = judge.findings(image, record, judge.covering(image, record, reference))
    decides = decisive(findings) if findings else None
    attempt = memory.attempts.get((image.id, verdict.reference))
    return {
        "reference": verdict.reference,
        "image": verdict.image,
        "names": _names(image),
        "rules": [_rule(finding, finding is decides) for finding in findings],
        "containers": [f"{user.name} ({user.state})" for user in seen.users.get(image.id, ())],
        "children": list(seen.children.get(image.id, ())),
        "parent": image.parent,
        "setback": f"{attempt.setback.value} {attempt.failures} times: {attempt.message}" if attempt else None,
        "what_makes_it_go": WHAT_MAKES_IT_GO[verdict.reason],
        "what_keeps_it": WHAT_KEEPS_IT.get(verdict.reason, _STAYS),
    }


def _rule(finding: Finding, decides: bool) -> Values:
    rule = finding.rule
    return {
        "rule": rule.name,
        "image_name": rule.selector.text,
        "delete_after_minutes": int(rule.delete_after_seconds // 60),
        "agent_downloaded_only": rule.agent_downloaded_only,
        "keep_last": rule.keep_last,
        "lost_tag_only": rule.lost_tag_only,
        "says": finding.reason.value,
        "due_at": finding.due_at,
        "decides": decides,
    }

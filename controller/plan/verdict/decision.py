"""One pass's thinking, whole: what was read and seen, and what was known, into what is known now and what is to be
done.

`run` calls it and acts; `plan`, `explain` and `get` call it and show. There is no other way to a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from controller.plan.memory.memory import Memory, TextKey
from controller.plan.memory.observation import Observation
from controller.plan.memory.remember import News, remember
from controller.plan.node.agent import NodeAnswer, believed
from controller.plan.scope.in_force import Circumstances, DocumentDecisions, decide_documents, texts_after
from controller.plan.scope.stability import TextStability
from controller.plan.verdict.limits import Limits, within
from controller.plan.verdict.planner import Plan, RuleBook, Terms, make_plan
from controller.policy.document.document import NodeManagementPolicy
from controller.policy.document.parse import FolderReading


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the operator has set, as far as it decides anything."""

    terms: Terms = Terms()
    limits: Limits = Limits()
    resync_seconds: float = 300.0
    believe_new_texts: bool = False
    """For commands that only look: show what will be once the texts have stood."""


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What the documents want, and who is asked to fulfil it."""

    reading: FolderReading
    node: NodeAnswer
    """As it was given just now; the last good answer is in the memory."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a pass comes to; the next one begins with it."""

    memory: Memory = Memory()
    node: NodeAnswer = NodeAnswer()
    """The answer that was gone by."""
    scope: DocumentDecisions = DocumentDecisions()
    plan: Plan = Plan()
    stability: TextStability = TextStability()
    book: RuleBook = RuleBook()
    """Made anew only when the rules change."""


def decide(before: Decision, desired: DesiredState, seen: Observation, news: News, conditions: Conditions) -> Decision:
    """Remember what was seen, decide which documents are in force, and give every reference its verdict."""
    node = believed(desired.node, before.memory.node, before.memory.clock.seconds)
    memory = remember(before.memory, seen, news, node, conditions.resync_seconds)
    return decide_again(replace(before, memory=memory, node=node), desired.reading, conditions)


def decide_again(before: Decision, reading: FolderReading, conditions: Conditions, removals_made: int = 0) -> Decision:
    """The same without a new look: on the memory and the node as they are, after so many removals in this pass."""
    policies = [document.policy for document in reading.documents if document.policy]
    stability = before.stability.after(dict(map(_key, policies)), before.memory.texts, _read_at(reading, before.memory))
    settled = [policy for policy in policies if conditions.believe_new_texts or stability.believes(policy.name)]
    memory = replace(before.memory, texts=texts_after(before.memory.texts, settled, before.memory.clock))
    believed = {key: memory.texts[key] for key in map(_key, settled)}
    scope = decide_documents(reading.documents, Circumstances(before.node, memory.clock, believed, stability.unstable))
    book = before.book if before.book.rules == scope.rules else RuleBook(scope.rules)
    plan = within(conditions.limits, make_plan(book, memory, conditions.terms), memory, removals_made)
    if plan.verdicts == before.plan.verdicts:
        plan = replace(plan, verdicts=before.plan.verdicts)
    return Decision(memory, before.node, scope, plan, stability, book)


def _key(policy: NodeManagementPolicy) -> TextKey:
    return policy.name, policy.text_hash


def _read_at(reading: FolderReading, memory: Memory) -> float:
    if reading.at is not None:
        return reading.at
    return memory.clock.last.uptime_seconds if memory.clock.last else 0.0

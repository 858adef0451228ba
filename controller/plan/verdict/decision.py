"""The decision of one pass: documents, observation and memory in; new memory and plan out.

`run` executes the plan; `plan`, `explain` and `get` show it. Every verdict comes from here.
"""

from __future__ import annotations

from dataclasses import replace

from controller.instant import ReadTimes
from controller.plan.memory.disk import pressure_after
from controller.plan.memory.engines import is_same_engine
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import Memory, TextKey, TextRecord
from controller.plan.memory.observation import Observation
from controller.plan.memory.remember import News, remember
from controller.plan.node.agent import NodeAnswer, believed, without_new_text
from controller.plan.scope.in_force import Circumstances, DocumentDecisions, decide_documents, held_names, texts_after
from controller.plan.scope.stability import TextStability
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.information import information
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits, within
from controller.plan.verdict.planner import Plan, make_plan
from controller.policy.document.document import NodeManagementPolicy
from controller.policy.document.parse import FolderReading
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Conditions:
    """The settings that decisions depend on."""

    terms: Terms = Terms()
    limits: Limits = Limits()
    resync_seconds: float = 300.0
    trust_new_texts: bool = False
    """For commands that only read: decide as if all files were stable already."""


@dataclass(frozen=True, slots=True)
class DesiredState:
    """The policy documents and the node that they are matched with."""

    reading: FolderReading
    node: NodeAnswer
    """The answer of this pass; the memory has the last valid one."""
    node_read: ReadTimes | None = None
    """When the node was asked."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The result of a pass, and the input of the next one."""

    memory: Memory = Memory()
    node: NodeAnswer = NodeAnswer()
    """The answer that this decision used."""
    scope: DocumentDecisions = DocumentDecisions()
    plan: Plan = Plan()
    stability: TextStability = TextStability()
    node_stability: TextStability = TextStability()
    """Of the node file, by its path."""
    book: RuleBook = RuleBook()
    """Built again only when the rules change."""
    plan_facts: tuple[object, ...] = ()
    """The facts of the last plan. While they are the same, the plan holds until its next change."""
    information: tuple[str, ...] = ()
    """Lines for display that are no trouble; determined again only when rules or verdicts change."""


def decide(before: Decision, desired: DesiredState, seen: Observation, news: News, conditions: Conditions) -> Decision:
    """Update the memory, decide which documents are in force, and give every reference its verdict."""
    fresh, stability = _settled_node(before, desired, conditions)
    clock = before.memory.clock.advanced(seen.at, conditions.resync_seconds)
    node = believed(fresh, before.memory.node, clock.seconds)
    memory = remember(before.memory, seen, news, node, conditions.resync_seconds)
    memory = _with_pressure(memory, before, news, conditions)
    before = replace(before, memory=memory, node=node, node_stability=stability)
    return decide_again(before, desired.reading, conditions)


def _settled_node(before: Decision, desired: DesiredState, conditions: Conditions) -> tuple[NodeAnswer, TextStability]:
    """The answer, without a node whose file is not stable yet. The text that the ledger keeps needs no wait."""
    fresh, kept = desired.node, before.memory.node.answer if before.memory.node else NodeAnswer()
    texts = {fresh.source: fresh.text_hash} if fresh.text_hash else {}
    known = {(kept.source, kept.text_hash): TextRecord(0.0, 0.0, None, "")} if kept.text_hash else {}
    stability = before.node_stability.after(texts, known, _times(desired.node_read, before.memory))
    if not texts or conditions.trust_new_texts or stability.trusts(fresh.source):
        return fresh, stability
    return without_new_text(fresh, is_unstable=fresh.source in stability.unstable), stability


def _with_pressure(memory: Memory, before: Decision, news: News, conditions: Conditions) -> Memory:
    """The memory after the disk was measured; that of another engine, or at another path, is another one."""
    was, now = before.memory.seen, memory.seen
    is_same = was is not None and now is not None and is_same_engine(was, now)
    if news.disk is None and is_same:
        return memory
    usage, path = (news.disk.usage, news.disk.path) if news.disk else (None, "")
    known = before.memory.pressure
    known = known if is_same and known and known.path == path else None
    after = pressure_after(known, usage, conditions.terms.pressure, memory.clock.seconds)
    after = after and replace(after, path=path)
    return memory if after == memory.pressure else replace(memory, pressure=after)


def decide_again(before: Decision, reading: FolderReading, conditions: Conditions, removals_made: int = 0) -> Decision:
    """Decide without a new observation, after `removals_made` removals in the same pass."""
    policies = [document.policy for document in reading.documents if document.policy]
    read = _times(reading.read, before.memory)
    stability = before.stability.after(dict(map(_key, policies)), before.memory.texts, read)
    held = held_names(reading, before.memory.texts)
    stable = [policy for policy in policies if conditions.trust_new_texts or stability.trusts(policy.name)]
    settled = [policy for policy in stable if policy.name not in held]
    memory = replace(before.memory, texts=texts_after(before.memory.texts, settled, before.memory.clock))
    believed = {key: memory.texts[key] for key in map(_key, settled)}
    around = Circumstances(before.node, memory.clock, believed, stability.unstable, held)
    scope = decide_documents(reading.documents, around)
    book = before.book if before.book.rules == scope.rules else RuleBook(scope.rules)
    decision = replace(before, memory=memory, scope=scope, stability=stability, book=book)
    facts = (book, conditions, removals_made, *_facts(memory, before.node))
    if facts == before.plan_facts and before.plan.holds_at(memory.clock.seconds):
        return replace(decision, plan=replace(before.plan, now=memory.clock.seconds), plan_facts=facts)
    plan = within(conditions.limits, make_plan(book, memory, conditions.terms, before.node), memory, removals_made)
    lines = before.information
    if plan.verdicts == before.plan.verdicts and book is before.book:
        plan = replace(plan, verdicts=before.plan.verdicts)
    else:
        lines = information(book, memory, conditions.terms)
    return replace(decision, plan=plan, information=lines, plan_facts=facts)


def _facts(memory: Memory, node: NodeAnswer) -> tuple[object, ...]:
    """Everything in them that a plan depends on, except the time."""
    seen, answer = memory.seen, memory.node and memory.node.answer
    timeless = replace(memory, clock=LedgerClock(), seen=None, node=None, arriving={}, event_cursor=0, event_run="")
    observed = seen and (seen.engine, seen.images, seen.containers, seen.service_images, seen.own_container)
    return timeless, observed, answer, node.agent, node.is_without_agent


def _key(policy: NodeManagementPolicy) -> TextKey:
    return policy.name, policy.text_hash


def _times(read: ReadTimes | None, memory: Memory) -> ReadTimes:
    """Those of the read; the time of the last observation where they do not matter."""
    at = memory.clock.last.uptime_seconds if memory.clock.last else 0.0
    return read or ReadTimes(at, at)

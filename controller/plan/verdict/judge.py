"""The verdict on each image: what the rules that cover it say, and what keeps it against all rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from controller.image.image import Image
from controller.image.reference import ImageId, Reference
from controller.image.selector import Selector
from controller.plan.memory.disk import PressureMarks
from controller.plan.memory.idleness import Usage, idle_since, last_activity, last_use
from controller.plan.memory.memory import A_ROW_OF_PULLS_ENDS_AFTER_SECONDS, IN_USE, Memory, Record
from controller.plan.memory.names import spellings
from controller.plan.memory.observation import Observation, Store
from controller.plan.node.agent import NO_NODE_SOURCE, AgentAnswer, NodeAnswer, NodeSource, hold_of
from controller.plan.verdict.covering import RuleBook, names_of
from controller.plan.verdict.local import why_local
from controller.plan.verdict.protection import protection_on
from controller.plan.verdict.recent import CoveredImage, Rank, kept_as_recent
from controller.plan.verdict.verdict import Finding, Reason, Rule, Verdict
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings for all images of the node."""

    settle_seconds: float = 600.0
    usage: Usage = Usage.ANY
    protected: tuple[Selector, ...] = ()
    protect_local: bool = False
    """True: protect images that cannot be pulled again."""
    pressure: PressureMarks | None = None
    """The marks at which disk pressure begins and ends; None: it is never under pressure."""


class Judge:
    """Decides on one image after the other, children before parents. Contains the facts that all decisions share."""

    def __init__(
        self,
        rules: RuleBook,
        memory: Memory,
        seen: Observation,
        terms: Terms,
        node: NodeAnswer = NO_NODE_SOURCE,
        is_under_pressure: bool = False,
    ) -> None:
        self.now = memory.clock.seconds
        self.is_under_pressure = is_under_pressure
        self._rules = rules
        self._memory = memory
        self._seen = seen
        self._terms = terms
        self._protection = protection_on(seen, terms.protected, memory.swarm)
        self._hold_for_agreements = (
            hold_of(memory.node.answer.agent, memory.agreements, self.now) if memory.node else None
        )
        self._pause_ends = _pause_for_pulls(memory, seen, terms)
        self.gap_ends_at = memory.watch.since + terms.settle_seconds if memory.watch.gap else 0.0
        self._of_silent_agent = named_by_agent(node.agent, memory, seen) if node.is_without_agent else frozenset()
        self._kept: set[ImageId] = set()
        self._recent: dict[str, Mapping[ImageId, Rank]] = {}

    def verdicts(self, image: Image) -> list[Verdict]:
        """One verdict for each reference by which the image could be removed."""
        record = self._memory.records[image.id]
        verdicts = [self._verdict(image, record, reference) for reference in image.removable_references or (None,)]
        if any(verdict.reason is not Reason.DUE for verdict in verdicts):
            self._kept.add(image.id)
        return verdicts

    def waits_for_gap(self, verdict: Verdict) -> bool:
        """True if the gap in observation is the only reason why it is not removed."""
        return verdict.reason is Reason.SETTLING and verdict.until == verdict.due_at == self.gap_ends_at

    def findings(self, image: Image, record: Record, reference: Reference | None) -> list[Finding]:
        """The result of each rule that covers the reference, if nothing else keeps the image."""
        return [self._finding(image, record, rule) for rule in self._rules.covering(image, record, reference)]

    def _verdict(self, image: Image, record: Record, reference: Reference | None) -> Verdict:
        name, target = (reference.familiar, reference.text) if reference else (image.id, image.id)
        findings = self.findings(image, record, reference)
        if not findings:
            why = self._protection.reason_for(image, names_of(image, record))
            return Verdict(image.id, name, target, Reason.NO_RULE, detail=_also_protected(why))
        best = decisive(findings)
        reason, until, detail = self._hold(image, record) or (
            best.reason,
            best.until,
            self._detail(best, image, record),
        )
        if reason is Reason.DUE:
            reason, until, detail = self._setback(image, name) or (reason, until, detail)
        due_at = _latest(best.due_at, until) if reason is not best.reason else best.due_at
        return Verdict(image.id, name, target, reason, best.rule, until, due_at, detail)

    def _hold(self, image: Image, record: Record) -> tuple[Reason, float | None, str] | None:
        """A reason to keep the image that no rule can change."""
        if why := self._protection.reason_for(image, names_of(image, record)):
            return Reason.PROTECTED, None, why
        if self._terms.protect_local and (why := why_local(image, record, self._seen.engine.store)):
            return Reason.PROTECTED, None, f"{why}: cannot be pulled again (--protect-local)"
        if record.last_used == IN_USE or image.id in self._seen.users:
            return Reason.IN_USE, None, self._users_in_words(image.id)
        children = self._seen.children.get(image.id, ())
        if any(child in self._kept for child in children):
            return Reason.HAS_CHILDREN, None, _children_in_words(children, self._seen.images)
        if self._memory.watch.is_blind:
            return Reason.SETTLING, None, self._memory.watch.gap
        until, why = self._settling(record)
        if until > self.now:
            return Reason.SETTLING, until, why
        return (Reason.SETTLING, None, _AGENT_IS_SILENT) if image.id in self._of_silent_agent else None

    def _settling(self, record: Record) -> tuple[float, str]:
        """When the settle time of the image ends, and why; the latest of several reasons counts."""
        last, gap = last_activity(record), self._memory.watch.gap
        holds = [(last.at + self._terms.settle_seconds, last.what)]
        if gap:
            holds.append((self.gap_ends_at, f"{gap}: image use may have gone unnoticed"))
        # An image that was settling when the agreement began may be needed for its renewal.
        if (hold := self._hold_for_agreements) and last.at + self._terms.settle_seconds >= hold.since:
            holds.append((hold.until, "a new agreement may still need it"))
        if self._pause_ends > self.now:
            holds.append((self._pause_ends, "a pull was observed: on Podman removals pause after a pull"))
        return max(holds)

    def _users_in_words(self, image: ImageId) -> str:
        users = self._seen.users.get(image, ())
        if not users:
            is_mounted = any(image in images for images in self._memory.mounted.values())
            return "a container mounts it" if is_mounted else self._record_in_words(image)
        first = f"container {users[0].name} ({users[0].state})"
        return first if len(users) == 1 else f"{first} and {len(users) - 1} more"

    def _record_in_words(self, image: ImageId) -> str:
        """Which active record of the agent names the image."""
        names = self._memory.records[image].names
        agent = self._memory.node.answer.agent if self._memory.node else NO_NODE_SOURCE.agent
        needing = (name for name in sorted(agent.images_in_use) if not set(spellings(name)).isdisjoint(names))
        record = next((agent.records[name] for name in needing if name in agent.records), "")
        of_service = record.startswith("service ")
        what = "an active service definition" if of_service else "an active agreement"
        return f"{what} of the agent names it{f' ({record})' if record else ''}"

    def _detail(self, finding: Finding, image: Image, record: Record) -> str:
        """The rank among the recent images, or the start of the idle time, if that is the reason."""
        if finding.reason is Reason.KEPT_AS_RECENT:
            return str(self._recent[finding.rule.name][image.id])
        if finding.reason is not Reason.NOT_IDLE_LONG_ENOUGH:
            return ""
        return f"idle since it was {last_use(record, self._terms.usage).what}"

    def _finding(self, image: Image, record: Record, rule: Rule) -> Finding:
        if rule.agent_downloaded_only and image.id not in self._memory.evidence:
            return Finding(rule, Reason.NOT_DOWNLOADED_BY_AGENT)
        if rule.keep_last and image.id in self._recent_of(rule):
            return Finding(rule, Reason.KEPT_AS_RECENT)
        idle_long_enough_at = idle_since(record, self._terms.usage) + rule.limit_seconds(self.is_under_pressure)
        if rule.in_force_from is None:
            return Finding(
                rule, Reason.NOT_STARTED, rule.expected_from, _latest(rule.expected_from, idle_long_enough_at)
            )
        due_at = max(rule.in_force_from, idle_long_enough_at)
        if rule.in_force_from > self.now:
            return Finding(rule, Reason.NOT_STARTED, rule.in_force_from, due_at)
        if idle_long_enough_at > self.now:
            return Finding(rule, Reason.NOT_IDLE_LONG_ENOUGH, idle_long_enough_at, due_at)
        return Finding(rule, Reason.DUE, None, due_at)

    def _recent_of(self, rule: Rule) -> Mapping[ImageId, Rank]:
        """The images that `keep_last` of the rule keeps. Its selector alone counts, not its other conditions."""
        if rule.name not in self._recent:
            candidates = (self._candidate(image, rule.selector) for image in self._seen.images.values())
            self._recent[rule.name] = kept_as_recent(candidates, rule.keep_last)
        return self._recent[rule.name]

    def _candidate(self, image: Image, selector: Selector) -> CoveredImage:
        record, usage = self._memory.records[image.id], self._terms.usage
        covered = (name for name in names_of(image, record) if selector.matches(name))
        return CoveredImage(
            image=image.id,
            repositories=tuple(dict.fromkeys(name.familiar_repository for name in covered)),
            in_use=record.last_used == IN_USE or image.id in self._seen.users,
            idle_since=idle_since(record, usage),
            was_used=(record.last_used if usage is Usage.ANY else record.last_used_by_agent) is not None,
            created=image.created,
        )

    def _setback(self, image: Image, name: str) -> tuple[Reason, float, str] | None:
        """The verdict if the last removal failed and it is too early for a retry, or None."""
        attempt = self._memory.attempts.get((image.id, name))
        if attempt is None or attempt.retry_at <= self.now:
            return None
        return Reason.BACKING_OFF, attempt.retry_at, f"{attempt.setback.value}: {attempt.message}"


def decisive(findings: Sequence[Finding]) -> Finding:
    """The rule with the earliest removal decides; without one, a rule whose start is not known; else any rule."""
    return min(findings, key=lambda f: (_NEVER.get(f.reason, 0), f.due_at is None, f.due_at or 0.0))


_AGENT_IS_SILENT = "the agent does not answer and may need it again"


def named_by_agent(agent: AgentAnswer, memory: Memory, seen: Observation) -> frozenset[ImageId]:
    """Images that the agent ever named; all images if its archived records are not completely known."""
    if agent.is_cut_short:
        return frozenset(seen.images)
    names = {spelling for name in agent.named for spelling in spellings(name)}
    named = (image for image, record in memory.records.items() if not names.isdisjoint(record.names))
    evident = (image for image, evidence in memory.evidence.items() if evidence.source in _OF_AGENT)
    return frozenset((*named, *evident))


_OF_AGENT = (NodeSource.AGENT_CONTAINER, NodeSource.AGREEMENT, NodeSource.SERVICE)

_NEVER = {Reason.KEPT_AS_RECENT: 1, Reason.NOT_DOWNLOADED_BY_AGENT: 2}
"""Reasons why a rule does not remove the reference in its present state; the lower number decides."""


def _pause_for_pulls(memory: Memory, seen: Observation, terms: Terms) -> float:
    """When removals may continue after pulls on Podman.

    On Podman a removal can break a pull that shares layers, and a pull is visible only at its end.
    """
    if seen.engine.store is not Store.PODMAN or memory.pulls is None:
        return 0.0
    return min(memory.pulls.last + terms.settle_seconds, memory.pulls.first + A_ROW_OF_PULLS_ENDS_AFTER_SECONDS)


def _latest(due_at: float | None, until: float | None) -> float | None:
    return None if due_at is None or until is None else max(due_at, until)


def _also_protected(why: str) -> str:
    return f"also protected: {why.removeprefix('protected ')}" if why else ""


def _children_in_words(children: Sequence[ImageId], images: Mapping[ImageId, Image]) -> str:
    child = images[children[0]]
    name = child.tags[0].familiar if child.tags else child.id[:19]
    return f"parent of {name}" if len(children) == 1 else f"parent of {name} and {len(children) - 1} more"

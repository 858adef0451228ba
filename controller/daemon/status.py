"""Status: the observation, decision and results of the last pass, and what it waits for.

Logs, metrics, the page and the API read this value.
"""

from __future__ import annotations

from enum import StrEnum

from controller.instant import Instant
from controller.log_events import LogEvent
from controller.plan.memory.disk import ImageDisk, PressureMarks
from controller.plan.report.words import disk_pressure_unknown
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.removal import Batch, Outcome, Removal
from controller.policy.document.parse import FolderReading
from controller.value import dataclass

_CONTINUES_AFTER_SECONDS = 5.0


class PassResult(StrEnum):
    """Result of a pass; also the label values of the metric."""

    REMOVED = "removed"
    NOTHING_DUE = "nothing_due"
    PARTIAL = "partial"
    """At least one due reference was not removed."""
    FAILED = "failed"
    """The engine could not be observed or the ledger not be written, so nothing was removed."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """One reason why the controller is degraded. One event occurs at most once in a status."""

    event: LogEvent
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """One finished pass. After a failed pass the decision is the last good one."""

    at: Instant
    result: PassResult
    duration_seconds: float
    decision: Decision
    reading: FolderReading
    removals: tuple[Removal, ...] = ()
    """Removals that this pass requested, with their outcomes."""
    news: tuple[Removal, ...] = ()
    """Removals with another outcome than last time; they are logged."""
    batches: tuple[Batch, ...] = ()
    """Measurements that became final in this pass."""
    next_figure_at: float | None = None
    """Uptime at which the next measurement is final."""
    trouble: str = ""
    """Why the pass failed or stopped early."""
    engine_is_up: bool = True
    is_interrupted: bool = False
    """The trouble is that events or answers of the engine may be missing since the observation."""
    event_stream_is_up: bool = True
    event_refusal: str = ""
    """The engine's answer if it refuses the event stream."""
    watcher_is_up: bool = True
    last_success: Instant | None = None
    dry_run: bool = False
    ledger_resets: int = 0
    engine_change: str = ""
    """Set in the pass that found another engine than the pass before."""
    clock_steps: int = 0
    """Since the controller started."""
    disk: ImageDisk = ImageDisk()
    """As measured last in this pass."""
    pressure_marks: PressureMarks | None = None

    @property
    def texts_stable_at(self) -> float | None:
        """Uptime at which the next new text can be stable."""
        waiting = (self.decision.stability.next_change_at, self.decision.node_stability.next_change_at)
        return min((at for at in waiting if at is not None), default=None)

    @property
    def gap_ends_at(self) -> float | None:
        """Uptime at which a reference becomes due that waits only because of a gap in observation."""
        return self.decision.memory.clock.uptime_at(self.decision.plan.gap_ends_at)

    @property
    def next_change_at(self) -> float | None:
        """Uptime at which the next change happens without any event."""
        clock, plan, scope = self.decision.memory.clock, self.decision.plan, self.decision.scope
        changes = map(clock.uptime_at, (plan.next_change_at, scope.next_change_at))
        moments = (self.texts_stable_at, self.next_figure_at, self._continues_at, *changes)
        return min((at for at in moments if at is not None), default=None)

    @property
    def _continues_at(self) -> float | None:
        """Uptime of the pass after one under pressure that removed only a name, which may cause no event."""
        if not any(each.intent.pressure and each.outcome is Outcome.UNTAGGED for each in self.removals):
            return None
        return self.at.uptime_seconds + self.duration_seconds + _CONTINUES_AFTER_SECONDS

    @property
    def without_events(self) -> str:
        """Why engine events are not available; empty if they are."""
        if self.event_stream_is_up:
            return ""
        why = self.event_refusal or "the event stream is down"
        return f"engine events not available: {why}; nothing is removed, because image use may go unnoticed"

    @property
    def has_no_policies_yet(self) -> bool:
        """True if the folder is empty and, as far as the ledger knows, nothing was ever delivered into it."""
        return bool(self.reading.lost) and self.reading.is_empty and not self.decision.memory.texts

    @property
    def is_folder_lost(self) -> bool:
        """True if the folder gives no documents, without a delivery that emptied it."""
        return bool(self.reading.lost) and not self.has_no_policies_yet

    @property
    def exit_code(self) -> int:
        """Exit code of `--once` (design §11): 1 a removal failed, 3 it cannot work now. An empty folder is 0."""
        node, reading = self.decision.node, self.reading
        if self.result is not PassResult.FAILED and any(not each.outcome.is_success for each in self.removals):
            return 1
        cannot_work = (
            bool(self.trouble),
            not self.event_stream_is_up,
            bool(reading.lost) and not reading.is_empty,
            node.is_silence and node.node is None,
        )
        return 3 if any(cannot_work) else 0

    @property
    def degraded(self) -> tuple[str, ...]:
        """The texts of `degradations`."""
        return tuple(degradation.text for degradation in self.degradations)

    @property
    def degradations(self) -> tuple[Degradation, ...]:
        """Everything that needs attention; empty if all is well."""
        reading, node = self.reading, self.decision.node
        broken = [problem for problem in reading.problems if problem.is_error]
        unstable = [document.name for document in self.decision.scope.documents if document.is_unstable]
        event, errors = LogEvent, f"{len(broken)} error{'s' * (len(broken) > 1)} in policy documents"
        while_up = event.REMOVALS_INTERRUPTED if self.is_interrupted else event.LEDGER_UNAVAILABLE
        of_trouble = while_up if self.engine_is_up else event.ENGINE_UNREACHABLE
        no_watch = "the policy folder is not watched; changes are noticed at each resync"
        reset = "the ledger was damaged and recreated: all images count as first seen now"
        pressure_unknown = disk_pressure_unknown(self.disk, self.pressure_marks) if self.last_success else ""
        findings = (
            (bool(self.trouble), of_trouble, self.trouble),
            (self.is_folder_lost, event.POLICY_FOLDER_UNAVAILABLE, f"no policies: {reading.lost}"),
            (bool(broken), event.POLICY_ERRORS, errors),
            (bool(unstable), event.POLICY_UNSTABLE, f"policies whose files keep changing: {', '.join(unstable)}"),
            (node.is_degraded, event.NODE_UNKNOWN, f"node: {node.why}"),
            (not self.event_stream_is_up, event.ENGINE_EVENTS_DOWN, self.without_events),
            (not self.watcher_is_up, event.POLICY_FOLDER_NOT_WATCHED, no_watch),
            (self.ledger_resets > 0, event.LEDGER_RESET, reset),
            (bool(pressure_unknown), event.DISK_UNKNOWN, pressure_unknown),
        )
        return tuple(Degradation(kind, text) for is_so, kind, text in findings if is_so)

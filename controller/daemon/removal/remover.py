"""A plan's removals carried out: intents first, then batch after batch; and, after a closing look, what came of each.

How a batch is asked for is in `execute`, how its bytes are measured in `measure`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from controller.daemon.ports import LedgerPort
from controller.daemon.removal.measurement import QUIET_FOR_SECONDS, Measurement, fall, reading_after, reading_before
from controller.daemon.removal.requests import Execution, RemovalAnswer, RemovalContext, tasks_of
from controller.errors import ControllerError, LedgerUnavailable
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation, Store
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Batch,
    Freed,
    Intent,
    Outcome,
    Removal,
    what_became_of,
)

_A_FEW = 100
_STILL_THERE = "the engine said that it is gone, and it is still there"


@dataclass(frozen=True, slots=True)
class RemovalResults:
    """What was asked of the engine in one pass, and what it answered."""

    removals: tuple[Removal, ...] = ()
    unanswered: frozenset[Intent] = frozenset()
    """Those among them to which no answer came: they count as failed until a look tells what became of them."""
    in_flight: tuple[Intent, ...] = ()
    """Not among them: there was no time to wait for the answer."""
    news: tuple[Removal, ...] = ()
    """Those that came out otherwise than last time."""
    trouble: ControllerError | None = None
    """Why the rest was not asked for, or could not be written down."""

    def without_unanswered(self) -> RemovalResults:
        """The same where no look can tell what became of them: they are treated as if still in flight."""
        answered = tuple(removal for removal in self.removals if removal.intent not in self.unanswered)
        return replace(self, removals=answered, unanswered=frozenset(), in_flight=(*self.in_flight, *self.unanswered))


@dataclass
class Remover:
    """Asks for removals; keeps the measurements whose figures do not count yet."""

    hands: RemovalContext
    ledger: LedgerPort
    clock: Clock
    measurements: list[Measurement] = field(default_factory=list)
    _own: set[ImageId] = field(default_factory=set)
    """Images that were asked to be removed since the oldest of these measurements began."""

    def ask(self, intents: Sequence[Intent], memory: Memory, seen: Observation, mark: int) -> RemovalResults:
        """Ask for all removals, as far as nothing gets in the way. Every intent is in the ledger before."""
        intents = self._written_down(intents)
        if self.hands.progress:
            self.hands.progress.began(len(intents))
        self._own = {intent.image for intent in intents} | (self._own if self.measurements else set())
        sizes = {chain: layer.size_bytes for chain, layer in memory.layers.items()}
        asked = RemovalResults()
        for batch, due in self._batches(intents, seen):
            execution = Execution(self.hands, seen, sizes, mark, memory.lost_names)
            has_figure = self._run(execution, due, batch)
            asked = self._with(asked, execution, batch if has_figure else "")
            if execution.trouble or self.hands.stopping.is_set():
                break
        return asked

    def _written_down(self, intents: Sequence[Intent]) -> Sequence[Intent]:
        """Those that the ledger could take: on a full disk it may have room for a few, and they make more of it."""
        try:
            self.ledger.intend(intents)
        except LedgerUnavailable:
            intents = intents[:_A_FEW]
            self.ledger.intend(intents)
        return intents

    def _batches(self, intents: Sequence[Intent], seen: Observation) -> list[tuple[str, Sequence[Intent]]]:
        """A batch for each document where only the store's total tells the bytes; else a single one, without a name."""
        if seen.engine.store is Store.GRAPH_DRIVER:
            return [("", intents)]
        by_document: dict[str, list[Intent]] = {}
        for intent in intents:
            by_document.setdefault(intent.document, []).append(intent)
        now = self.clock.now()
        return [(f"{now.boot} {now.uptime_seconds:.3f} {document}", due) for document, due in by_document.items()]

    def _run(self, execution: Execution, intents: Sequence[Intent], batch: str) -> bool:
        """Run one batch, between two readings of the store's total if it has a name. Will there be a figure for it?"""
        tasks = tasks_of(intents, execution.seen.children)
        if not batch:
            execution.run(tasks)
            return False
        engine, store = self.hands.engine, execution.seen.engine.store
        _, mark = self.hands.events.after(execution.mark)
        before = reading_before(engine, store)
        execution.run(tasks)
        answers = execution.answers
        others_remove = any(answer.outcome is Outcome.GONE for answer in answers)
        if others_remove:
            self.measurements = [replace(each, is_spoiled=True) for each in self.measurements]
        if not any(answer.outcome is Outcome.REMOVED or answer.is_silence for answer in answers):
            return False
        if self.hands.stopping.is_set():
            return True  # The next start finds none, and says that it is unknown.
        measurement = Measurement(
            name=batch,
            document=intents[0].document,
            fell_bytes=fall(before, reading_after(engine, store)),
            images_before=execution.seen.images.keys(),
            mark=mark,
            counts_at=self.clock.now().uptime_seconds + QUIET_FOR_SECONDS,
            is_lower_bound=execution.seen.engine.totals_are_lower_bounds,
            is_spoiled=others_remove or any(answer.is_silence for answer in answers),  # It may still be at it.
        )
        self.measurements.append(measurement)
        return True

    def _with(self, asked: RemovalResults, execution: Execution, batch: str) -> RemovalResults:
        """What was asked so far and what this execution adds; what is in flight must be read before the answers."""
        in_flight, answers, at = tuple(execution.in_flight), tuple(execution.answers), self.clock.now().wall_seconds
        return RemovalResults(
            removals=(
                *asked.removals,
                *(Removal(each.intent, each.outcome, _freed(each, batch), at, each.message, batch) for each in answers),
            ),
            unanswered=asked.unanswered.union(answer.intent for answer in answers if answer.is_silence),
            in_flight=tuple(intent for intent in in_flight if all(answer.intent != intent for answer in answers)),
            trouble=execution.trouble,
        )

    def compare(self, asked: RemovalResults, closing: Observation) -> None:
        """Hold the look after all batches of a pass against the one before, and against what was answered."""
        done_all_the_same = {
            removal.batch
            for removal in asked.removals
            if removal.outcome is Outcome.FAILED and what_became_of(removal.intent, closing) is not None
        }
        self.measurements = [
            replace(each, is_spoiled=each.is_spoiled or each.name in done_all_the_same).with_look(
                closing.images.keys(), self._own
            )
            for each in self.measurements
        ]

    def finished_measurements(self) -> tuple[Batch, ...]:
        """Batches whose figures count from now on; what the event stream told meanwhile may have spoilt them."""
        now = self.clock.now().uptime_seconds
        self.measurements = [
            each.with_events(*self.hands.events.after(each.mark), self._own) for each in self.measurements
        ]
        return tuple(each.batch for each in self.measurements if each.counts_at <= now or each.is_hopeless)

    def forget(self, batch: Batch) -> None:
        """Its figure is in the ledger."""
        self.measurements = [each for each in self.measurements if each.name != batch.name]

    def next_figure_at(self) -> float | None:
        """Uptime at which the first figure may count."""
        return min((each.counts_at for each in self.measurements), default=None)


def _freed(answer: RemovalAnswer, batch: str) -> Freed:
    """Names that went and left their images behind freed nothing, and need no figure."""
    return NOTHING_FREED if answer.freed == FREED_IN_BATCH and not batch else answer.freed


def confirmed(asked: RemovalResults, closing: Observation, alive: Collection[ImageId]) -> tuple[Removal, ...]:
    """What came of removals by a closing look, whatever the engine said."""
    return tuple(_confirmed(removal, removal.intent in asked.unanswered, closing, alive) for removal in asked.removals)


def _confirmed(removal: Removal, is_unanswered: bool, closing: Observation, alive: Collection[ImageId]) -> Removal:
    """A removal whose reference is still there has failed, unless the image shows signs of life: then somebody has
    brought it back meanwhile. One that is said to have failed and whose reference is gone was done all the same.
    """
    became = what_became_of(removal.intent, closing)
    if removal.outcome is Outcome.FAILED and became is not None:
        return replace(removal, outcome=became, freed=FREED_IN_BATCH if removal.batch else UNKNOWN_BYTES)
    if is_unanswered:
        return replace(removal, freed=NOTHING_FREED)
    if not removal.outcome.is_success or removal.intent.image in alive:
        return removal
    if became is None:
        return replace(removal, outcome=Outcome.FAILED, freed=NOTHING_FREED, message=_STILL_THERE)
    # Where the engine keeps a parent, without a name, for its children.
    is_kept = removal.outcome is Outcome.REMOVED and became is Outcome.UNTAGGED
    return replace(removal, outcome=became) if is_kept else removal

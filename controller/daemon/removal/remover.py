"""The entry point of this package: executes the removals of a plan and stores the results.

Intents are written to the ledger before the first request. Then the batches run one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from controller.daemon.ports import LedgerPort
from controller.daemon.removal.answers import Expectation, RemovalAnswer, confirmed, in_batches
from controller.daemon.removal.checks import Checks, Position
from controller.daemon.removal.measurement import (
    QUIET_FOR_SECONDS,
    Beginning,
    Measurement,
    Measurements,
    fall,
    reading_after,
    reading_before,
)
from controller.daemon.removal.requests import Execution, RemovalContext, tasks_of
from controller.errors import ControllerError, LedgerUnavailable
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation, Store
from controller.plan.verdict.reclaim import own_top_layers
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    Freed,
    Intent,
    Outcome,
    Removal,
)
from controller.value import dataclass

_A_FEW = 100


@dataclass(frozen=True, slots=True)
class RemovalResults:
    """What was requested in one pass, and the results."""

    removals: tuple[Removal, ...] = ()
    unanswered: frozenset[Intent] = frozenset()
    """Removals without an answer; they count as failed until an observation shows the result."""
    in_flight: tuple[Intent, ...] = ()
    """Requests that were still open at the end; they are not in `removals`."""
    news: tuple[Removal, ...] = ()
    """Removals whose result differs from the last time."""
    trouble: ControllerError | None = None
    """Why the rest was not requested or not stored."""
    is_requested: bool = False
    """True if a removal was due."""

    @property
    def batches(self) -> frozenset[str]:
        """The batches whose bytes are measured."""
        return frozenset(removal.batch for removal in self.removals)

    def without_unanswered(self) -> RemovalResults:
        """The same without a second observation: unanswered removals are treated as still in flight."""
        answered = in_batches(removal for removal in self.removals if removal.intent not in self.unanswered)
        return replace(self, removals=answered, unanswered=frozenset(), in_flight=(*self.in_flight, *self.unanswered))

    def confirmed_by(self, closing: Observation, active: Collection[ImageId]) -> RemovalResults:
        """The same after the observation that follows all batches; `active` are images with activity meanwhile."""
        return replace(self, removals=confirmed(self.removals, self.unanswered, closing, active))


@dataclass(frozen=True, slots=True)
class Remover:
    """Executes removals."""

    context: RemovalContext
    ledger: LedgerPort
    clock: Clock

    def remove(
        self,
        intents: Sequence[Intent],
        memory: Memory,
        observation: Observation,
        position: Position,
        measurements: Measurements,
    ) -> tuple[RemovalResults, Measurements]:
        """Request all removals that the checks permit. Raises LedgerUnavailable: nothing was requested."""
        intents = self._written_down(intents)
        if self.context.progress:
            self.context.progress.began(len(intents))
        measurements = measurements.before_pass()
        sizes = {chain: layer.size_bytes for chain, layer in memory.layers.items()}
        own_layers = own_top_layers(memory)
        results, has_failed, names_removed = RemovalResults(is_requested=True), False, Counter[ImageId]()
        for batch, due in self._batches(intents, observation):
            checks = Checks(self.context.engine, self.context.events, observation, position, memory.lost_names)
            expectation = Expectation(observation, sizes, own_layers)
            execution = Execution(self.context, checks, expectation, has_failed, names_removed)
            has_figure, measurements = self._run(execution, due, batch, measurements)
            has_failed = execution.has_failed_under_pressure
            results = self._with(results, execution, batch if has_figure else "")
            if execution.trouble or self.context.stopping.is_set():
                break
        return results, measurements

    def _written_down(self, intents: Sequence[Intent]) -> Sequence[Intent]:
        """Store intents and return the stored ones: a full disk may have space for a few, and these free more."""
        try:
            self.ledger.intend(intents)
        except LedgerUnavailable:
            intents = intents[:_A_FEW]
            self.ledger.intend(intents)
        return intents

    def _batches(self, intents: Sequence[Intent], observation: Observation) -> list[tuple[str, Sequence[Intent]]]:
        """One batch for each document if bytes are measured by the store's total, else one batch without a name."""
        if observation.engine.store is Store.GRAPH_DRIVER:
            return [("", intents)]
        by_document: dict[str, list[Intent]] = {}
        for intent in intents:
            by_document.setdefault(intent.document, []).append(intent)
        now = self.clock.now()
        return [(f"{now.boot} {now.uptime_seconds:.3f} {document}", due) for document, due in by_document.items()]

    def _run(
        self, execution: Execution, intents: Sequence[Intent], batch: str, measurements: Measurements
    ) -> tuple[bool, Measurements]:
        """Run one batch, with measurement if it has a name. True if the measurement will have a result."""
        observation = execution.expectation.observation
        tasks = tasks_of(intents, observation.removed_before)
        if not batch:
            execution.run(tasks)
            return False, measurements
        beginning = measurements.beginning or self._beginning(observation.engine.store)
        measurements = replace(measurements, beginning=None)
        execution.run(tasks)
        done = [each for each in execution.answers if each.outcome not in (Outcome.REFUSED, Outcome.FAILED)]
        removed = (each.intent.image for each in done if each.outcome is not Outcome.UNTAGGED)
        measurements = measurements.after_removal((each.intent.image for each in done), removed)
        if any(answer.outcome is Outcome.GONE for answer in execution.answers):
            measurements = measurements.invalidated()
        if not any(map(_frees_bytes, execution.answers)):
            return False, measurements
        if self.context.stopping.is_set():
            return True, measurements  # The next start finds no figure and reports it as unknown.
        mark = self.context.events.mark()
        after = reading_after(self.context.engine, observation.engine.store)
        measurement = self._measurement(
            execution, batch, intents[0].document, fall(beginning.reading, after), beginning
        )
        # With a figure, no container wrote, so this reading is also one before a batch.
        following = None if measurement.is_hopeless else Beginning(after, mark)
        return True, measurements.followed_by(measurement, following)

    def _beginning(self, store: Store) -> Beginning:
        mark = self.context.events.mark()
        return Beginning(reading_before(self.context.engine, store), mark)

    def _measurement(
        self, execution: Execution, batch: str, document: str, fell_bytes: int | None, beginning: Beginning
    ) -> Measurement:
        observation, answers = execution.expectation.observation, execution.answers
        return Measurement(
            name=batch,
            document=document,
            fell_bytes=fell_bytes,
            images_before=observation.images.keys(),
            mark=beginning.mark,
            final_at=self.clock.now().uptime_seconds + QUIET_FOR_SECONDS,
            is_lower_bound=observation.engine.totals_are_lower_bounds,
            stream=execution.checks.position.stream,
            # Without an answer the engine may still be removing.
            is_invalid=any(answer.outcome is Outcome.GONE or answer.is_unanswered for answer in answers),
        )

    def _with(self, results: RemovalResults, execution: Execution, batch: str) -> RemovalResults:
        """Add the results of this execution; requests in flight must be read before the answers."""
        in_flight, answers, at = tuple(execution.in_flight), tuple(execution.answers), self.clock.now().wall_seconds
        return replace(
            results,
            removals=(
                *results.removals,
                *(
                    Removal(
                        each.intent, each.outcome, _freed(each, batch), at, each.message or each.intent.pressure, batch
                    )
                    for each in answers
                ),
            ),
            unanswered=results.unanswered.union(answer.intent for answer in answers if answer.is_unanswered),
            in_flight=(
                *results.in_flight,
                *(intent for intent in in_flight if all(answer.intent != intent for answer in answers)),
            ),
            trouble=execution.trouble,
        )


def _frees_bytes(answer: RemovalAnswer) -> bool:
    return answer.outcome in (Outcome.REMOVED, Outcome.UNEXPECTED) or answer.is_unanswered


def _freed(answer: RemovalAnswer, batch: str) -> Freed:
    """A removed name of an image with other names frees nothing and needs no measurement."""
    return NOTHING_FREED if answer.freed == FREED_IN_BATCH and not batch else answer.freed

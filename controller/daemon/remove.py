"""A plan's removals carried out: intents first, then batch after batch; and, after a closing look, what came of each.

How a batch is asked for is in `execute`, how its bytes are measured in `measure`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from controller.daemon.execute import Execution, Hands, tasks_of
from controller.daemon.measure import QUIET_FOR_SECONDS, Measurement
from controller.daemon.ports import LedgerPort
from controller.errors import EngineUnavailable
from controller.image.reference import ImageId
from controller.instant import Clock
from controller.plan.memory import Memory
from controller.plan.observation import Observation, Store
from controller.plan.planner import children_of
from controller.plan.removal import NOTHING_FREED, Batch, Intent, Outcome, Removal

_STILL_THERE = "the engine said that it was removed, and it is still there"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the engine in one pass, and what it answered."""

    removals: tuple[Removal, ...] = ()
    news: tuple[Removal, ...] = ()
    """Those that came out otherwise than last time."""
    trouble: str = ""
    """Why the rest was not asked for."""
    in_flight: int = 0
    """Removals whose answer nobody waited for."""


@dataclass
class Remover:
    """Asks for removals; keeps the measurements whose figures do not count yet."""

    hands: Hands
    ledger: LedgerPort
    clock: Clock
    measurements: list[Measurement] = field(default_factory=list)

    def ask(self, intents: Sequence[Intent], memory: Memory, seen: Observation, mark: int) -> Asked:
        """Ask for all removals, as far as nothing gets in the way. Every intent is in the ledger before."""
        self.ledger.intend(intents)
        sizes = {chain: layer.size_bytes for chain, layer in memory.layers.items()}
        removals: list[Removal] = []
        for batch, due in self._batches(intents, seen):
            execution = Execution(self.hands, seen, sizes, mark)
            self._run(execution, due, batch)
            at = self.clock.now().wall_seconds
            removals += (Removal(a.intent, a.outcome, a.freed, at, a.message, batch) for a in execution.answers)
            if execution.trouble or self.hands.stopping.is_set():
                return Asked(tuple(removals), (), str(execution.trouble or ""), execution.in_flight)
        return Asked(tuple(removals))

    def _batches(self, intents: Sequence[Intent], seen: Observation) -> list[tuple[str, Sequence[Intent]]]:
        """A batch for each document where only the store's total tells the bytes; else a single one, without a name."""
        if seen.engine.store is Store.GRAPH_DRIVER:
            return [("", intents)]
        by_document: dict[str, list[Intent]] = {}
        for intent in intents:
            by_document.setdefault(intent.document, []).append(intent)
        now = self.clock.now()
        return [(f"{now.boot} {now.uptime_seconds:.3f} {document}", due) for document, due in by_document.items()]

    def _run(self, execution: Execution, intents: Sequence[Intent], batch: str) -> None:
        """Run one batch, between two readings of the store's total if it has a name."""
        tasks = tasks_of(intents, children_of(execution.seen))
        if not batch:
            execution.run(tasks)
            return
        _, mark = self.hands.events.after(execution.mark)
        try:
            before = self.hands.engine.store_bytes()
            execution.run(tasks)
            if not any(answer.outcome is Outcome.REMOVED for answer in execution.answers):
                return
            after = self.hands.engine.store_bytes()
        except EngineUnavailable as error:
            execution.trouble = execution.trouble or error
            return
        self.measurements.append(
            Measurement(
                name=batch,
                document=intents[0].document,
                before_bytes=before,
                after_bytes=after,
                own=frozenset(intent.image for intent in intents),
                mark=mark,
                counts_at=self.clock.now().uptime_seconds + QUIET_FOR_SECONDS,
                is_lower_bound=execution.seen.engine.totals_are_lower_bounds,
            )
        )

    def finished_measurements(self) -> tuple[Batch, ...]:
        """Batches whose figures count from now on; what the event stream told meanwhile may have spoilt them."""
        now = self.clock.now().uptime_seconds
        current = [each.with_events(*self.hands.events.after(each.mark)) for each in self.measurements]
        self.measurements = [each for each in current if not each.is_spoiled and each.counts_at > now]
        return tuple(each.batch for each in current if each not in self.measurements)

    def next_figure_at(self) -> float | None:
        """Uptime at which the first figure may count."""
        return min((each.counts_at for each in self.measurements), default=None)


def confirmed(removals: Iterable[Removal], closing: Observation, alive: Collection[ImageId]) -> tuple[Removal, ...]:
    """What came of removals by a closing look: one whose reference is still there has failed, whatever the engine said.

    Unless the image shows signs of life: then somebody has brought it back meanwhile.
    """
    return tuple(
        replace(removal, outcome=Outcome.FAILED, freed=NOTHING_FREED, message=_STILL_THERE)
        if removal.outcome.is_success and removal.intent.image not in alive and _is_there(removal.intent, closing)
        else removal
        for removal in removals
    )


def _is_there(intent: Intent, seen: Observation) -> bool:
    image = seen.images.get(intent.image)
    if image is None:
        return False
    return intent.target == image.id or any(name.text == intent.target for name in (*image.tags, *image.digests))

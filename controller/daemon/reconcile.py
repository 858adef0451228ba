"""One pass: observe, remember, plan, execute, report. May be run at any moment and any number of times.

Nothing is removed unless the folder, the images and the containers were all read successfully in this very pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from controller.daemon.observe import Observer
from controller.daemon.ports import Ports
from controller.daemon.removal.remover import RemovalResults, Remover, confirmed
from controller.daemon.removal.requests import RemovalContext
from controller.daemon.status import PassResult, Status
from controller.errors import ControllerError, EngineUnavailable, LedgerUnavailable
from controller.image.reference import ImageId
from controller.instant import Instant
from controller.plan.memory.event import ReceivedEvents
from controller.plan.memory.idleness import idle_since
from controller.plan.memory.memory import Memory
from controller.plan.memory.names import Names
from controller.plan.memory.observation import Observation, situation_of
from controller.plan.memory.remember import News
from controller.plan.verdict.backoff import attempts_after, is_news
from controller.plan.verdict.decision import Conditions, Decision, DesiredState, decide, decide_again
from controller.plan.verdict.limits import bytes_spent, spent_after
from controller.plan.verdict.removal import Batch, Intent, Removal, intent_of, resolved
from controller.plan.verdict.verdict import Verdict


@dataclass(frozen=True, slots=True)
class PassOptions:
    """How passes are run, as the operator has set it."""

    conditions: Conditions = Conditions()
    dry_run: bool = False
    parallel_removals: int = 4


_ANOTHER_ENGINE = "another engine than before, or one in another role, answers here; everything is read anew"


class Reconciler:
    """Runs passes. Between them it keeps the last decision, and what it could not deal with yet."""

    def __init__(
        self, ports: Ports, options: PassOptions, stopping: threading.Event, heartbeat: Callable[[], None]
    ) -> None:
        self._ports = ports
        self._options = options
        self._stopping = stopping
        self._observer = Observer(ports.engine, ports.clock, stopping, ports.own_container)
        hands = RemovalContext(
            ports.engine,
            ports.events,
            stopping,
            heartbeat,
            options.parallel_removals,
            ports.progress,
            lambda: ports.folder.is_stopped,
        )
        self._remover = Remover(hands, ports.ledger, ports.clock)
        self._decision = Decision(memory=ports.ledger.load())
        self._heard = ReceivedEvents()
        self._intents_may_be_open = True
        self._unwritten: tuple[Removal, ...] = ()
        """Outcomes that the ledger could not take."""
        self._last_success: Instant | None = None
        self._clock_steps = 0

    def reconcile(self) -> Status:
        """One pass; whatever goes wrong outside is told in its status."""
        began = self._ports.clock.now()
        desired = DesiredState(replace(self._ports.folder.read(), at=began.uptime_seconds), self._ports.node.ask())
        batches: tuple[Batch, ...] = ()
        found_done: tuple[Removal, ...] = ()
        asked = RemovalResults()
        trouble: ControllerError | None
        try:
            batches = self._finish_measurements()
            mark = self._take_events()
            seen = self._observer.look(self._ports.events.generation)
            found_done = self._resolve_open_intents(seen)
            self._decide(desired, seen)
            asked = self._act(desired, seen, mark)
            result, trouble = _result_of(asked), asked.trouble
            self._last_success = seen.at
        except (EngineUnavailable, LedgerUnavailable) as error:
            result, trouble = PassResult.FAILED, error
        return Status(
            at=began,
            result=result,
            duration_seconds=self._ports.clock.now().uptime_seconds - began.uptime_seconds,
            decision=self._decision,
            reading=desired.reading,
            removals=(*found_done, *asked.removals),
            news=(*found_done, *asked.news),
            batches=batches,
            next_figure_at=self._remover.next_figure_at(),
            trouble=str(trouble or ""),
            last_success=self._last_success,
            dry_run=self._options.dry_run,
            engine_is_up=not isinstance(trouble, EngineUnavailable),
            ledger_resets=self._ports.ledger.resets,
            event_stream_is_up=self._ports.events.is_up,
            watcher_is_up=self._ports.folder.is_watched,
            clock_steps=self._clock_steps,
        )

    def _finish_measurements(self) -> tuple[Batch, ...]:
        batches = self._remover.finished_measurements()
        for batch in batches:
            self._ports.ledger.record((), batch)
            self._remover.forget(batch)
        return batches

    def _take_events(self) -> int:
        """Keep events until a pass has succeeded with them; returns the place in the stream where this pass begins."""
        mark = self._ports.events.mark()
        self._heard = self._heard.followed_by(self._ports.events.take())
        return mark

    def _resolve_open_intents(self, seen: Observation) -> tuple[Removal, ...]:
        """What became of removals whose answers were never received: by a killed controller, or by this one."""
        if not self._intents_may_be_open:
            return ()
        memory = self._decision.memory
        self._write_down()
        is_of_this_engine = memory.seen is not None and memory.seen.engine.identity == seen.engine.identity
        done = tuple(resolved(self._ports.ledger.open_intents(), seen)) if is_of_this_engine else ()
        # Charged before the intents are forgotten: after a crash in between they are charged twice, and never not.
        self._decision = replace(self._decision, memory=_with_spending(memory, done))
        self._ports.ledger.save(self._decision.memory)
        self._ports.ledger.record(done)
        self._ports.ledger.drop_intents()
        self._intents_may_be_open = False
        return done

    def _write_down(self) -> None:
        self._ports.ledger.record(self._unwritten)
        self._unwritten = ()

    def _decide(self, desired: DesiredState, seen: Observation) -> None:
        before = self._decision
        read_to, recorded = self._ports.ledger.inbox()
        layers = self._observer.new_layers(seen, before.memory)
        news = News(self._heard, layers, recorded)
        self._clock_steps += before.memory.clock.stepped(seen.at)
        self._decision = decide(before, desired, seen, news, self._options.conditions)
        self._ports.ledger.save(self._decision.memory, read_to)
        self._heard = ReceivedEvents()

    def _act(self, desired: DesiredState, seen: Observation, mark: int) -> RemovalResults:
        """Ask for what is due, look again, and remember what came of it."""
        plan, memory = self._decision.plan, self._decision.memory
        if self._options.dry_run or desired.reading.is_stopped or not plan.removals:
            return RemovalResults()
        if not self._observer.is_same_engine(seen):
            raise EngineUnavailable(_ANOTHER_ENGINE)
        intents = [self._intent(verdict, memory, seen) for verdict in plan.removals]
        asked = self._remover.ask(intents, memory, seen, mark)
        return self._conclude(asked, desired, seen, mark)

    def _intent(self, verdict: Verdict, memory: Memory, seen: Observation) -> Intent:
        since = idle_since(memory.records[verdict.image], self._options.conditions.terms.usage)
        return intent_of(verdict, memory.clock.seconds - since, seen.images[verdict.image].size_bytes)

    def _conclude(self, asked: RemovalResults, desired: DesiredState, seen: Observation, mark: int) -> RemovalResults:
        """Look again, so that what is told is what is; and write it all down."""
        before = self._decision.memory.attempts
        asked = self._confirmed(asked, desired, seen, mark)
        asked = replace(asked, news=tuple(removal for removal in asked.removals if is_news(removal, before)))
        memory = self._with_consequences(self._decision.memory, asked.removals)
        self._decision = decide_again(
            replace(self._decision, memory=memory), desired.reading, self._options.conditions, len(asked.removals)
        )
        self._intents_may_be_open, self._unwritten = True, asked.news
        try:
            self._ports.ledger.save(self._decision.memory)
            self._write_down()
            self._ports.ledger.drop_intents(but=asked.in_flight)
        except LedgerUnavailable as error:
            return replace(asked, trouble=asked.trouble or error)
        self._intents_may_be_open = bool(asked.in_flight)
        return asked

    def _confirmed(self, asked: RemovalResults, desired: DesiredState, seen: Observation, mark: int) -> RemovalResults:
        """What came of it by another look. Without one, nobody knows what became of what was not answered."""
        if self._stopping.is_set():
            return asked.without_unanswered()
        try:
            closing = self._observer.look(self._ports.events.generation)
            if closing.engine.identity != seen.engine.identity:
                raise EngineUnavailable(_ANOTHER_ENGINE)
        except EngineUnavailable as error:
            return replace(asked.without_unanswered(), trouble=asked.trouble or error)
        self._remover.compare(asked, closing)
        self._decision = decide(self._decision, desired, closing, News(), self._options.conditions)
        return replace(asked, removals=confirmed(asked, closing, self._alive_since(mark, seen)))

    def _alive_since(self, mark: int, seen: Observation) -> set[ImageId]:
        """Images of which the event stream has shown signs of life since that place in it."""
        events, _ = self._ports.events.after(mark)
        return Names(seen.images).images_of_all(event for event in events if event.kind.is_activity)

    def _with_consequences(self, memory: Memory, removals: Sequence[Removal]) -> Memory:
        """The memory with the setbacks and the spending of this pass."""
        seen, now = memory.seen, memory.clock.seconds

        def situation(image: ImageId) -> str:
            there = seen.images.get(image) if seen else None
            return situation_of(there, seen) if seen and there else ""

        # Drawn once: what came to nothing together is tried again together, in one pass and not in a thousand.
        jitter = self._ports.jitter()
        attempts = attempts_after(memory.attempts, removals, situation, now, lambda: jitter)
        return replace(_with_spending(memory, removals), attempts=attempts)


def _with_spending(memory: Memory, removals: Iterable[Removal]) -> Memory:
    """The memory in which what these removals freed counts against the hourly limit."""
    freed = sum(bytes_spent(removal) for removal in removals)
    return replace(memory, spent=spent_after(memory.spent, freed, memory.clock.seconds))


def _result_of(asked: RemovalResults) -> PassResult:
    if not asked.removals and not asked.trouble:
        return PassResult.NOTHING_DUE
    all_went = all(removal.outcome.is_success for removal in asked.removals)
    return PassResult.REMOVED if all_went and not asked.trouble else PassResult.PARTIAL

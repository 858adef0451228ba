"""One pass: observe, remember, plan, remove, confirm, report. It may run at any time and any number of times.

Nothing is removed unless the folder, the images and the containers were read successfully in the same pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from controller.daemon.observe import Observer
from controller.daemon.ports import Ports
from controller.daemon.removal.checks import Position
from controller.daemon.removal.measurement import Measurements
from controller.daemon.removal.remover import RemovalResults, Remover
from controller.daemon.removal.requests import RemovalContext
from controller.daemon.status import PassResult, Status
from controller.errors import ControllerError, EngineUnavailable, LedgerUnavailable, ObservationOutdated
from controller.image.reference import ImageId
from controller.instant import Instant, ReadTimes
from controller.plan.memory.disk import ImageDisk, calls_for_pass, paused, pressure_after
from controller.plan.memory.engines import change_of_engine, event_cursors, is_same_engine
from controller.plan.memory.event import ReceivedEvents
from controller.plan.memory.idleness import idle_since
from controller.plan.memory.memory import Memory
from controller.plan.memory.names import Names
from controller.plan.memory.observation import Engine, Observation, situation_of
from controller.plan.memory.remember import News
from controller.plan.node.agent import kept_after_failed_pass
from controller.plan.verdict.backoff import attempts_after, is_news
from controller.plan.verdict.decision import Conditions, Decision, DesiredState, decide, decide_again
from controller.plan.verdict.limits import bytes_spent, spent_after
from controller.plan.verdict.reclaim import freed_together
from controller.plan.verdict.removal import Batch, Intent, Mark, Removal, intent_of, resolved
from controller.plan.verdict.verdict import Verdict
from controller.value import dataclass

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PassOptions:
    """Options of passes, from the settings."""

    conditions: Conditions = Conditions()
    dry_run: bool = False
    parallel_removals: int = 4


@dataclass(frozen=True, slots=True)
class PassState:
    """State between passes that is not in the ledger."""

    decision: Decision
    received: ReceivedEvents = ReceivedEvents()
    """Events that no successful pass has used yet."""
    measurements: Measurements = Measurements()
    intents_may_be_open: bool = True
    unwritten: tuple[Removal, ...] = ()
    """Results that the ledger could not write."""
    last_success: Instant | None = None
    clock_steps: int = 0
    disk: ImageDisk = ImageDisk()
    """As measured last."""

    @property
    def memory(self) -> Memory:
        return self.decision.memory


_ANOTHER_ENGINE = "another engine answers at this address, or it changed its role; the next pass reads everything again"


class Reconciler:
    """Runs passes."""

    def __init__(
        self, ports: Ports, options: PassOptions, stopping: threading.Event, heartbeat: Callable[[], None]
    ) -> None:
        self._ports = ports
        self._options = options
        self._stopping = stopping
        self._observer = Observer(ports.engine, ports.clock, stopping, ports.own_container)
        context = RemovalContext(
            ports.engine,
            ports.events,
            stopping,
            heartbeat,
            options.parallel_removals,
            ports.progress,
            lambda: ports.folder.is_stopped,
            self._is_relieved,
        )
        self._remover = Remover(context, ports.ledger, ports.clock)
        self._state = PassState(Decision(memory=ports.ledger.load()))

    def reconcile(self) -> Status:
        """Run one pass; external errors are reported in its status."""
        began = self._ports.clock.now()
        desired = self._desired()
        state, trouble, change = self._state, None, ""
        batches, found_done, results = tuple[Batch, ...](), tuple[Removal, ...](), RemovalResults()
        try:
            state = self._without_unwritten(state)
            state, batches = self._final_measurements(state)
            state, position = self._with_events(state)
            observation, position = self._observed(position)
            state, found_done = self._resolve_open_intents(state, observation)
            state, inbox = self._planned(state, desired, observation)
            state, desired = self._with_new_answer(state, desired, observation)
            change = change_of_engine(self._state.memory, state.memory)
            state = self._saved(state, inbox, change)
            state, results = self._removed(state, desired, observation, position)
            state, results = self._confirmed(state, results, desired, observation, position)
            state, results = self._written(state, results, desired)
            state, trouble = replace(state, last_success=observation.at), results.trouble
            result = _result_of(results)
        except (EngineUnavailable, LedgerUnavailable) as error:
            result, trouble = PassResult.FAILED, error
            state = self._with_agent_of(state, desired)
        self._state = state
        return replace(
            self._report(began, desired, result, batches, found_done, results, trouble), engine_change=change
        )

    def notices_disk_pressure(self) -> bool:
        """True if disk pressure has started or ended since the last pass."""
        memory, marks = self._state.memory, self._options.conditions.terms.pressure
        if marks is None or memory.seen is None:
            return False
        now = memory.clock.advanced(self._ports.clock.now(), self._options.conditions.resync_seconds).seconds
        after = pressure_after(memory.pressure, self._measured(memory.seen.engine).usage, marks, now)
        return calls_for_pass(memory.pressure, after, now)

    def _desired(self) -> DesiredState:
        reading, read = self._timed(self._ports.folder.read)
        return DesiredState(replace(reading, read=read), *self._timed(self._ports.node.ask))

    def _timed(self, read: Callable[[], T]) -> tuple[T, ReadTimes]:
        began = self._ports.clock.now().uptime_seconds
        return read(), ReadTimes(began, self._ports.clock.now().uptime_seconds)

    def _is_relieved(self, engine: Engine) -> bool:
        """True if the disk is no longer under pressure. Checked before each removal that pressure made due."""
        usage, marks = self._measured(engine).usage, self._options.conditions.terms.pressure
        return usage is None or marks is None or marks.is_relieved(usage)

    def _measured(self, engine: Engine) -> ImageDisk:
        return self._ports.disk.measure(engine) if self._ports.disk else ImageDisk()

    def _final_measurements(self, state: PassState) -> tuple[PassState, tuple[Batch, ...]]:
        """Measurements that are final now; their removals are in the ledger."""
        measurements = state.measurements.with_events(self._ports.events)
        batches = measurements.final(self._ports.clock.now().uptime_seconds)
        for batch in batches:
            self._ports.ledger.record((), batch)
        return replace(state, measurements=measurements.without([batch.name for batch in batches])), batches

    def _without_unwritten(self, state: PassState) -> PassState:
        """Write the results of a former pass. Their cost is saved first: a kill in between only charges it twice."""
        if state.unwritten:
            self._ports.ledger.save(state.memory)
            self._ports.ledger.record(state.unwritten)
        return replace(state, unwritten=())

    def _with_events(self, state: PassState) -> tuple[PassState, Position]:
        """Keep the events until a pass succeeds."""
        self._ports.events.keep(event_cursors(state.memory))
        position = Position(self._ports.events.mark(), self._ports.events.generation, self._ports.engine.generation)
        return replace(state, received=state.received.followed_by(self._ports.events.take())), position

    def _observed(self, position: Position) -> tuple[Observation, Position]:
        observation = self._observer.observe(self._ports.events.generation)
        return observation, replace(position, connection=self._ports.engine.generation)

    def _resolve_open_intents(
        self, state: PassState, observation: Observation
    ) -> tuple[PassState, tuple[Removal, ...]]:
        """Resolve removals without an answer, of this controller or of one that was killed."""
        if not state.intents_may_be_open:
            return state, ()
        is_same = state.memory.seen is not None and is_same_engine(state.memory.seen, observation)
        done = tuple(resolved(self._ports.ledger.open_intents(), observation)) if is_same else ()
        # Charged before the intents are deleted: a crash in between can only charge them twice.
        charged = replace(state, decision=replace(state.decision, memory=_with_spending(state.memory, done)))
        self._ports.ledger.save(charged.memory)
        self._ports.ledger.record(done)
        self._ports.ledger.drop_intents()
        return replace(charged, intents_may_be_open=False), done

    def _planned(self, state: PassState, desired: DesiredState, observation: Observation) -> tuple[PassState, int]:
        """The decision of this pass, and the last inbox row that it used."""
        read_to, recorded = self._ports.ledger.inbox()
        layers = self._observer.new_layers(observation, state.memory)
        disk = self._measured(observation.engine)
        news = News(state.received, layers, recorded, disk)
        decision = decide(state.decision, desired, observation, news, self._options.conditions)
        steps = state.clock_steps + state.memory.clock.stepped(observation.at)
        return replace(state, decision=decision, clock_steps=steps, disk=disk), read_to

    def _with_new_answer(
        self, state: PassState, desired: DesiredState, observation: Observation
    ) -> tuple[PassState, DesiredState]:
        """Ask the agent again before a removal: it may need an image since its last answer (design, section 5)."""
        if not state.decision.plan.removals or self._options.dry_run or desired.reading.is_stopped:
            return state, desired
        answer, read = self._timed(lambda: self._ports.node.ask_again(self._may_wait))
        if answer is None:
            return state, desired
        desired = replace(desired, node=answer, node_read=read)
        decision = decide(state.decision, desired, observation, News(), self._options.conditions)
        return replace(state, decision=decision), desired

    def _may_wait(self) -> bool:
        self._remover.context.heartbeat()
        return not self._stopping.is_set()

    def _saved(self, state: PassState, inbox_read_to: int, change: str) -> PassState:
        """Save the memory, always before removals."""
        mark = Mark(state.memory.clock.last.wall_seconds, change) if change and state.memory.clock.last else None
        self._ports.ledger.save(state.memory, inbox_read_to, mark)
        return replace(state, received=ReceivedEvents())

    def _with_agent_of(self, state: PassState, desired: DesiredState) -> PassState:
        """The agent's last answer holds, also one that a failed pass got: the agent may be silent in the next pass."""
        node = kept_after_failed_pass(state.memory.node, desired.node)
        if node == state.memory.node:
            return state
        state = replace(state, decision=replace(state.decision, memory=replace(state.memory, node=node)))
        with suppress(LedgerUnavailable):  # The next pass saves it.
            self._ports.ledger.save(state.memory)
        return state

    def _removed(
        self, state: PassState, desired: DesiredState, observation: Observation, position: Position
    ) -> tuple[PassState, RemovalResults]:
        """Request what is due."""
        removals = state.decision.plan.removals
        if self._options.dry_run or desired.reading.is_stopped or not removals:
            return state, RemovalResults()
        if not self._observer.is_same_engine(observation):
            raise EngineUnavailable(_ANOTHER_ENGINE)
        intents = [self._intent(verdict, state.memory, observation) for verdict in removals]
        results, measurements = self._remover.remove(intents, state.memory, observation, position, state.measurements)
        return replace(state, measurements=measurements, intents_may_be_open=True), results

    def _intent(self, verdict: Verdict, memory: Memory, observation: Observation) -> Intent:
        since = idle_since(memory.records[verdict.image], self._options.conditions.terms.usage)
        return intent_of(verdict, memory.clock.seconds - since, observation.images[verdict.image].size_bytes)

    def _confirmed(
        self,
        state: PassState,
        results: RemovalResults,
        desired: DesiredState,
        observation: Observation,
        position: Position,
    ) -> tuple[PassState, RemovalResults]:
        """Compare the results with a second observation. Without one, unanswered removals remain open."""
        if not results.is_requested:
            return state, results
        state = _with_pause(state, results)
        if self._stopping.is_set():
            return state, results.without_unanswered()
        try:
            closing = self._observer.observe(self._ports.events.generation)
            if closing.engine.identity != observation.engine.identity:
                raise EngineUnavailable(_ANOTHER_ENGINE)
        except EngineUnavailable as error:
            known = results.without_unanswered()
            measurements = state.measurements.without(results.batches - known.batches).invalidated()
            return replace(state, measurements=measurements), replace(known, trouble=results.trouble or error)
        disk = self._measured(closing.engine)
        decision = decide(state.decision, desired, closing, News(disk=disk), self._options.conditions)
        known = results.confirmed_by(closing, self._active_since(position, observation))
        measurements = state.measurements.without(results.batches - known.batches).compared(closing.images.keys())
        return replace(state, decision=decision, measurements=measurements, disk=disk), known

    def _active_since(self, position: Position, observation: Observation) -> set[ImageId]:
        """Images with activity in the event stream since that position."""
        events, _ = self._ports.events.after(position.mark)
        return Names(observation.images).images_of_all(event for event in events if event.kind.is_activity)

    def _written(
        self, state: PassState, results: RemovalResults, desired: DesiredState
    ) -> tuple[PassState, RemovalResults]:
        """Save the failures, the spending and the history of this pass."""
        if not results.is_requested:
            return state, results
        before = state.memory.attempts
        results = replace(results, news=tuple(removal for removal in results.removals if is_news(removal, before)))
        memory = self._with_consequences(state.memory, results.removals)
        decision = decide_again(
            replace(state.decision, memory=memory), desired.reading, self._options.conditions, len(results.removals)
        )
        state = replace(state, decision=decision, unwritten=results.news)
        try:
            self._ports.ledger.save(state.memory)
            self._ports.ledger.record(state.unwritten)
            state = replace(state, unwritten=())
            self._ports.ledger.drop_intents(but=results.in_flight)
        except LedgerUnavailable as error:
            return state, replace(results, trouble=results.trouble or error)
        return replace(state, intents_may_be_open=bool(results.in_flight)), results

    def _with_consequences(self, memory: Memory, removals: Sequence[Removal]) -> Memory:
        """The memory with the failures and the spending of this pass."""
        seen, now = memory.seen, memory.clock.seconds

        def situation(image: ImageId) -> str:
            there = seen.images.get(image) if seen else None
            return situation_of(there, seen) if seen and there else ""

        # One value for all failures of a pass, so that they are retried in the same pass.
        jitter = self._ports.jitter()
        attempts = attempts_after(memory.attempts, removals, situation, now, lambda: jitter)
        return replace(_with_spending(memory, removals), attempts=attempts)

    def _report(
        self,
        began: Instant,
        desired: DesiredState,
        result: PassResult,
        batches: tuple[Batch, ...],
        found_done: tuple[Removal, ...],
        results: RemovalResults,
        trouble: ControllerError | None,
    ) -> Status:
        state = self._state
        return Status(
            at=began,
            result=result,
            duration_seconds=self._ports.clock.now().uptime_seconds - began.uptime_seconds,
            decision=state.decision,
            reading=desired.reading,
            removals=(*found_done, *results.removals),
            news=(*found_done, *results.news),
            batches=batches,
            next_figure_at=state.measurements.next_final_at,
            trouble=str(trouble or ""),
            last_success=state.last_success,
            dry_run=self._options.dry_run,
            engine_is_up=not isinstance(trouble, EngineUnavailable),
            is_interrupted=isinstance(trouble, ObservationOutdated),
            ledger_resets=self._ports.ledger.resets,
            event_stream_is_up=self._ports.events.is_up,
            event_refusal=self._ports.events.refusal,
            watcher_is_up=self._ports.folder.is_watched,
            clock_steps=state.clock_steps,
            disk=state.disk,
            pressure_marks=self._options.conditions.terms.pressure,
        )


def _with_pause(state: PassState, results: RemovalResults) -> PassState:
    """After removals under pressure, further ones wait until the effect of these is visible."""
    memory = state.memory
    done = {(each.intent.image, each.intent.reference) for each in results.removals if each.outcome.is_success}
    removed = [each for each in state.decision.plan.removals if (each.image, each.reference) in done]
    if memory.pressure is None or not any(each.is_under_pressure for each in removed):
        return state
    pressure = paused(memory.pressure, freed_together(removed, memory).at_least_bytes, memory.clock.seconds)
    return replace(state, decision=replace(state.decision, memory=replace(memory, pressure=pressure)))


def _with_spending(memory: Memory, removals: Iterable[Removal]) -> Memory:
    """Charge the bytes freed by these removals against the hourly limit."""
    freed = sum(bytes_spent(removal) for removal in removals)
    return replace(memory, spent=spent_after(memory.spent, freed, memory.clock.seconds))


def _result_of(results: RemovalResults) -> PassResult:
    if not results.removals and not results.trouble:
        return PassResult.NOTHING_DUE
    all_succeeded = all(removal.outcome.is_success for removal in results.removals)
    return PassResult.REMOVED if all_succeeded and not results.trouble else PassResult.PARTIAL

"""The last status as gauges, computed at each scrape. `families` has the help texts."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controller import __version__
from controller.daemon.metrics.families import FAMILIES
from controller.daemon.ports import DiskPort
from controller.daemon.status import Status
from controller.plan.scope.in_force import DocumentState
from controller.plan.verdict.decision import Decision
from controller.plan.verdict.reclaim import freed_together
from controller.plan.verdict.verdict import Action, Reason
from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Computed once for each decision, not at each scrape."""

    of: Decision
    due_bytes: int
    waiting_bytes: int
    store_bytes: int


class Gauges(Collector):
    """The gauges of the last status. All but the sizes of the disk exist from the start, at 0."""

    def __init__(self, disk: DiskPort | None) -> None:
        self.status: Status | None = None
        self._disk_port = disk
        self._sizes = _sizes_of(Decision())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges."""
        status = self.status
        decision = status.decision if status else Decision()
        yield _build_info(decision)
        yield from _health(status)
        yield from _times(status)
        yield from _policies(status)
        yield from self._images(decision)
        yield from self._disk(decision)

    def _images(self, decision: Decision) -> Iterator[GaugeMetricFamily]:
        if self._sizes.of is not decision:
            self._sizes = _sizes_of(decision)
        sizes = self._sizes
        verdicts = Counter(verdict.reason for verdict in decision.plan.verdicts)
        yield _labelled("references", {reason.value: verdicts[reason] for reason in Reason})
        yield _gauge("images", len(decision.memory.seen.images) if decision.memory.seen else 0)
        yield _labelled("reclaimable_bytes", {"due": sizes.due_bytes, "waiting": sizes.waiting_bytes})
        yield _gauge("image_store_bytes", sizes.store_bytes)

    def _disk(self, decision: Decision) -> Iterator[GaugeMetricFamily]:
        seen = decision.memory.seen
        yield _gauge("disk_pressure", decision.memory.pressure is not None)
        usage = self._disk_port.measure(seen.engine).usage if seen and self._disk_port else None
        if usage is None:
            return
        yield _gauge("filesystem_size_bytes", usage.size_bytes)
        yield _gauge("filesystem_avail_bytes", usage.available_bytes)
        if usage.files is not None:
            yield _gauge("filesystem_files", usage.files)
            yield _gauge("filesystem_files_free", usage.files_free)


def _sizes_of(decision: Decision) -> _Sizes:
    removals, memory = decision.plan.removals, decision.memory
    waiting = [verdict for verdict in decision.plan.verdicts if verdict.action is Action.WAIT]
    due = freed_together(removals, memory).at_least_bytes
    both = freed_together((*removals, *waiting), memory).at_least_bytes
    store = sum(layer.size_bytes or 0 for layer in memory.layers.values())
    return _Sizes(decision, due, both - due, store)


def _build_info(decision: Decision) -> GaugeMetricFamily:
    engine = decision.memory.seen.engine if decision.memory.seen else None
    beside = (engine.product, engine.version) if engine else ("", "")
    family = FAMILIES["build_info"]
    info = GaugeMetricFamily(family.full_name, family.help, labels=family.labels)
    info.add_metric((__version__, platform.python_version(), *beside), 1)
    return info


def _health(status: Status | None) -> Iterator[GaugeMetricFamily]:
    yield _gauge("engine_up", status is not None and status.engine_is_up)
    yield _gauge("engine_event_stream_up", status is not None and status.event_stream_is_up)
    yield _gauge("watcher_up", status is not None and status.watcher_is_up)
    yield _gauge("folder_lost", status is not None and status.is_folder_lost)
    yield _gauge("agent_answer_age_seconds", status.decision.node.age_seconds if status else 0)
    yield _gauge("removals_stopped", status is not None and status.reading.is_stopped)


def _times(status: Status | None) -> Iterator[GaugeMetricFamily]:
    success = status.last_success if status else None
    yield _gauge("last_successful_pass_timestamp_seconds", success.wall_seconds if success else 0)
    yield _gauge("policy_delivery_timestamp_seconds", status.reading.delivered_at if status else None)
    plan = status.decision.plan if status else None
    clock = status.decision.memory.clock if status else None
    deadline = clock.wall_at(plan.next_change_at) if plan and clock and plan.next_change_at is not None else None
    yield _gauge("next_deadline_timestamp_seconds", deadline)


def _policies(status: Status | None) -> Iterator[GaugeMetricFamily]:
    documents = status.decision.scope.documents if status else ()
    counts = Counter(document.state for document in documents)
    if status:  # A file that cannot be read gives no document; its documents are not in force.
        broken = {problem.file for problem in status.reading.problems if problem.is_error}
        counts[DocumentState.INVALID] += len(broken - {document.file for document in documents})
    yield _labelled("documents", {state.value: counts[state] for state in DocumentState})
    yield _labelled("policy_revision_info", {status.reading.revision if status else "": 1})


def _gauge(name: str, value: float | None) -> GaugeMetricFamily:
    family = FAMILIES[name]
    return GaugeMetricFamily(family.full_name, family.help, value=float(value or 0))


def _labelled(name: str, values: Mapping[str, int]) -> GaugeMetricFamily:
    """A gauge with one label."""
    family = FAMILIES[name]
    metric = GaugeMetricFamily(family.full_name, family.help, labels=family.labels)
    for word, value in values.items():
        metric.add_metric([word], value)
    return metric

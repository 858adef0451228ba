"""The last status as gauges, computed when somebody scrapes."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controller import __version__
from controller.daemon.status import Status
from controller.plan.decision import Decision
from controller.plan.in_force import DocumentState
from controller.plan.reclaim import freed_together
from controller.plan.verdict import Action, Reason

DiskUsage = Callable[[str], tuple[int, int] | None]
"""Of the file system that a path is on: size and available bytes; None if it cannot be seen from here."""
_INFO = ("version", "python_version", "engine", "engine_version")


class Gauges(Collector):
    """What the last status says. All but the sizes of the disk are there from the start, at 0."""

    def __init__(self, prefix: str, disk_usage: DiskUsage) -> None:
        self.status: Status | None = None
        self._prefix = prefix
        self._disk_usage = disk_usage
        self._reclaimable_of: Decision | None = None
        self._reclaimable: Mapping[str, int] = {"due": 0, "waiting": 0}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All gauges."""
        decision = self.status.decision if self.status else Decision()
        yield self._build_info(decision)
        yield from self._health(self.status)
        yield from self._times(self.status)
        yield from self._policies(self.status)
        yield from self._images(decision)
        yield from self._disk(decision)

    def _build_info(self, decision: Decision) -> GaugeMetricFamily:
        engine = decision.memory.seen.engine if decision.memory.seen else None
        what = (
            __version__,
            platform.python_version(),
            engine.product if engine else "",
            engine.version if engine else "",
        )
        info = GaugeMetricFamily(
            f"{self._prefix}_build_info", "Always 1; the labels say what runs on what.", labels=_INFO
        )
        info.add_metric(what, 1)
        return info

    def _health(self, status: Status | None) -> Iterator[GaugeMetricFamily]:
        yield self._gauge(
            "engine_up", "1 if the last pass reached the engine.", status is not None and status.engine_is_up
        )
        yield self._gauge(
            "engine_event_stream_up",
            "1 while the engine's events are read; without them a use between two passes may be missed.",
            status is not None and status.event_stream_is_up,
        )
        yield self._gauge(
            "watcher_up",
            "1 while changes of the policy folder are noticed at once; else they wait for the next resync.",
            status is not None and status.watcher_is_up,
        )
        yield self._gauge(
            "folder_lost",
            "1 if the policy folder is missing, unreadable or empty.",
            status is not None and bool(status.reading.lost),
        )

    def _times(self, status: Status | None) -> Iterator[GaugeMetricFamily]:
        success = status.last_success if status else None
        yield self._gauge(
            "last_successful_pass_timestamp_seconds",
            "When a pass last looked at everything successfully, by this host's clock; 0 before the first.",
            success.wall_seconds if success else 0,
        )
        plan = status.decision.plan if status else None
        clock = status.decision.memory.clock if status else None
        deadline = clock.wall_at(plan.look_again_at) if plan and clock and plan.look_again_at is not None else None
        yield self._gauge(
            "next_deadline_timestamp_seconds",
            "When a verdict changes next if nothing else happens, by this host's clock; 0 if none will.",
            deadline,
        )

    def _policies(self, status: Status | None) -> Iterator[GaugeMetricFamily]:
        documents = status.decision.ruling.documents if status else ()
        counts = Counter(document.state for document in documents)
        text = "Policy documents in the folder, by what they amount to on this node."
        yield self._by_label("documents", text, "state", {state.value: counts[state] for state in DocumentState})

    def _images(self, decision: Decision) -> Iterator[GaugeMetricFamily]:
        verdicts = Counter(verdict.reason for verdict in decision.plan.verdicts)
        text = "References on the node, by verdict: why each of them goes, waits or stays."
        yield self._by_label("references", text, "verdict", {reason.value: verdicts[reason] for reason in Reason})
        yield self._gauge(
            "images", "Images on the node.", len(decision.memory.seen.images) if decision.memory.seen else 0
        )
        yield self._by_label(
            "reclaimable_bytes",
            "Bytes that removing all due, or all waiting, references would free, shared layers counted once;"
            " an estimate on the containerd store and Podman.",
            "verdict",
            self._reclaimable_bytes(decision),
        )

    def _reclaimable_bytes(self, decision: Decision) -> Mapping[str, int]:
        """Worked out once for each decision, however often it is scraped."""
        if decision is not self._reclaimable_of:
            removals = decision.plan.removals
            waiting = [verdict for verdict in decision.plan.verdicts if verdict.action is Action.WAIT]
            due = freed_together(removals, decision.memory).at_least_bytes
            both = freed_together((*removals, *waiting), decision.memory).at_least_bytes
            self._reclaimable_of, self._reclaimable = decision, {"due": due, "waiting": both - due}
        return self._reclaimable

    def _disk(self, decision: Decision) -> Iterator[GaugeMetricFamily]:
        memory = decision.memory
        yield self._gauge(
            "image_store_bytes",
            "Bytes of all layers on the node, each counted once; on the containerd store without compressed content.",
            sum(layer.size_bytes or 0 for layer in memory.layers.values()),
        )
        usage = self._disk_usage(memory.seen.engine.data_root) if memory.seen else None
        if usage is not None:
            where = "of the file system that the engine keeps its data on"
            yield self._gauge("filesystem_size_bytes", f"Size {where}.", usage[0])
            yield self._gauge("filesystem_avail_bytes", f"Bytes available {where}.", usage[1])

    def _gauge(self, name: str, text: str, value: float | None) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, value=float(value or 0))

    def _by_label(self, name: str, text: str, label: str, values: Mapping[str, int]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=[label])
        for word, value in values.items():
            family.add_metric([word], value)
        return family

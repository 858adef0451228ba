"""Status to Prometheus samples. Gauges are computed from the last status at each scrape; counters count results of
passes.

No label names an image: the number of policy documents bounds the number of series.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    exposition,
)

from controller.daemon.metrics.families import FAMILIES, PREFIX
from controller.daemon.metrics.gauges import Gauges
from controller.daemon.ports import DiskPort
from controller.daemon.status import PassResult, Status
from controller.plan.verdict.removal import Exactness, Freed, Outcome

_UNANSWERED = ("200", "500", "none")
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "info": _UNANSWERED,
    "list_images": _UNANSWERED,
    "list_containers": _UNANSWERED,
    "list_services": _UNANSWERED,
    "inspect_image": ("200", "404", "500", "none"),
    "measure_store": _UNANSWERED,
    "remove_image": ("200", "404", "409", "500", "none"),
    "events": _UNANSWERED,
}
"""Operations and the usual status codes; other codes get a series when they first occur."""
_STREAMING = "events"
"""Not in the histogram of durations: the request ends when the stream ends."""


class Metrics:
    """All series of one controller, in their own registry."""

    def __init__(self, disk: DiskPort | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._passes = self._counter("passes_total")
        self._pass_seconds = self._histogram("pass_duration_seconds")
        self._removals = self._counter("removals_total")
        self._unexpected = self._counter("unexpected_deletions_total")
        self._bytes = self._counter("reclaimed_bytes_total")
        self._unknown = self._counter("removals_with_unknown_bytes_total")
        self._removal_seconds = self._histogram("removal_duration_seconds")
        self._requests = self._counter("engine_requests_total")
        self._request_seconds = self._histogram("engine_request_duration_seconds")
        self._resets = self._counter("ledger_resets_total")
        self._steps = self._counter("clock_steps_total")
        self._start_at_zero()
        self._published: Status | None = None
        self._base: dict[tuple[str, str], float] = {}
        """Removals by outcome and document, before this process started; and bytes, under the outcome ""."""
        self._documents: set[str] = set()
        self._gauges = Gauges(disk)
        self.registry.register(self._gauges)
        ProcessCollector(registry=self.registry)

    def continue_from(self, document: str, outcome: Outcome, removals: int, freed_bytes: int, unknown: int) -> None:
        """Start the counters of a document at the totals of the ledger, once the document appears.

        Otherwise `--once` would start them again at each run. Refusals and failures start at 0: the ledger has only
        those that differ from the one before.
        """
        if outcome is Outcome.UNEXPECTED:
            self._unexpected.inc(removals)
        if outcome.is_success or outcome is Outcome.UNEXPECTED:
            self._base["", document] = self._base.get(("", document), 0.0) + freed_bytes
            self._base[outcome.value, document] = removals
            self._unknown.inc(unknown)

    def publish(self, status: Status) -> None:
        """Count the results of a pass and show them from now on."""
        self._passes.labels(status.result.value).inc()
        self._pass_seconds.observe(status.duration_seconds)
        self._follow_documents(status)
        for removal in status.removals:
            self._removals.labels(removal.outcome.value, removal.intent.document).inc()
            self._unexpected.inc(removal.outcome is Outcome.UNEXPECTED)
            self._count(removal.intent.document, removal.freed)
        for batch in status.batches:
            self._count(batch.document, batch.freed)
        before = self._published
        self._resets.inc(status.ledger_resets - (before.ledger_resets if before else 0))
        self._steps.inc(status.clock_steps - (before.clock_steps if before else 0))
        self._published = status
        self._gauges.status = status

    def request_answered(self, operation: str, code: str, seconds: float) -> None:
        """Count one request to the engine."""
        self._requests.labels(operation, code).inc()
        if operation != _STREAMING:
            self._request_seconds.labels(operation).observe(seconds)
        if operation == "remove_image":
            self._removal_seconds.observe(seconds)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The page that Prometheus scrapes, and its content type."""
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self.registry), content_type

    def textfile(self) -> bytes:
        """The same for the textfile collector of node_exporter, which has process metrics of its own."""
        return exposition.generate_latest(_OwnFamilies(self.registry))

    def _count(self, document: str, freed: Freed) -> None:
        if freed.bytes:
            self._bytes.labels(document).inc(freed.bytes)
        if freed.exactness is Exactness.UNKNOWN:
            self._unknown.inc()

    def _start_at_zero(self) -> None:
        """Create series at 0: `rate` cannot see the first event of a series that starts with it."""
        for result in PassResult:
            self._passes.labels(result.value)
        for operation, codes in ANSWERS.items():
            for code in codes:
                self._requests.labels(operation, code)
            if operation != _STREAMING:
                self._request_seconds.labels(operation)

    def _follow_documents(self, status: Status) -> None:
        """Create series at 0 when a document appears; remove them when it is gone and has no open measurements."""
        removals = {removal.intent.document for removal in status.removals}
        batches = {batch.document for batch in status.batches}
        now = {document.name for document in status.decision.scope.documents} | removals | batches
        for document in now - self._documents:
            self._bytes.labels(document).inc(self._base.pop(("", document), 0.0))
            for outcome in Outcome:
                self._removals.labels(outcome.value, document).inc(self._base.pop((outcome.value, document), 0.0))
        for document in self._documents - now:
            self._bytes.remove(document)
            for outcome in Outcome:
                self._removals.remove(outcome.value, document)
        self._documents = now

    def _counter(self, name: str) -> Counter:
        family = FAMILIES[name]
        return Counter(family.full_name, family.help, family.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        family = FAMILIES[name]
        return Histogram(family.full_name, family.help, family.labels, buckets=family.buckets, registry=self.registry)


class _OwnFamilies(CollectorRegistry):
    """The families of another registry that are the controller's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__()
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        return (family for family in self._registry.collect() if family.name.startswith(f"{PREFIX}_"))

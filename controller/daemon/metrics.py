"""Status → Prometheus samples. Gauges are computed from the last status when scraped; counters count what passes
publish.

Never a label for an image: the number of series is bounded by the number of policy documents.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    exposition,
)

from controller.daemon.gauges import DiskUsage, Gauges
from controller.daemon.status import PassResult, Status
from controller.plan.removal import Exactness, Freed, Outcome

PREFIX = "image_controller"
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Beyond the client's default of 10 s: lists and removals on SD cards and the containerd store take longer."""
_OPERATIONS = (
    "info",
    "list_images",
    "list_containers",
    "list_services",
    "inspect_image",
    "measure_store",
    "remove_image",
    "events",
)


class Metrics:
    """All series of one controller, in a registry of their own."""

    def __init__(self, disk_usage: DiskUsage = lambda _: None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._passes = self._counter("passes", "Passes over the node, by what they came to.", "result")
        self._pass_seconds = self._histogram("pass_duration_seconds", "How long a pass took.")
        self._removals = self._counter(
            "removals", "Removals asked of the engine, by what came of them.", "outcome", "document"
        )
        self._bytes = self._counter(
            "reclaimed_bytes",
            "Bytes that removals really freed: exact, or a lower bound on Docker 26 with the containerd store.",
            "document",
        )
        self._unknown = self._counter(
            "removals_with_unknown_bytes",
            "Removals, or batches of them, whose freed bytes cannot be known; they add nothing to reclaimed_bytes.",
        )
        self._removal_seconds = self._histogram("removal_duration_seconds", "How long the engine took for one removal.")
        self._requests = self._counter(
            "engine_requests",
            "Requests to the engine, by HTTP status of the answer (none: no answer).",
            "operation",
            "code",
        )
        self._request_seconds = self._histogram(
            "engine_request_duration_seconds", "How long the engine took to answer.", "operation"
        )
        self._resets = self._counter(
            "ledger_resets", "Times that a damaged ledger was begun anew: everything looks new."
        )
        self._steps = self._counter("clock_steps", "Times that the wall clock moved otherwise than time passed.")
        self._published: Status | None = None
        for result in PassResult:
            self._passes.labels(result.value)
        for operation in _OPERATIONS:
            self._requests.labels(operation, "200")
            self._request_seconds.labels(operation)
        self._documents: set[str] = set()
        self._gauges = Gauges(PREFIX, disk_usage)
        self.registry.register(self._gauges)
        ProcessCollector(registry=self.registry)

    def publish(self, status: Status) -> None:
        """Count what a pass did, and show it from now on."""
        self._passes.labels(status.result.value).inc()
        self._pass_seconds.observe(status.duration_seconds)
        self._follow_documents(status)
        for removal in status.removals:
            self._removals.labels(removal.outcome.value, removal.intent.document).inc()
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
        if operation != "events":  # That one ends when the stream does.
            self._request_seconds.labels(operation).observe(seconds)
        if operation == "remove_image":
            self._removal_seconds.observe(seconds)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The page that Prometheus scrapes, and its content type."""
        encode, content_type = exposition.choose_encoder(accept)
        return encode(self.registry), content_type

    def _count(self, document: str, freed: Freed) -> None:
        if freed.bytes:
            self._bytes.labels(document).inc(freed.bytes)
        if freed.exactness is Exactness.UNKNOWN:
            self._unknown.inc()

    def _follow_documents(self, status: Status) -> None:
        """Series begin at 0 when a document appears, and end when it goes."""
        now = {document.name for document in status.decision.ruling.documents}
        for document in now - self._documents:
            self._bytes.labels(document)
            for outcome in Outcome:
                self._removals.labels(outcome.value, document)
        for document in self._documents - now:
            self._bytes.remove(document)
            for outcome in Outcome:
                self._removals.remove(outcome.value, document)
        self._documents = now

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, buckets=_SECONDS, registry=self.registry)

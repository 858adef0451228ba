"""Every metric, declared once: its name, kind, labels, and what it tells, in words for somebody who sees only a scrape.

`metrics` and `gauges` fill them; the README's table and the tests of the dashboard and the rules go by this list too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PREFIX = "image_controller"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric."""

    name: str
    """Without the prefix; counters end in _total."""
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus knows it."""
        return f"{PREFIX}_{self.name}"


_SLOW = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Seconds. Lists and removals on SD cards and on the containerd store take longer than the usual ten."""
_REQUESTS = (0.01, 0.1, 0.5, 2, 10, 60)

_DECLARED = (
    Family(
        "build_info",
        "gauge",
        "Always 1. The labels say which version of the controller runs, on which Python, beside which engine.",
        ("version", "python_version", "engine", "engine_version"),
    ),
    Family(
        "policy_revision_info",
        "gauge",
        "Always 1. The label is the commit or version of the policies that was read last; empty if none is told.",
        ("revision",),
    ),
    Family(
        "documents",
        "gauge",
        "Policy documents in the folder, by what each amounts to on this node. Only those in_force remove anything; "
        "invalid are also files that cannot be read.",
        ("state",),
    ),
    Family(
        "folder_lost",
        "gauge",
        "1 if the policy folder is missing, unreadable or empty, so that nothing is in force; else 0.",
    ),
    Family(
        "passes_total",
        "counter",
        "Passes over the node, by result: removed, nothing_due, partial (something due could not be removed), failed.",
        ("result",),
    ),
    Family("pass_duration_seconds", "histogram", "Duration of passes over the node.", (), _SLOW),
    Family(
        "last_successful_pass_timestamp_seconds",
        "gauge",
        "Unix time, by this host's clock, of the last pass that saw everything; 0 before the first.",
    ),
    Family(
        "next_deadline_timestamp_seconds",
        "gauge",
        "Unix time, by this host's clock, at which a verdict changes if nothing happens before; 0 if none will.",
    ),
    Family(
        "references",
        "gauge",
        "Names by which images could be removed, by verdict: why each goes (DUE), waits, or stays.",
        ("verdict",),
    ),
    Family("images", "gauge", "Images on the node, those without a name included."),
    Family(
        "image_store_bytes",
        "gauge",
        "Size of all image layers on the node, each counted once; what the containerd store keeps compressed as well"
        " is not in it.",
    ),
    Family(
        "reclaimable_bytes",
        "gauge",
        "Bytes that removing everything due, or everything waiting, would free, shared layers counted once. An estimate"
        " on the containerd store and Podman.",
        ("verdict",),
    ),
    Family(
        "removals_total",
        "counter",
        "Removals asked of the engine, by outcome (removed, untagged: the image has other names, gone: somebody was"
        " faster, refused, failed) and by the policy document that asked for them.",
        ("outcome", "document"),
    ),
    Family(
        "reclaimed_bytes_total",
        "counter",
        "Bytes that removals really freed, measured or summed from the layers that went; a lower bound on Docker 26"
        " with the containerd store.",
        ("document",),
    ),
    Family(
        "removals_with_unknown_bytes_total",
        "counter",
        "Removals, or batches measured together, whose freed bytes nobody knows; reclaimed_bytes_total lacks them.",
    ),
    Family(
        "removal_duration_seconds", "histogram", "Time that the engine took to answer a request to remove.", (), _SLOW
    ),
    Family("engine_up", "gauge", "1 if the last pass reached the container engine, else 0."),
    Family(
        "engine_requests_total",
        "counter",
        "Requests to the engine, by operation and HTTP status of the answer (none: there was no answer).",
        ("operation", "code"),
    ),
    Family(
        "engine_request_duration_seconds",
        "histogram",
        "Time that the engine took to answer, by operation.",
        ("operation",),
        _REQUESTS,
    ),
    Family(
        "engine_event_stream_up",
        "gauge",
        "1 while the engine's events are read, else 0: then a short use between two passes may be missed.",
    ),
    Family(
        "watcher_up",
        "gauge",
        "1 while the policy folder is watched, else 0: then changes in it wait for the next resync.",
    ),
    Family("filesystem_size_bytes", "gauge", "Size of the file system that the engine keeps its data on."),
    Family(
        "filesystem_avail_bytes",
        "gauge",
        "Bytes available to anybody on the file system that the engine keeps its data on.",
    ),
    Family(
        "ledger_resets_total",
        "counter",
        "Damaged ledgers that were begun anew; after one, every image counts as first seen.",
    ),
    Family(
        "clock_steps_total",
        "counter",
        "Times that the wall clock moved otherwise than time passed; no image becomes older or younger by that.",
    ),
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in _DECLARED}
"""By name, without the prefix."""

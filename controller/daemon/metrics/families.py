"""Every metric, declared once: name, kind, labels, and a help text that makes sense in a scrape alone.

`collector` and `gauges` fill them. The README's table and the tests of the dashboards and rules use this list too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from controller.value import dataclass

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
        """The name in Prometheus."""
        return f"{PREFIX}_{self.name}"


_SLOW = (0.5, 2.5, 10, 30, 120, 300)
"""Seconds. Lists and removals on SD cards and on the containerd store take longer than the usual ten."""
_REQUESTS = (0.01, 0.1, 1, 10, 60)

_DECLARED = (
    Family(
        "build_info",
        "gauge",
        "Always 1. The labels are the versions of the controller, of Python and of the container engine.",
        ("version", "python_version", "engine", "engine_version"),
    ),
    Family(
        "policy_revision_info",
        "gauge",
        "Always 1. The label is the commit or version of the policies that were read last; empty if it is not known.",
        ("revision",),
    ),
    Family(
        "documents",
        "gauge",
        "Policy documents in the folder, by state on this node. Only documents in_force remove images. Files that "
        "cannot be read count as invalid.",
        ("state",),
    ),
    Family(
        "folder_lost",
        "gauge",
        "1 if the policy folder is missing, unreadable or empty, so that nothing is in force; else 0.",
    ),
    Family(
        "policy_delivery_timestamp_seconds",
        "gauge",
        "Unix time of the last delivery of policies that succeeded (deliver.sh, imagectl sync), whether or not it"
        " changed anything; 0 if none is recorded.",
    ),
    Family(
        "agent_answer_age_seconds",
        "gauge",
        "Age of the agent's last valid answer at the last pass; 0 without an agent.",
    ),
    Family(
        "removals_stopped",
        "gauge",
        "1 while a file named STOP in the policy folder stops all removals, else 0.",
    ),
    Family(
        "passes_total",
        "counter",
        "Passes, by result: removed, nothing_due, partial (a due reference could not be removed), failed.",
        ("result",),
    ),
    Family("pass_duration_seconds", "histogram", "Duration of passes, from the first read to the report.", (), _SLOW),
    Family(
        "last_successful_pass_timestamp_seconds",
        "gauge",
        "Unix time, by this host's clock, of the last pass that did not fail; 0 before the first one.",
    ),
    Family(
        "next_deadline_timestamp_seconds",
        "gauge",
        "Unix time, by this host's clock, at which the next verdict changes if nothing else happens; 0 if none does.",
    ),
    Family(
        "references",
        "gauge",
        "Names by which images can be removed, by verdict: why each is removed (DUE), waits, or is kept.",
        ("verdict",),
    ),
    Family("images", "gauge", "Images on the node, including images without a name."),
    Family(
        "image_store_bytes",
        "gauge",
        "Size of all image layers on the node, each counted once; without the compressed blobs of the containerd store"
        " and without BuildKit's cache.",
    ),
    Family(
        "reclaimable_bytes",
        "gauge",
        "Bytes that the removal of everything due, or of everything waiting, would free; shared layers count once. A"
        " lower bound on the containerd store, an upper bound where BuildKit has a cache, an estimate on Podman.",
        ("verdict",),
    ),
    Family(
        "removals_total",
        "counter",
        "Requested removals, by outcome (removed; untagged: the image has other names; gone: it was"
        " removed by another process; refused; failed) and by policy document.",
        ("outcome", "document"),
    ),
    Family(
        "unexpected_deletions_total",
        "counter",
        "Removals in which the engine deleted more than was requested. Each is an error in the log and the history.",
    ),
    Family(
        "reclaimed_bytes_total",
        "counter",
        "Bytes that removals freed: measured, or the sum of the removed layers; a lower bound on Docker 26 with the"
        " containerd store.",
        ("document",),
    ),
    Family(
        "removals_with_unknown_bytes_total",
        "counter",
        "Removals, or batches measured together, whose freed bytes are unknown; reclaimed_bytes_total lacks them.",
    ),
    Family("removal_duration_seconds", "histogram", "Time until the engine answered a removal request.", (), _SLOW),
    Family("engine_up", "gauge", "1 if the last pass reached the container engine, else 0."),
    Family(
        "engine_requests_total",
        "counter",
        "Requests to the engine, by operation and HTTP status of the response (none: no response).",
        ("operation", "code"),
    ),
    Family(
        "engine_request_duration_seconds",
        "histogram",
        "Time until the engine answered, by operation.",
        ("operation",),
        _REQUESTS,
    ),
    Family(
        "engine_event_stream_up",
        "gauge",
        "1 while the engine's events are read, else 0: then a short use between two passes may go unnoticed.",
    ),
    Family(
        "watcher_up",
        "gauge",
        "1 while the policy folder is watched, else 0: then changes are found at the next resync.",
    ),
    Family("filesystem_size_bytes", "gauge", "Size of the file system that holds the images."),
    Family(
        "filesystem_avail_bytes",
        "gauge",
        "Bytes available to unprivileged users on the file system that holds the images.",
    ),
    Family("filesystem_files", "gauge", "Inodes of the file system that holds the images."),
    Family("filesystem_files_free", "gauge", "Free inodes of the file system that holds the images."),
    Family(
        "disk_pressure",
        "gauge",
        "1 while the disk with the images is under pressure (--disk-pressure-start), else 0. Also 0 if it is unknown.",
    ),
    Family(
        "ledger_resets_total",
        "counter",
        "Damaged ledgers that were recreated; after that every image counts as first seen.",
    ),
    Family(
        "clock_steps_total",
        "counter",
        "Steps of the wall clock. They make no image older or younger.",
    ),
)
FAMILIES: Mapping[str, Family] = {family.name: family for family in _DECLARED}
"""By name, without the prefix."""

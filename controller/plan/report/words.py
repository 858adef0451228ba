"""Display texts of verdicts and states: what the CLI, the page and the log print for the stored words.

Keyed by those words, so that commands that only read do not import the planner.
"""

from __future__ import annotations

from collections.abc import Mapping

from controller.plan.memory.disk import ImageDisk, PressureMarks
from controller.quantity import bytes_in_words, span


def about(moment: str | None) -> str:
    """A date of the past, which may be wrong by half a minute, in a sentence."""
    return UNKNOWN_DATE if moment in (None, UNKNOWN_DATE) else f"about {moment}"


VERDICTS: Mapping[str, str] = {
    "DUE": "due now",
    "SETTLING": "settling",
    "NOT_STARTED": "its policy has not started",
    "NOT_IDLE_LONG_ENOUGH": "not idle long enough",
    "BACKING_OFF": "the engine refused or failed; waiting for the next try",
    "PARENT_NOT_DUE": "the engine might remove its parent with it",
    "HELD_BACK": "a limit of the operator is reached",
    "IN_USE": "in use",
    "PROTECTED": "protected",
    "HAS_CHILDREN": "parent of other images",
    "KEPT_AS_RECENT": "among the most recently used of its repository",
    "NOT_DOWNLOADED_BY_AGENT": "not downloaded by the agent",
    "NO_RULE": "no rule covers it",
}
"""Display texts of the verdicts, in the order of the page."""
UNKNOWN_DATE = "at an unknown date"
"""The host's clock was not set."""
NO_EVIDENCE = "no evidence that the agent downloaded it"

STOPPED = "all removals are stopped: the policy folder has a file STOP"

_WHAT_REMOVES: Mapping[str, str] = {
    "NO_RULE": "add a rule that covers its name to a policy in force",
    "PROTECTED": "remove its protection",
    "IN_USE": "remove every container that was created from it or mounts it, stopped containers too",
    "HAS_CHILDREN": "will be removed once the images that were built on it are removed",
    "SETTLING": "will be removed when the settle time ends{in_time} unless the image is used",
    "SETTLING without a time": "will be removed after the engine's events are available and the settle time has ended",
    "NOT_DOWNLOADED_BY_AGENT": "needs evidence that the agent downloaded it: one of its containers, or record-download",
    "KEPT_AS_RECENT": "use newer images of its repository, or add a rule without keep_last",
    "NOT_STARTED": "will be removed after its policy has started{in_time}",
    "NOT_IDLE_LONG_ENOUGH": "will be removed once it has been idle long enough{in_time}",
    "DUE": "will be removed by the next pass of a controller",
    "BACKING_OFF": "the next try{in_time}, or at once when its names, containers or children change",
    "PARENT_NOT_DUE": "will be removed once its parent without a name is due too: a rule for * covers such images",
    "HELD_BACK": "will be removed once the limit of the operator allows it",
}
_KEEP = "start or create a container, use --protect, set the label image-controller.keep, or change the policy"
_WHAT_KEEPS: Mapping[str, str] = {
    "NO_RULE": "no rule covers it, so it is kept",
    "PROTECTED": "kept by its protection",
    "IN_USE": "kept by: a container that uses it",
    "KEPT_AS_RECENT": "kept by keep_last of the rule",
    "NOT_DOWNLOADED_BY_AGENT": f"kept because there is {NO_EVIDENCE}",
}
_STATES: Mapping[str, str] = {
    "in_force": "in force",
    "waiting": "waiting",
    "not_applicable": "does not apply",
    "disabled": "disabled",
    "no_image_policy": "no image policy",
    "invalid": "invalid",
}


def what_removes(verdict: str, seconds: float | None) -> str:
    """What must happen before a reference is removed; `seconds` until the verdict changes by itself."""
    in_time = f" (in {span(seconds)})" if seconds is not None and seconds > 0 else ""
    without_a_time = "" if seconds is not None else _WHAT_REMOVES.get(f"{verdict} without a time", "")
    return without_a_time or _WHAT_REMOVES.get(verdict, "").format(in_time=in_time)


def what_keeps(verdict: str) -> str:
    """What keeps a reference, or how to keep it."""
    return _WHAT_KEEPS.get(verdict, _KEEP)


def disk_pressure_unknown(disk: ImageDisk, marks: PressureMarks | None) -> str:
    """Why disk pressure is not known, although its marks are set; empty if it is known or they are not set."""
    if marks is None or (disk.usage and marks.can_be_relieved(disk.usage)):
        return ""
    why = disk.why_unknown or "the disk was not measured yet."
    if disk.usage:
        size = bytes_in_words(disk.usage.size_bytes)
        why = f"--disk-pressure-stop ({marks.stop}) is not smaller than the disk ({size})."
    return f"disk pressure is not known, so no limit changes: {why}"


def document_in_words(name: str, state: str, why: str) -> str:
    """`policy services: in force`, or the state and its reason: for the log and the lines below `plan`."""
    if state in ("waiting", "no_image_policy"):
        return f"policy {name}: {why}"
    return f"policy {name}: {state_in_words(state)}" + ("" if state == "in_force" else f": {why}")


def state_in_words(state: str) -> str:
    """The display text of a document's state."""
    return _STATES.get(state, state)


def bounded_bytes(count: int, bound: str) -> str:
    """A predicted size with what is certain about it: `3.0 MB`, `at least 3.0 MB`."""
    return f"{'' if bound == 'exact' else f'{bound} '}{bytes_in_words(count)}"

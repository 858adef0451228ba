"""The state of failed removals and the time of their retry. Nothing sleeps: the next pass decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from controller.image.reference import ImageId
from controller.plan.memory.memory import Attempt, AttemptKey, Setback
from controller.plan.verdict.removal import Outcome, Removal

SHORTEST_SECONDS = 5.0
LONGEST_SECONDS = 1800.0
_MOST_DOUBLINGS = 10
"""By then it is longer than the longest."""
_JITTER = 0.2
"""At most a fifth is added, so that failures of one time are not all retried at one time."""


def attempts_after(
    before: Mapping[AttemptKey, Attempt],
    removals: Iterable[Removal],
    situation: Callable[[ImageId], str],
    now: float,
    jitter: Callable[[], float],
) -> Mapping[AttemptKey, Attempt]:
    """The attempts that count after these removals were requested; `jitter` gives numbers from 0 to 1."""
    after = dict(before)
    for removal in removals:
        key = (removal.intent.image, removal.intent.reference)
        if removal.outcome.is_success or removal.outcome is Outcome.UNEXPECTED:  # The reference is removed.
            after.pop(key, None)
        else:
            after[key] = _attempt(before.get(key), removal, situation(removal.intent.image), now, jitter())
    return after


def _attempt(before: Attempt | None, removal: Removal, situation: str, now: float, jitter: float) -> Attempt:
    """The new attempt. A refusal is retried after a change of the situation, or after the longest backoff."""
    setback = Setback.REFUSED if removal.outcome is Outcome.REFUSED else Setback.FAILED
    failures = before.failures + 1 if before is not None and before.situation == situation else 1
    wait = LONGEST_SECONDS if setback is Setback.REFUSED else backoff_seconds(failures)
    return Attempt(setback, removal.message, failures, now + wait * (1 + _JITTER * jitter), situation)


def backoff_seconds(failures: int) -> float:
    """5 s after the first failure, doubling to half an hour."""
    return min(LONGEST_SECONDS, SHORTEST_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))


def is_news(removal: Removal, before: Mapping[AttemptKey, Attempt]) -> bool:
    """True if the outcome differs from the last one, so that it is logged and added to the history."""
    last = before.get((removal.intent.image, removal.intent.reference))
    return removal.outcome.is_success or last is None or last.setback.value != removal.outcome.value

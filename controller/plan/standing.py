"""Has a text stood still long enough to be believed? Half-written files may parse: `1440` cut to `14` is a valid
number.

A text that the ledger knows needs no wait; a new one must have been read twice, at least two seconds apart. Times are
uptimes of one process.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from controller.plan.memory import TextKey

STANDS_AFTER_SECONDS = 2.0
UNSTABLE_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Since when each text has been read without a change, and since when each document has not come to rest."""

    first_read: Mapping[TextKey, float] = field(default_factory=dict)
    restless_since: Mapping[str, float] = field(default_factory=dict)

    def after(self, texts: Iterable[TextKey], known: Collection[TextKey], uptime: float) -> Standing:
        """The standing after one more reading."""
        first_read = {key: self.first_read.get(key, uptime) for key in texts}
        restless = {name: self.restless_since.get(name, uptime) for name, _ in self._new(first_read, known, uptime)}
        return Standing(first_read, restless)

    def stands(self, key: TextKey, known: Collection[TextKey], uptime: float) -> bool:
        """May the text come into force?"""
        return key in known or uptime - self.first_read[key] >= STANDS_AFTER_SECONDS

    def is_unstable(self, name: str, uptime: float) -> bool:
        """Has the document been changing for so long that somebody should look?"""
        return uptime - self.restless_since.get(name, uptime) >= UNSTABLE_AFTER_SECONDS

    def look_again_at(self, known: Collection[TextKey]) -> float | None:
        """Uptime at which the first text that does not stand yet will."""
        return min((at + STANDS_AFTER_SECONDS for key, at in self.first_read.items() if key not in known), default=None)

    @staticmethod
    def _new(first_read: Mapping[TextKey, float], known: Collection[TextKey], uptime: float) -> list[TextKey]:
        return [key for key, at in first_read.items() if key not in known and uptime - at < STANDS_AFTER_SECONDS]

"""Has a text stood still long enough to be believed? Half-written files may parse: `1440` cut to `14` is a valid
number, and a document whose end is missing may say nothing of its constraints.

A new text must have been read twice, at least two seconds apart, and never another one in between. Only the text that
stood last under its name needs no wait, so that a restart changes nothing. An older text that the ledger knows keeps
its first-seen time, but not its trust: a file cut in writing may say what it said last week. Times are uptimes of one
process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.plan.memory.memory import TextKey, TextRecord

STANDS_AFTER_SECONDS = 2.0
UNSTABLE_AFTER_SECONDS = 60.0
_CHANGES_BELONG_TOGETHER_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class DocumentStability:
    """How one document stands."""

    text: str | None
    """Its hash; None while it is invalid, or gone."""
    since: float
    """When it was first read, of readings that all gave the same."""
    changing_since: float
    """When the changes began of which this text is the last one so far."""
    is_believed: bool


@dataclass(frozen=True, slots=True)
class TextStability:
    """How all documents stood when they were read last."""

    at: float = 0.0
    stands: Mapping[str, DocumentStability] = field(default_factory=dict)
    """By the name of the document."""

    def after(self, texts: Mapping[str, str], known: Mapping[TextKey, TextRecord], at: float) -> TextStability:
        """The standing after one more reading: the hash of each valid document's text by its name."""
        trusted = last_text_in_force(known)
        remembered = (name for name, was in self.stands.items() if was.text is not None or _goes_on(was, at))
        names = {*texts, *remembered}
        return TextStability(at, {name: self._stand(name, texts.get(name), trusted.get(name), at) for name in names})

    def believes(self, name: str) -> bool:
        """May the text that was read last come into force?"""
        return name in self.stands and self.stands[name].is_believed

    @property
    def unstable(self) -> frozenset[str]:
        """Documents that have been changing for so long that somebody should look."""
        restless = (name for name, stand in self.stands.items() if _goes_on(stand, self.at) and not stand.is_believed)
        return frozenset(
            name for name in restless if self.at - self.stands[name].changing_since >= UNSTABLE_AFTER_SECONDS
        )

    @property
    def next_change_at(self) -> float | None:
        """Uptime at which the first text that is not believed yet may be."""
        waiting = (each for each in self.stands.values() if each.text is not None and not each.is_believed)
        return min((stand.since + STANDS_AFTER_SECONDS for stand in waiting), default=None)

    def _stand(self, name: str, text: str | None, trusted: str | None, at: float) -> DocumentStability:
        was = self.stands.get(name)
        if was and was.text == text:
            since, changing_since = was.since, was.changing_since
        else:
            since, changing_since = at, was.changing_since if was and _goes_on(was, at) else at
        is_believed = text is not None and (text == trusted or at >= since + STANDS_AFTER_SECONDS)
        return DocumentStability(text, since, changing_since, is_believed)


def _goes_on(stand: DocumentStability, at: float) -> bool:
    """Does a change at that time belong to the one that led to this text?"""
    return at - stand.since < _CHANGES_BELONG_TOGETHER_WITHIN_SECONDS


def last_text_in_force(known: Mapping[TextKey, TextRecord]) -> Mapping[str, str]:
    """The hash of the text that was the last one in force, by document."""
    by_age = sorted(known, key=lambda key: (known[key].last_present, known[key].first_seen))
    return dict(by_age)

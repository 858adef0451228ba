"""Decides when a text has been stable long enough to come into force.

A half-written file may parse: `1440` cut to `14` is a valid number, and a document may lack its constraints. A new text
must be read twice, with no other text in between, and with at least two seconds from the end of the first read to the
beginning of the other: a read may itself take seconds. Only the text that was last in force under its name needs no
wait, so that a restart changes nothing. An older text keeps its first-seen time, but must wait again: a half-written
file may equal the text of last week. Times are uptimes of one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from controller.instant import ReadTimes
from controller.plan.memory.memory import TextKey, TextRecord
from controller.value import dataclass

STABLE_AFTER_SECONDS = 2.0
UNSTABLE_AFTER_SECONDS = 60.0
_ONE_SERIES_WITHIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class DocumentStability:
    """The stability of one document."""

    text: str | None
    """Its hash; None while the document is invalid or absent."""
    since: float
    """The end of the first of the latest equal readings."""
    changing_since: float
    """Start of the series of changes that led to this text."""
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class TextStability:
    """The stability of all documents at their last reading."""

    at: float = 0.0
    documents: Mapping[str, DocumentStability] = field(default_factory=dict)
    """By document name."""

    def after(self, texts: Mapping[str, str], known: Mapping[TextKey, TextRecord], read: ReadTimes) -> TextStability:
        """The stability after one more reading. `texts` holds the hash of each valid document by name."""
        trusted = last_text_in_force(known)
        kept = (name for name, was in self.documents.items() if was.text is not None or _continues(was, read.ended))
        names = {*texts, *kept}
        return TextStability(
            read.ended, {name: self._stability(name, texts.get(name), trusted.get(name), read) for name in names}
        )

    def trusts(self, name: str) -> bool:
        """True if the last text is stable."""
        return name in self.documents and self.documents[name].is_trusted

    @property
    def unstable(self) -> frozenset[str]:
        """Documents that have kept changing for a minute."""
        changing = (name for name, each in self.documents.items() if _continues(each, self.at) and not each.is_trusted)
        return frozenset(
            name for name in changing if self.at - self.documents[name].changing_since >= UNSTABLE_AFTER_SECONDS
        )

    @property
    def next_change_at(self) -> float | None:
        """Uptime at which the next text can be stable."""
        waiting = (each for each in self.documents.values() if each.text is not None and not each.is_trusted)
        return min((each.since + STABLE_AFTER_SECONDS for each in waiting), default=None)

    def _stability(self, name: str, text: str | None, trusted: str | None, read: ReadTimes) -> DocumentStability:
        was, at = self.documents.get(name), read.ended
        if was and was.text == text:
            since, changing_since = was.since, was.changing_since
        else:
            since, changing_since = at, was.changing_since if was and _continues(was, at) else at
        is_trusted = text is not None and (text == trusted or read.began >= since + STABLE_AFTER_SECONDS)
        return DocumentStability(text, since, changing_since, is_trusted)


def _continues(each: DocumentStability, at: float) -> bool:
    """True if a change at that time belongs to the same series of changes."""
    return at - each.since < _ONE_SERIES_WITHIN_SECONDS


def last_text_in_force(known: Mapping[TextKey, TextRecord]) -> Mapping[str, str]:
    """The hash of the text that was last in force, by document."""
    by_age = sorted(known, key=lambda key: (known[key].last_present, known[key].first_seen))
    return dict(by_age)

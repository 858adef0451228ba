"""Which rules cover a reference: by its own name, and by the last names of an image that has lost some."""

from __future__ import annotations

from collections.abc import Sequence

from controller.image.image import Image
from controller.image.reference import Reference, reference_from_engine
from controller.image.selector import SelectorIndex
from controller.plan.memory.memory import Record
from controller.plan.verdict.verdict import Rule


class RuleBook:
    """The rules of all documents that apply, indexed by the names that they cover."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._index = SelectorIndex((rule.selector, rule) for rule in rules)
        self.know_pressure = any(rule.delete_after_seconds_under_pressure is not None for rule in rules)

    def covering(self, image: Image, record: Record, reference: Reference | None) -> tuple[Rule, ...]:
        """Every rule that covers one reference of an image; None stands for an image without a name."""
        rules = self._found_by(names_for_rules(image, record, reference))
        return rules if has_lost_tag(image, record) else tuple(rule for rule in rules if not rule.lost_tag_only)

    def _found_by(self, names: Sequence[Reference | None]) -> tuple[Rule, ...]:
        if len(names) == 1:
            return self._index.matching(names[0])
        return tuple(dict.fromkeys(rule for name in names for rule in self._index.matching(name)))


def has_lost_tag(image: Image, record: Record) -> bool:
    """True if the image has no tag now and had one since it arrived; false if it has only had digests since then."""
    return not image.tags and not record.has_returned_bare and any("@" not in name for name in record.names)


def names_of(image: Image, record: Record) -> tuple[Reference, ...]:
    """The names of the image; where it has lost all tags or all digests, its last ones."""
    tags = image.tags or _last_names(record, is_digest=False)
    return (*tags, *(image.digests or _last_names(record, is_digest=True)), *_pinned_names(record))


def _last_names(record: Record, *, is_digest: bool) -> tuple[Reference, ...]:
    names = map(reference_from_engine, record.names)
    return tuple(name for name in names if (name.is_digest if is_digest else name.digest is None))


def _pinned_names(record: Record) -> tuple[Reference, ...]:
    """Names of the form `repo:tag@digest` that containers were created from, or that were pulled."""
    names = (reference_from_engine(name) for name in record.names if "@" in name)
    return tuple(name for name in names if name.tag)


def names_for_rules(image: Image, record: Record, reference: Reference | None) -> tuple[Reference | None, ...]:
    """The names by which rules find one reference of an image.

    A tag is found by itself only. A digest is also found by the digests beside it that are no references. After the
    last tag has moved on, it is found by the last tags of its repository too, and an image without any name by all its
    last names.
    """
    if reference is None:
        return (None, *names_of(image, record))
    if reference.tag is not None:
        return (reference,)
    beside = set(image.digests).difference(image.removable_references) if image.named_digests else ()
    last = (*([] if image.tags else _last_names(record, is_digest=False)), *_pinned_names(record))
    return (reference, *(name for name in (*beside, *last) if name.repository == reference.repository))

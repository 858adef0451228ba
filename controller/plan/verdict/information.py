"""Notes that are not problems: patterns that match nothing, and names that a rule does not match on Podman."""

from __future__ import annotations

from collections.abc import Iterator

from controller.image.reference import DOCKER_HUB, Reference
from controller.image.selector import SelectorIndex
from controller.plan.memory.memory import Memory
from controller.plan.memory.observation import Observation, Store
from controller.plan.verdict.covering import RuleBook, names_of
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.protection import has_registry, on_docker_hub
from controller.plan.verdict.verdict import Rule

_MOST_LINES = 20


def information(rules: RuleBook, memory: Memory, terms: Terms) -> tuple[str, ...]:
    """Lines for display, at most twenty. A rule that matches nothing is the normal state after its removals."""
    seen = memory.seen
    if seen is None:
        return ()
    covering = _covering(rules, memory, seen)
    lines = (*_unmatched_patterns(memory, seen, terms), *_unmatched_rules(rules, covering), *_near_misses(rules, seen))
    return lines if len(lines) <= _MOST_LINES else (*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more")


def _covering(rules: RuleBook, memory: Memory, seen: Observation) -> set[Rule]:
    """The rules that cover a reference on this node."""
    found: set[Rule] = set()
    for image in seen.images.values():
        record = memory.records[image.id]
        for reference in image.removable_references or (None,):
            found.update(rules.covering(image, record, reference))
    return found


def _unmatched_rules(rules: RuleBook, covering: set[Rule]) -> Iterator[str]:
    for rule in rules.rules:
        if rule not in covering:
            yield f"rule {rule.name} ({rule.selector.text}) matches no image"


def _unmatched_patterns(memory: Memory, seen: Observation, terms: Terms) -> Iterator[str]:
    """`--protect` patterns without an image; on Podman one without a registry covers any registry."""
    if not terms.protected:
        return
    index = SelectorIndex([(selector, selector.text) for selector in terms.protected])
    is_podman = seen.engine.store is Store.PODMAN
    matched: set[str] = set()
    for image in seen.images.values():
        for name in names_of(image, memory.records[image.id]) or (None,):
            matched.update(index.matching(name))
            if is_podman and name is not None:
                matched.update(text for text in index.matching(on_docker_hub(name)) if not has_registry(text))
    yield from (f"--protect {each.text} matches no image" for each in terms.protected if each.text not in matched)


def _near_misses(rules: RuleBook, seen: Observation) -> Iterator[str]:
    """Rules on Podman that would cover a name if it had no registry: that engine names local images `localhost/…`."""
    if seen.engine.store is not Store.PODMAN:
        return
    without_registry = [
        rule for rule in rules.rules if rule.selector.repository and not has_registry(rule.selector.text)
    ]
    index = SelectorIndex([(rule.selector, rule) for rule in without_registry])
    hinted: set[Rule] = set()
    for name in (name for image in seen.images.values() for name in image.tags if name.domain != DOCKER_HUB):
        for rule in _missed_by(index, name):
            if rule not in hinted:
                hinted.add(rule)
                yield f"rule {rule.name} ({rule.selector.text}) does not cover {name.text}: patterns need the registry"


def _missed_by(index: SelectorIndex[Rule], name: Reference) -> Iterator[Rule]:
    covers = index.matching(name)
    yield from (rule for rule in index.matching(on_docker_hub(name)) if rule not in covers)

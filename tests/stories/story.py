"""A story: the initial state, then its steps. The names of the steps are the methods of `StoryRunner`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controller.plan.memory.disk import DiskMark, PressureMarks
from controller.plan.memory.idleness import Usage
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits
from controller.settings import disk_mark, duration
from tests.fake_engine import Kind

FOLDER = Path(__file__).parent
_FIELDS = {"story", "from", "stores", "settings", "moments"}
_SETTINGS = {"settle", "usage", "resync", "max_removals_per_pass", "disk_pressure"}

Moment = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """One file."""

    name: str
    sentence: str
    """The behaviour that it shows."""
    sources: tuple[str, ...]
    """Behaviours of other tools that it covers, by their number in tests/data/peers.json."""
    kinds: tuple[Kind, ...]
    conditions: Conditions
    moments: tuple[Moment, ...]

    @property
    def words(self) -> set[str]:
        return {word for word, _ in self.moments}


def stories() -> Iterator[Story]:
    """All stories."""
    for file in sorted(FOLDER.glob("*.yaml")):
        yield _story(file.stem, yaml.safe_load(file.read_text()))


def _story(name: str, values: dict[str, Any]) -> Story:
    assert values.keys() <= _FIELDS, f"{name}: {values.keys() - _FIELDS}"
    stores = values.get("stores")
    return Story(
        name=name,
        sentence=values["story"],
        sources=tuple(values.get("from", ())),
        kinds=tuple(kind for kind in Kind if stores is None or kind.store.value in stores),
        conditions=_conditions(values.get("settings", {})),
        moments=tuple(map(_moment, values["moments"])),
    )


def _conditions(settings: dict[str, Any]) -> Conditions:
    assert settings.keys() <= _SETTINGS, settings.keys() - _SETTINGS
    marks = [DiskMark(used_share=disk_mark(mark)[1]) for mark in settings.get("disk_pressure", ())]
    pressure = PressureMarks(*marks) if marks else None
    terms = Terms(duration(settings.get("settle", "10m")), Usage(settings.get("usage", "any")), pressure=pressure)
    limits = Limits(settings.get("max_removals_per_pass"))
    return Conditions(terms, limits, duration(settings.get("resync", "5m")))


def _moment(values: str | dict[str, Any]) -> Moment:
    if isinstance(values, str):
        return values, None
    ((word, value),) = values.items()
    return word, value

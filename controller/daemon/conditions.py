"""Settings → the conditions under which passes decide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from controller.errors import InvalidSelector, InvalidSettings
from controller.image.selector import Selector, parse_selector
from controller.plan.memory.disk import DiskMark, PressureMarks
from controller.plan.memory.idleness import Usage
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits
from controller.quantity import seconds_in_words
from controller.settings import Settings

GivenMark = tuple[str, float]
"""As `settings.disk_mark` reads it."""


def conditions_of(settings: Settings) -> Conditions:
    """The settings that decisions depend on. Raises InvalidSettings."""
    terms = Terms(
        settings.settle,
        Usage(settings.usage),
        tuple(map(_protected, settings.protect)),
        settings.protect_local,
        _pressure_marks(settings.disk_pressure_start, settings.disk_pressure_stop),
    )
    limits = Limits(settings.max_removals_per_pass, settings.max_bytes_per_hour)
    return Conditions(terms, limits, settings.resync)


def _pressure_marks(start: GivenMark | None, stop: GivenMark | None) -> PressureMarks | None:
    if start is None and stop is None:
        return None
    if start is None or stop is None:
        name, other = ("stop", "start") if start is None else ("start", "stop")
        raise InvalidSettings(f"--disk-pressure-{name} also needs --disk-pressure-{other}")
    if start[0] != stop[0]:
        raise InvalidSettings(
            "--disk-pressure-start and --disk-pressure-stop must both be a percentage or both free:SIZE"
        )
    if start[0] == "used" and not stop[1] < start[1]:
        raise InvalidSettings("--disk-pressure-stop must be a smaller percentage than --disk-pressure-start")
    if start[0] == "free" and not stop[1] > start[1]:
        raise InvalidSettings("--disk-pressure-stop must be a larger free size than --disk-pressure-start")
    return PressureMarks(_mark(*start), _mark(*stop))


def _mark(kind: str, value: float) -> DiskMark:
    return DiskMark(used_share=value) if kind == "used" else DiskMark(free_bytes=int(value))


DECIDING = (
    *("policies", "docker_host", "node", "agent_url", "settle", "resync", "usage"),
    *("protect", "protect_local", "max_removals_per_pass", "max_bytes_per_hour"),
    *("disk", "disk_pressure_start", "disk_pressure_stop"),
)
"""Names of the settings that a decision depends on."""


def deciding_settings(settings: Settings) -> Mapping[str, str]:
    """These settings in words, by name: the controller keeps them in its ledger, so that `plan` can compare them."""
    return {name: _in_words(getattr(settings, name)) for name in DECIDING}


def _in_words(value: object) -> str:
    if isinstance(value, float):
        return seconds_in_words(value)
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple) and value and isinstance(value[-1], float):
        return str(_mark(*value))
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def _protected(text: str) -> Selector:
    try:
        return parse_selector(text)
    except InvalidSelector as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise InvalidSettings(f"--protect: {error.message}{hint}") from error

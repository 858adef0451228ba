"""Settings → the conditions under which passes decide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from controller.errors import InvalidSelector, InvalidSettings
from controller.image.selector import Selector, parse_selector
from controller.plan.memory.idleness import Usage
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.limits import Limits
from controller.plan.verdict.planner import Terms
from controller.quantity import seconds_in_words
from controller.settings import Settings


def conditions_of(settings: Settings) -> Conditions:
    """The settings that decisions depend on. Raises InvalidSettings."""
    terms = Terms(
        settings.settle, Usage(settings.usage), tuple(map(_protected, settings.protect)), settings.protect_local
    )
    limits = Limits(settings.max_removals_per_pass, settings.max_bytes_per_hour)
    return Conditions(terms, limits, settings.resync)


DECIDING = (
    *("policies", "docker_host", "node", "agent_url", "settle", "resync", "usage"),
    *("protect", "protect_local", "max_removals_per_pass", "max_bytes_per_hour"),
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
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return "none" if value in (None, "") else str(value)


def _protected(text: str) -> Selector:
    try:
        return parse_selector(text)
    except InvalidSelector as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise InvalidSettings(f"--protect: {error.message}{hint}") from error

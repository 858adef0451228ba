"""Settings → the conditions under which passes decide."""

from __future__ import annotations

from controller.errors import InvalidSelector, InvalidSettings
from controller.image.selector import Selector, parse_selector
from controller.plan.memory.idleness import Usage
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.limits import Limits
from controller.plan.verdict.planner import Terms
from controller.settings import Settings


def conditions_of(settings: Settings) -> Conditions:
    """The settings that decisions depend on. Raises InvalidSettings."""
    terms = Terms(
        settings.settle, Usage(settings.usage), tuple(map(_protected, settings.protect)), settings.protect_local
    )
    limits = Limits(settings.max_removals_per_pass, settings.max_bytes_per_hour)
    return Conditions(terms, limits, settings.resync)


def _protected(text: str) -> Selector:
    try:
        return parse_selector(text)
    except InvalidSelector as error:
        hint = f" ({error.hint})" if error.hint else ""
        raise InvalidSettings(f"--protect: {error.message}{hint}") from error

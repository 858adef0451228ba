"""Evaluate constraints for properties; if they are not satisfied, with the first that is not and why.

A property is compared by the kind of its value; its declared type counts for `version` and `list of strings` only.
Nothing here raises. Upstream: anax externalpolicy/counter_party_properties.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from controller.constraint.expression import And, Comparison, Expression, Or
from controller.constraint.go_text import parse_bool, parse_float
from controller.constraint.property import LIST_OF_STRINGS, VERSION, Property
from controller.constraint.version import is_range, is_version, parse_range
from controller.constraint.wording import shortened
from controller.value import dataclass

_SHOWN_PROPERTIES = 3


class _LoneQuoteError(Exception):
    """Upstream panics when it removes the quotes of a text that is a single quote."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Whether constraints are satisfied; `failed` is the first that is not, `unmet` are its false conditions."""

    holds: bool
    holder: str = ""
    failed: Expression | None = None
    unmet: tuple[Comparison, ...] = ()
    properties: Sequence[Property] = ()
    crashes_upstream: bool = False

    @property
    def why(self) -> str:
        """The reason as a sentence; empty if the constraints are satisfied."""
        if self.failed is None:
            return ""
        constraint = f"constraint '{shortened(str(self.failed), 200)}'"
        if self.crashes_upstream:
            return f"{constraint} cannot be evaluated: the agent crashes on a lone quotation mark of {self.holder}"
        return f"{constraint} is not satisfied: {self.holder} has {self._found()}"

    def _found(self) -> str:
        """The values of the unmet conditions: `site = "lyon" and no property region`."""
        found = dict.fromkeys(_holding(comparison, self.properties) for comparison in self.unmet)
        shown = list(found)[:_SHOWN_PROPERTIES]
        return " and ".join(shown) + (" and more" if len(found) > len(shown) else "")


def evaluate(expressions: Iterable[Expression], properties: Sequence[Property], holder: str = "the node") -> Evaluation:
    """Whether every expression is satisfied by the properties; the reason names their owner `holder`.

    Where upstream panics the result is false, with `crashes_upstream`.
    """
    for expression in expressions:
        try:
            unmet = _unmet(expression, properties)
        except _LoneQuoteError:
            return Evaluation(False, holder, expression, properties=properties, crashes_upstream=True)
        if unmet:
            return Evaluation(False, holder, expression, tuple(unmet), properties)
    return Evaluation(True)


def _unmet(expression: Expression, properties: Sequence[Property]) -> list[Comparison]:
    """The comparisons that make the expression false, in their order; none if it is true.

    Stops where upstream stops, because later parts can crash it. No recursion, because nesting has no limit.
    """
    unmet: list[Comparison] = []
    open_nodes: list[tuple[bool, Iterator[And | Or | Comparison], int]] = [(True, iter(expression.parts), 0)]
    value = False
    while open_nodes:
        decides, parts, first_unmet = open_nodes[-1]
        part = None if value is decides else next(parts, None)
        if part is None:
            open_nodes.pop()
            if value:
                del unmet[first_unmet:]
        elif isinstance(part, Comparison):
            value = _holds(part, properties)
            if not value:
                unmet.append(part)
        else:
            decides = isinstance(part, Or)
            value = not decides
            open_nodes.append((decides, iter(part.parts), len(unmet)))
    return unmet


def _holds(comparison: Comparison, properties: Sequence[Property]) -> bool:
    """The first property of the name with a result decides; a missing property is false for every operator."""
    for prop in properties:
        if prop.name == comparison.name:
            answer = _compare(comparison, prop)
            if answer is not None:
                return answer
    return False


def _holding(comparison: Comparison, properties: Sequence[Property]) -> str:
    """The property that the comparison tested, in words."""
    named = [prop for prop in properties if prop.name == comparison.name]
    if not named:
        name = comparison.name
        return f"no property {name if name == name.strip() else repr(name)}"
    return str(next((prop for prop in named if _compare(comparison, prop) is not None), named[0]))


def _compare(comparison: Comparison, prop: Property) -> bool | None:
    """Whether the property satisfies the comparison; None if upstream tries the next property of that name."""
    value = prop.value
    if isinstance(value, bool):
        return _compare_bool(value, comparison.operator, comparison.value)
    if isinstance(value, int | float):
        return _compare_number(value, comparison.operator, comparison.value)
    if isinstance(value, str):
        return _compare_text(value, prop.type, comparison.operator, comparison.value)
    return None


def _compare_bool(value: bool, operator: str, text: str) -> bool | None:
    wanted = parse_bool(text)
    if wanted is None:
        return False
    match operator:
        case "=" | "==":
            return value == wanted
        case "!=":
            return value != wanted
        case "in":
            return None
        case _:
            return False


def _compare_number(number: int | float, operator: str, text: str) -> bool:
    wanted = parse_float(text)
    if wanted is None:
        return False
    try:
        value = float(number)  # upstream uses float64 for all numbers
    except OverflowError:
        return False
    match operator:
        case "<":
            return value < wanted
        case ">":
            return value > wanted
        case "<=":
            return value <= wanted
        case ">=":
            return value >= wanted
        case "!=":
            return value != wanted
        case _:  # also => and =<
            return value == wanted


def _compare_text(text: str, declared: str, operator: str, quoted: str) -> bool:
    value, wanted = _unquoted(text).strip(" "), _unquoted(quoted).strip(" ")
    match operator:
        case "=" | "==":
            return _is_listed(wanted, value) or value == wanted
        case "!=" if declared == LIST_OF_STRINGS:
            return not _is_listed(wanted, value)
        case "!=":
            return value != wanted
        case "in" if declared == VERSION or (is_version(value) and is_range(wanted)):
            versions = parse_range(wanted)
            return versions is not None and value in versions
        case "in" if declared == LIST_OF_STRINGS:
            return any(_is_listed(_unquoted(part.strip(" ")), wanted) for part in value.split(","))
        case "in":
            return _is_listed(value, wanted)
        case _:
            return False


def _is_listed(value: str, listed: str) -> bool:
    """Whether a comma-separated list has the value as an element; quotes around elements are ignored."""
    wanted = _unquoted(value.strip(" "))
    return any(_unquoted(element.strip(" ")) == wanted for element in listed.split(","))


def _unquoted(text: str) -> str:
    if text == '"':
        raise _LoneQuoteError
    return text[1:-1] if text.startswith('"') and text.endswith('"') else text

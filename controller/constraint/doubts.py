"""Find constraints that upstream accepts and that do not mean what they seem to mean.

One that matches more than it seems to is an error; one that matches less, or something else, is a warning. Evaluation
is upstream's in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, TypeAlias

from controller.constraint.go_text import is_blank, trim_space
from controller.constraint.parser import parse_whole
from controller.constraint.tokens import Token, TokenKind, read_token
from controller.constraint.version import compare, parse_range
from controller.constraint.wording import quoted, shortened
from controller.errors import InvalidConstraint
from controller.value import dataclass

Severity: TypeAlias = Literal["error", "warning"]

_MOST = 20  # a constraint of 100 kB can have thousands
_MISSING = "write the missing condition"
_MEANT = {"=>": ">=", "=>=": ">=", "=<": "<=", "=<=": "<="}
_INVISIBLE = "\u00a0\u00ad\u115f\u1160\uffa0"


@dataclass(frozen=True, slots=True)
class Doubt:
    """`position` counts characters of the constraint from 0; `hint` is what was probably meant."""

    position: int
    severity: Severity
    message: str
    hint: str


def doubts(text: str) -> list[Doubt]:
    """The doubts about a constraint, in its order, at most 20, errors before warnings; none if it cannot be parsed."""
    try:
        _, end = parse_whole(text)  # cached
    except InvalidConstraint:
        return []
    tokens = list(_tokens(text, end))
    found = [*_about_emptiness(tokens), *_about_comparisons(tokens), *_about_the_rest(text, end)]
    # Warnings alone would leave a constraint valid that matches more than it seems to.
    reported = sorted(found, key=lambda doubt: (doubt.severity != "error", doubt.position))[:_MOST]
    return sorted(reported, key=lambda doubt: doubt.position)


def _tokens(text: str, end: int) -> Iterator[Token]:
    """The part of the constraint that upstream reads, and the end."""
    position = 0
    while position < end and not is_blank(text, position):
        token = read_token(text, position)
        yield token
        position = token.end
    yield Token(TokenKind.END, "", end)


def _about_emptiness(tokens: list[Token]) -> Iterator[Doubt]:
    """Upstream evaluates a missing condition as true."""
    if len(tokens) == 1:
        yield Doubt(0, "warning", "an empty constraint restricts nothing", "write a condition, or remove it")
    for token, following in pairwise(tokens):
        start = token.visible_start
        match token.kind, following.kind:
            case TokenKind.OPEN, TokenKind.CLOSE:
                yield Doubt(start, "error", "empty parentheses are always true", _MISSING)
            case TokenKind.OR, TokenKind.CLOSE | TokenKind.END:
                yield Doubt(start, "error", f"nothing follows {token.bare}, so the constraint is always true", _MISSING)
            case TokenKind.AND, TokenKind.CLOSE | TokenKind.END:
                yield Doubt(start, "warning", f"nothing follows {token.bare}, so it is ignored", _MISSING)


def _about_comparisons(tokens: list[Token]) -> Iterator[Doubt]:
    ahead = iter(tokens)
    for name in ahead:
        if name.kind in (TokenKind.WORD, TokenKind.IN_WORD):
            yield from _about_name(name)
            operator = next(ahead)
            if operator.kind in (TokenKind.EQUALITY, TokenKind.ORDER, TokenKind.IN):
                yield from _about_pair(operator, next(ahead))
            else:
                yield _about_glue(name, operator)


def _about_name(name: Token) -> Iterator[Doubt]:
    if name.text != name.bare:
        message = f"the leading blank is part of the name: this tests the property {quoted(name.text)}"
        yield Doubt(name.start, "warning", message, "remove the blank")
    if name.bare.startswith("!"):
        message = f"! is a letter here and not a negation: this tests the property {name.shown}"
        yield Doubt(name.visible_start, "warning", message, "compare with !=")
    yield from _about_invisible(name, name.text, "warning")


def _about_pair(operator: Token, value: Token) -> Iterator[Doubt]:
    """An operator, and the value that the property is compared with."""
    start = value.visible_start
    # A value that no property has matches less, except with this operator.
    severity: Severity = "error" if operator.bare == "!=" else "warning"
    if operator.bare in _MEANT:
        meant = _MEANT[operator.bare]
        yield Doubt(operator.visible_start, "warning", f"{operator.bare} means the same as ==", f"write {meant}")
    if operator.kind is TokenKind.IN and value.kind is TokenKind.VERSION:
        version = shortened(value.bare, 40)
        message = f"this means {version} or later for a property of the type version, and exactly {version} for others"
        yield Doubt(start, "warning", message, f"write [{version},INFINITY)")
    if value.kind is TokenKind.VERSION_RANGE:
        versions = parse_range(value.bare)
        if versions is not None and compare(versions.start, versions.end) > 0:
            yield Doubt(
                start,
                "warning",
                f"{value.shown} is empty: its end is lower than its start",
                "write the lower version first",
            )
    if (
        value.kind in (TokenKind.WORD, TokenKind.IN_WORD)
        and len(value.bare) > 1
        and value.bare[0] == value.bare[-1] == "'"
    ):
        yield Doubt(start, severity, f"the single quotes in {value.shown} are part of the value", 'write "" instead')
    yield from _about_invisible(value, trim_space(value.text), severity)


def _about_glue(name: Token, value: Token) -> Doubt:
    word, foo = shortened(name.bare, 40), shortened(value.bare, 40)
    message = f"without an operator, this tests whether the property {word.removesuffix('in')} is in {foo}"
    return Doubt(name.visible_start, "warning", message, f"write {word} == {foo} to test the property {word}")


def _about_invisible(token: Token, text: str, severity: Severity) -> Iterator[Doubt]:
    for character in _INVISIBLE:
        if character in text:
            message = f"the invisible character U+{ord(character):04X} is a letter here"
            yield Doubt(token.start + token.text.find(text) + text.find(character), severity, message, "remove it")


def _about_the_rest(text: str, end: int) -> Iterator[Doubt]:
    """Upstream only counts parentheses: the first surplus closing one ends the constraint."""
    if not is_blank(text, end):
        message = "upstream stops at this parenthesis and ignores the rest of the constraint"
        yield Doubt(end - 1, "error", message, "balance the parentheses")

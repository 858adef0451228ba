"""Constraints that upstream reads without complaint and that do not mean what they say.

A constraint comes in, what makes one doubt it goes out: as an error where it matches more than it says, as a warning
where it matches less, or otherwise. Evaluation stays upstream's all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

from controller.constraint.go_text import is_blank, trim_space
from controller.constraint.parser import parse_whole
from controller.constraint.tokens import Token, TokenKind, read_token
from controller.constraint.version import compare, parse_range
from controller.constraint.wording import shortened
from controller.errors import InvalidConstraint

Severity: TypeAlias = Literal["error", "warning"]

_MOST = 20  # a constraint of 100 kB has room for thousands of the same
_MISSING = "write the condition that is missing"
_MEANT = {"=>": ">=", "=>=": ">=", "=<": "<=", "=<=": "<="}
_INVISIBLE = "\u00a0\u00ad\u115f\u1160\uffa0"


@dataclass(frozen=True, slots=True)
class Doubt:
    """`position` counts characters of the constraint from 0; `hint` says what was probably meant."""

    position: int
    severity: Severity
    message: str
    hint: str


def doubts(text: str) -> list[Doubt]:
    """What makes one doubt the constraint, in its order, 20 at most; nothing if it cannot be read, which is worse."""
    try:
        _, end = parse_whole(text)  # remembered where somebody has just parsed it
    except InvalidConstraint:
        return []
    tokens = list(_tokens(text, end))
    found = [*_about_emptiness(tokens), *_about_comparisons(tokens), *_about_the_rest(text, end)]
    return sorted(found, key=lambda doubt: doubt.position)[:_MOST]


def _tokens(text: str, end: int) -> Iterator[Token]:
    """What upstream reads of the constraint, and the end."""
    position = 0
    while position < end and not is_blank(text, position):
        token = read_token(text, position)
        yield token
        position = token.end
    yield Token(TokenKind.END, "", end)


def _about_emptiness(tokens: list[Token]) -> Iterator[Doubt]:
    """Where a condition is missing, upstream takes it for true."""
    if len(tokens) == 1:
        yield Doubt(0, "warning", "an empty constraint restricts nothing", "write a condition, or remove it")
    for token, following in pairwise(tokens):
        start = token.visible_start
        match token.kind, following.kind:
            case TokenKind.OPEN, TokenKind.CLOSE:
                yield Doubt(start, "error", "empty parentheses are always true", _MISSING)
            case TokenKind.OR, TokenKind.CLOSE | TokenKind.END:
                yield Doubt(start, "error", f"nothing follows {token.bare}, which makes this always true", _MISSING)
            case TokenKind.AND, TokenKind.CLOSE | TokenKind.END:
                yield Doubt(start, "warning", f"nothing follows {token.bare}, which is ignored", _MISSING)


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
        message = f"the blank in front is part of the name: this asks for a property {shortened(name.text, 40)!r}"
        yield Doubt(name.start, "warning", message, "remove the blank")
    if name.bare.startswith("!"):
        message = f"! is a letter here and negates nothing: this asks for a property {name.shown}"
        yield Doubt(name.visible_start, "warning", message, "compare with !=")
    yield from _about_invisible(name, name.text, "warning")


def _about_pair(operator: Token, value: Token) -> Iterator[Doubt]:
    """An operator, and the value that the property is compared with."""
    start = value.visible_start
    # There is no negation around a comparison: a value that nothing has matches less, except with this operator.
    severity: Severity = "error" if operator.bare == "!=" else "warning"
    if operator.bare in _MEANT:
        meant = _MEANT[operator.bare]
        yield Doubt(operator.visible_start, "warning", f"{operator.bare} means the same as ==", f"write {meant}")
    if operator.kind is TokenKind.IN and value.kind is TokenKind.VERSION:
        version = shortened(value.bare, 40)
        message = f"this means {version} or later for a property of the type version, and {version} for others"
        yield Doubt(start, "warning", message, f"write [{version},INFINITY)")
    if value.kind is TokenKind.VERSION_RANGE:
        versions = parse_range(value.bare)
        if versions is not None and compare(versions.start, versions.end) > 0:
            yield Doubt(start, "warning", f"{value.shown} ends before it begins", "write the lower version first")
    if (
        value.kind in (TokenKind.WORD, TokenKind.IN_WORD)
        and len(value.bare) > 1
        and value.bare[0] == value.bare[-1] == "'"
    ):
        yield Doubt(start, severity, f"the single quotes in {value.shown} are part of the value", 'write "" instead')
    yield from _about_invisible(value, trim_space(value.text), severity)


def _about_glue(name: Token, value: Token) -> Doubt:
    word, foo = shortened(name.bare, 40), shortened(value.bare, 40)
    message = f"without an operator this asks whether the property {word.removesuffix('in')} is in {foo}"
    return Doubt(name.visible_start, "warning", message, f"write {word} == {foo}, if the property {word} is meant")


def _about_invisible(token: Token, text: str, severity: Severity) -> Iterator[Doubt]:
    for character in _INVISIBLE:
        if character in text:
            message = f"the character U+{ord(character):04X}, which cannot be seen, is a letter here"
            yield Doubt(token.start + token.text.find(text) + text.find(character), severity, message, "remove it")


def _about_the_rest(text: str, end: int) -> Iterator[Doubt]:
    """Upstream counts parentheses and does not pair them: the first that closes too much ends the constraint."""
    if not is_blank(text, end):
        message = "upstream stops at this parenthesis and ignores the rest of the constraint"
        yield Doubt(end - 1, "error", message, "pair the parentheses")

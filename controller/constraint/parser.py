"""Parse a constraint into an expression exactly as upstream does.

Upstream reads a constraint twice: to check it and count parentheses (`validate`), then to build the tree. Each accepts
texts that the other rejects, and `parse` needs both.
Upstream: anax externalpolicy/text_language/text_language.go and externalpolicy/constraint_expression.go.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NoReturn

from controller.constraint.expression import And, Comparison, Expression, Or
from controller.constraint.go_text import is_blank, parse_float, trim_space
from controller.constraint.tokens import Token, TokenKind, read_token
from controller.constraint.version import parse_range
from controller.errors import InvalidConstraint

_NAMES = (TokenKind.WORD, TokenKind.IN_WORD)
_OPERATORS = (TokenKind.EQUALITY, TokenKind.ORDER, TokenKind.IN)
_VALUES = (
    TokenKind.WORD,
    TokenKind.IN_WORD,
    TokenKind.QUOTED,
    TokenKind.LIST,
    TokenKind.VERSION,
    TokenKind.VERSION_RANGE,
    TokenKind.NUMBER,
)
_EXPECTED_OPERATOR = "expected && or || (AND or OR) between blanks, a parenthesis or the end"
_VALUES_OF_IN = (TokenKind.LIST, TokenKind.QUOTED, TokenKind.VERSION_RANGE, TokenKind.VERSION)


def parse(text: str) -> Expression:
    """The expression that upstream compiles the text to; raises InvalidConstraint where upstream compiles none."""
    return parse_whole(text)[0]


@lru_cache(maxsize=16384)  # a fleet has few different constraints
def parse_whole(text: str) -> tuple[Expression, int]:
    """The same, and the position after which upstream silently ignores the rest."""
    validate(text)
    return parse_prefix(text)


def validate(text: str) -> None:
    """Upstream's own check of a constraint; raises InvalidConstraint. It accepts `() a == 1`, which does not compile.

    constraint = { [ comparison ] { "(" | ")" } [ "&&" | "||" ] }, with as many "(" as ")", in any order
    """
    depth = last_closed = position = 0
    while position < len(text):
        comparison, position = _read_comparison(text, position)
        read_operator = _read_operator if comparison else _read_operator_or_nothing
        start = position
        operator, position = read_operator(text, start)
        while operator in ("(", ")"):
            depth += 1 if operator == "(" else -1
            last_closed = start if operator == ")" else last_closed
            start = position
            operator, position = read_operator(text, start)
    if depth > 0:
        raise InvalidConstraint("a closing parenthesis is missing", len(text))
    if depth < 0:
        raise InvalidConstraint("there are more closing than opening parentheses", last_closed)


def parse_prefix(text: str) -> tuple[Expression, int]:
    """The expression, and the position after which upstream silently ignores the rest; raises InvalidConstraint.

    expression = alternative { "||" alternative } [ ")" ]
    alternative = [ part { "&&" part } [ "&&" ] ]
    part = comparison | "(" expression
    """
    outer: list[tuple[list[Comparison | Or], list[And]]] = []
    parts: list[Comparison | Or] = []
    alternatives: list[And] = []
    position = 0
    while True:
        comparison, position = _read_comparison(text, position)
        if comparison:
            parts.append(comparison)
        operator, position = _read_operator(text, position)
        if operator == "(":
            outer.append((parts, alternatives))
            parts, alternatives = [], []
            continue
        while operator in (")", ""):
            whole = Or((*alternatives, And(tuple(parts))))
            if not outer:
                return whole, position
            parts, alternatives = outer.pop()
            parts.append(whole)
            operator, position = _read_operator(text, position)
        # After a ")" upstream skips a further "(" here, like "&&".
        if operator in ("||", "OR"):
            alternatives.append(And(tuple(parts)))
            parts = []


def _read_comparison(text: str, position: int) -> tuple[Comparison | None, int]:
    """comparison = name operator value | name-that-ends-with-in value; nothing before a parenthesis and at the end."""
    if is_blank(text, position):
        return None, len(text)
    name = read_token(text, position)
    if name.kind in (TokenKind.OPEN, TokenKind.CLOSE):
        return None, position
    if name.kind not in _NAMES:
        raise InvalidConstraint(f"expected a property name, found {name.shown}", name.visible_start)
    operator = read_token(text, name.end)
    if operator.kind not in _OPERATORS:
        return _read_glued(text, name, operator)
    value = read_token(text, operator.end)
    _check_value(value)
    _check_pair(operator, value)
    written = text[name.start : value.end]
    return Comparison(name.text, operator.bare, trim_space(value.text), written), value.end


def _read_glued(text: str, name: Token, value: Token) -> tuple[Comparison, int]:
    """`domain foo`: no operator, but the name ends with `in` and has more than 3 bytes."""
    if not (name.text.endswith("in") and len(name.text.encode()) > 3):
        _no_operator(name, value)
    _check_value(value)
    written = text[name.start : value.end]
    return Comparison(name.text[:-2], "in", trim_space(value.text), written), value.end


def _no_operator(name: Token, found: Token) -> NoReturn:
    if found.kind is TokenKind.END:
        raise InvalidConstraint(f"{name.shown}: missing operator and value", found.start)
    message = f"expected == != < > <= >= or in after {name.shown}, found {found.shown}"
    raise InvalidConstraint(message, found.visible_start)


def _check_value(value: Token) -> None:
    if value.kind not in _VALUES:
        raise InvalidConstraint(f"expected a value, found {value.shown}", value.visible_start)


def _check_pair(operator: Token, value: Token) -> None:
    """Check the operator against the kind of the value (validOpValuePair)."""
    fault = ""
    if operator.kind is TokenKind.EQUALITY and value.kind in (TokenKind.VERSION_RANGE, TokenKind.LIST):
        fault = f"{value.shown} needs the operator in"
    elif operator.kind is TokenKind.ORDER and parse_float(value.text) is None:
        fault = f"expected a number without quotes after {operator.bare}, found {value.shown}"
    elif operator.kind is TokenKind.IN and value.kind not in _VALUES_OF_IN:
        fault = f"expected quoted text or versions such as [1.0.0,2.0.0) after in, found {value.shown}"
    elif operator.kind is TokenKind.IN and value.kind is TokenKind.VERSION_RANGE and parse_range(value.text) is None:
        fault = f"{value.shown} is not a version range such as [1.0.0,2.0.0): three numbers each, no blanks"
    if fault:
        raise InvalidConstraint(fault, value.visible_start)


def _read_operator(text: str, position: int) -> tuple[str, int]:
    """operator = "&&" | "AND" | "||" | "OR" | "(" | ")"; an empty text at the end."""
    if is_blank(text, position):
        return "", len(text)
    token = read_token(text, position)
    if token.kind not in (TokenKind.AND, TokenKind.OR, TokenKind.OPEN, TokenKind.CLOSE):
        raise InvalidConstraint(f"{_EXPECTED_OPERATOR}, found {token.shown}", token.visible_start)
    return token.bare, token.end


def _read_operator_or_nothing(text: str, position: int) -> tuple[str, int]:
    """Without a comparison before it, upstream's check accepts a missing operator."""
    try:
        return _read_operator(text, position)
    except InvalidConstraint:
        return "", position

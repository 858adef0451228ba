"""The expression of a constraint: an Or of Ands of comparisons, as upstream builds it.

Each pair of parentheses is an Or of Ands again. An And without parts is true. No recursion, because
nesting has no limit.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias

from controller.value import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition, parsed and as written; `value` keeps its quotes."""

    name: str
    operator: str
    value: str
    written: str = field(compare=False)

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Comparison | Or, ...]

    def __str__(self) -> str:
        return _written(self)


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[And, ...]

    def __str__(self) -> str:
        return _written(self)


Expression: TypeAlias = Or


def _written(root: And | Or) -> str:
    """The text of an expression; parsing it gives the same expression."""
    pieces: list[str] = []
    ahead: list[And | Or | Comparison | str] = [root]
    while ahead:
        match ahead.pop():
            case And(parts):
                ahead.extend(reversed(_all_of(parts)))
            case Or(alternatives):
                ahead.extend(reversed(_any_of(alternatives)))
            case piece:
                pieces.append(str(piece))
    return "".join(pieces)


def _all_of(parts: tuple[Comparison | Or, ...]) -> list[Comparison | Or | str]:
    pieces: list[Comparison | Or | str] = []
    for part in parts:
        pieces += [" && "] if pieces else []
        pieces += ["(", part, ")"] if isinstance(part, Or) else [part]
    return pieces


def _any_of(alternatives: tuple[And, ...]) -> list[And | str]:
    pieces: list[And | str] = []
    for alternative in alternatives:
        pieces += [" || ", alternative] if pieces else [alternative]
    return pieces

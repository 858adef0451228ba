"""Split a constraint into tokens with positions.

The kinds and their order are upstream's: at each position the first kind that matches wins, not the longest, without
backtracking.
Upstream: the EBNF in anax externalpolicy/text_language/text_language.go, as the lexer of participle 0.7.1 reads it.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from typing import NamedTuple

from controller.constraint.wording import quoted
from controller.errors import InvalidConstraint

_BLANKS = "\n\r\t "


class TokenKind(Enum):
    IN_WORD = "a word that begins with `in`"
    AND = "AND"
    OR = "OR"
    ORDER = "an operator such as <="
    IN = "`in`"
    EQUALITY = "an operator such as =="
    VERSION_RANGE = "a range of versions"
    VERSION = "a version"
    NUMBER = "a number"
    OPEN = "("
    CLOSE = ")"
    WORD = "a word"
    QUOTED = "a text in quotes"
    LIST = "a list in quotes"
    END = "the end"


class Token(NamedTuple):
    """`text` keeps the blanks that belong to the token; `start` counts characters of the constraint from 0."""

    kind: TokenKind
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def bare(self) -> str:
        """Without the blanks around it."""
        return self.text.strip(_BLANKS)

    @property
    def visible_start(self) -> int:
        """The position after the leading blanks."""
        return self.end - len(self.text.lstrip(_BLANKS))

    @property
    def shown(self) -> str:
        """The token as messages show it."""
        return "the end" if self.kind is TokenKind.END else quoted(self.bare)


# The no-break space, the times sign, the euro sign and full-width forms are letters here; Greek and Cyrillic are not.
_LETTERS = (
    "A-Za-z\u4e00-\u9fff\u00a0-\u00ff\u3040-\u309f\u1100-\u11ff\uac00-\ud7af\u30a0-\u30ff\uff00-\uffef\u20a0-\u20cf"
)
_IN_WORDS = rf"{_LETTERS}0-9_\-/!?+~'."
_S, _W, _IN_QUOTES = f"[{_BLANKS}]", f"[{_IN_WORDS}]", f"{_IN_WORDS} \t"
_NUMBERS = r"[0-9]*\.[0-9]*\.[0-9]*"

# Upstream's lexer fails inside a literal without going back: at words such as `init`, and at `!x=`.
_STUMBLE = rf"(?:in)+(?!in)i|{_S}*![^=]="

# No repetition overlaps with what follows it, so that matching takes linear time.
_PATTERNS = {
    TokenKind.IN_WORD: rf"(?:in)+(?!in){_W}+",
    TokenKind.AND: rf"{_S}+(?:AND|&&){_S}+",
    TokenKind.OR: rf"{_S}+(?:OR|\|\|){_S}+",
    TokenKind.ORDER: rf"{_S}*=?[<>]=?{_S}*",
    TokenKind.IN: rf"{_S}*in{_S}*",
    TokenKind.EQUALITY: rf"{_S}*(?:!=|==?){_S}*",
    TokenKind.VERSION_RANGE: rf"{_S}*[(\[]{_NUMBERS}{_S}*,{_S}*(?:{_NUMBERS}|[0-9]*(?:\.[0-9]*)?INFINITY)[\])]",
    TokenKind.VERSION: rf"{_S}*{_NUMBERS}",
    TokenKind.NUMBER: rf"{_S}*-?[0-9]+(?:\.[0-9]*)?",
    TokenKind.OPEN: rf"{_S}*\({_S}*",
    TokenKind.CLOSE: rf"{_S}*\)",
    TokenKind.WORD: rf"{_S}*{_W}+",
    TokenKind.QUOTED: rf'{_S}*"[{_IN_QUOTES}]+"',
    TokenKind.LIST: rf'{_S}*"[{_IN_QUOTES},]+"',
    TokenKind.END: r"\Z",
}
_KINDS = {kind.name: kind for kind in _PATTERNS}
_NOT_IN_QUOTES = rf"[^{_IN_QUOTES},]"
_NOT_IN_THE_LANGUAGE = rf"[^{_IN_QUOTES},\r\n()\[\]<>=&|\"]"


@cache
def _token() -> re.Pattern[str]:
    """Compiled on first use: commands that only read the ledger do not need it."""
    return re.compile("|".join((f"(?P<STUMBLE>{_STUMBLE})", *(f"(?P<{k.name}>{p})" for k, p in _PATTERNS.items()))))


def read_token(text: str, start: int) -> Token:
    """The token at `start`; raises InvalidConstraint if there is none."""
    found = _token().match(text, start)
    if found is None or found.lastgroup is None:
        raise _no_token(text, start)
    if found.lastgroup == "STUMBLE":
        raise _stumbled(found[0].lstrip(_BLANKS), found.end())
    return Token(_KINDS[found.lastgroup], found[0], start)


def _stumbled(read: str, end: int) -> InvalidConstraint:
    if read.startswith("!"):
        message = f"cannot parse {quoted(read)}: the operator is !="
    else:
        message = f"cannot parse a word that starts with {quoted(read[:9])}: in is an operator (put values in quotes)"
    return InvalidConstraint(message, end - len(read))


def _no_token(text: str, start: int) -> InvalidConstraint:
    """The error at `start`, where no token starts."""
    rest = text[start:].lstrip(_BLANKS)
    position = len(text) - len(rest)
    first = rest[:1]
    if not rest:
        return InvalidConstraint("unexpected end of the constraint", position)
    if foreign := re.match(_NOT_IN_THE_LANGUAGE, first):
        return InvalidConstraint(_foreign(foreign[0]), position)
    if first == '"':
        return _bad_quotes(text, position)
    if first in "&|":
        return InvalidConstraint("&&, ||, AND and OR need a blank on both sides", position)
    if first in "[]":
        return InvalidConstraint("not a version range such as [1.0.0,2.0.0): three numbers each, no blanks", position)
    return InvalidConstraint(f"unexpected {quoted(first)}", position)


def _bad_quotes(text: str, start: int) -> InvalidConstraint:
    stop = re.compile(_NOT_IN_QUOTES).search(text, start + 1)
    if stop is None:
        return InvalidConstraint("missing closing quote", start)
    if stop[0] == '"':
        return InvalidConstraint("empty quotes: a constraint cannot contain an empty text", start)
    return InvalidConstraint(_foreign(stop[0]), stop.start())


def _foreign(character: str) -> str:
    return (
        f"{quoted(character)} is not allowed in a constraint, not even in quotes "
        "(allowed: letters, digits and _ - / ! ? + ~ ' .)"
    )

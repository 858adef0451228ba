"""Text > tokens which know their position.

The kinds and their order are upstream's: at each position the first kind that matches wins, not the longest, and what
was read is never read again another way. What the tokens mean together is in parser.py.
Upstream: the EBNF in anax externalpolicy/text_language/text_language.go, as the lexer of participle 0.7.1 reads it.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from typing import NamedTuple

from controller.constraint.wording import shortened
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
        """Where the token begins for the eye, behind its blanks."""
        return self.end - len(self.text.lstrip(_BLANKS))

    @property
    def shown(self) -> str:
        """How messages name it."""
        return "the end" if self.kind is TokenKind.END else repr(shortened(self.bare, 40))


# The no-break space, the times sign, the euro sign and full-width forms are letters here; Greek and Cyrillic are not.
_LETTERS = (
    "A-Za-z\u4e00-\u9fff\u00a0-\u00ff\u3040-\u309f\u1100-\u11ff\uac00-\ud7af\u30a0-\u30ff\uff00-\uffef\u20a0-\u20cf"
)
_IN_WORDS = rf"{_LETTERS}0-9_\-/!?+~'."
_S, _W, _IN_QUOTES = f"[{_BLANKS}]", f"[{_IN_WORDS}]", f"{_IN_WORDS} \t"
_NUMBERS = r"[0-9]*\.[0-9]*\.[0-9]*"

# Where upstream's lexer fails in the middle of a literal, it has swallowed what it read of it, and the constraint is
# lost: at words such as `init`, and at `!x=` where a token begins.
_STUMBLE = rf"(?:in)+(?!in)i|{_S}*![^=]="

# Each repetition is of characters that nothing behind it begins with: no text is tried in two ways, none takes long.
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
    """Compiled for the first constraint: a command that only reads the ledger need not wait for it."""
    return re.compile("|".join((f"(?P<STUMBLE>{_STUMBLE})", *(f"(?P<{k.name}>{p})" for k, p in _PATTERNS.items()))))


def read_token(text: str, start: int) -> Token:
    """The token at `start`; raises InvalidConstraint where none begins."""
    found = _token().match(text, start)
    if found is None or found.lastgroup is None:
        raise _no_token(text, start)
    if found.lastgroup == "STUMBLE":
        raise _stumbled(found[0].lstrip(_BLANKS), found.end())
    return Token(_KINDS[found.lastgroup], found[0], start)


def _stumbled(read: str, end: int) -> InvalidConstraint:
    if read.startswith("!"):
        message = f"{read!r} cannot be read; the operator is written !="
    else:
        message = f"a word that begins with {read[:9]!r} cannot be read, since `in` is an operator; quote values"
    return InvalidConstraint(message, end - len(read))


def _no_token(text: str, start: int) -> InvalidConstraint:
    """What is wrong at `start`, where no token begins."""
    rest = text[start:].lstrip(_BLANKS)
    position = len(text) - len(rest)
    first = rest[:1]
    if not rest:
        return InvalidConstraint("something is missing at the end", position)
    if foreign := re.match(_NOT_IN_THE_LANGUAGE, first):
        return InvalidConstraint(_foreign(foreign[0]), position)
    if first == '"':
        return _bad_quotes(text, position)
    if first in "&|":
        return InvalidConstraint("&& and || stand between blanks, as do AND and OR", position)
    if first in "[]":
        return InvalidConstraint("a range is written with three numbers each and no blanks: [1.0.0,2.0.0)", position)
    return InvalidConstraint(f"{first!r} cannot stand here", position)


def _bad_quotes(text: str, start: int) -> InvalidConstraint:
    stop = re.compile(_NOT_IN_QUOTES).search(text, start + 1)
    if stop is None:
        return InvalidConstraint("the quotes are not closed", start)
    if stop[0] == '"':
        return InvalidConstraint("there is nothing between the quotes; an empty text cannot be written", start)
    return InvalidConstraint(_foreign(stop[0]), stop.start())


def _foreign(character: str) -> str:
    return (
        f"{character!r} does not exist in the language of constraints, in quotes or not; "
        "besides letters and digits there are _ - / ! ? + ~ ' ."
    )

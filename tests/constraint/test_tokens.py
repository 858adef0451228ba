from __future__ import annotations

import pytest

from controller.constraint.tokens import TokenKind, read_token
from controller.errors import InvalidConstraint


@pytest.mark.parametrize(
    ("text", "kind", "read"),
    [
        ("inside == x", TokenKind.IN_WORD, "inside"),
        (" inside", TokenKind.IN, " in"),
        ("inin", TokenKind.IN, "in"),
        (" AND b", TokenKind.AND, " AND "),
        ("AND b", TokenKind.WORD, "AND"),
        (" && b", TokenKind.AND, " && "),
        ("\tOR\nb", TokenKind.OR, "\tOR\n"),
        (" OR(", TokenKind.WORD, " OR"),
        ("=>= 5", TokenKind.ORDER, "=>= "),
        ("== 5", TokenKind.EQUALITY, "== "),
        ("===", TokenKind.EQUALITY, "=="),
        ("!= 5", TokenKind.EQUALITY, "!= "),
        ("!a", TokenKind.WORD, "!a"),
        ("(1.0.0,2.0.0]", TokenKind.VERSION_RANGE, "(1.0.0,2.0.0]"),
        ("[..,INFINITY)", TokenKind.VERSION_RANGE, "[..,INFINITY)"),
        ("(1.0)", TokenKind.OPEN, "("),
        ("1.2.3.4", TokenKind.VERSION, "1.2.3"),
        ("..", TokenKind.VERSION, ".."),
        ("1.5abc", TokenKind.NUMBER, "1.5"),
        ("-5", TokenKind.NUMBER, "-5"),
        ("-x", TokenKind.WORD, "-x"),
        ("( a", TokenKind.OPEN, "( "),
        (" ) ", TokenKind.CLOSE, " )"),
        (" \u00a0é€ b", TokenKind.WORD, " \u00a0é€"),
        ('"a b" ', TokenKind.QUOTED, '"a b"'),
        (' "a,b"', TokenKind.LIST, ' "a,b"'),
        ("", TokenKind.END, ""),
    ],
)
def test_the_first_kind_that_matches_is_read(text: str, kind: TokenKind, read: str) -> None:
    token = read_token(f"x{text}", 1)
    assert (token.kind, token.text, token.end) == (kind, read, 1 + len(read))


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("init", 0, '"ini"'),
        ("inini", 0, '"inini"'),
        ("  !x=", 2, '"!x="'),
        ("a:b", 1, '":"'),
        (" я", 1, '"я"'),
        ('"a:b"', 2, '":"'),
        ('"abc', 0, "missing closing quote"),
        ('""', 0, "empty quotes"),
        ("&&b", 0, "need a blank"),
        ("[1,2)", 0, "three numbers each"),
        ("\u2003a", 0, '"\\u2003"'),
        ("  ", 2, "unexpected end"),
        (",", 0, '","'),
    ],
)
def test_an_unreadable_token_has_its_position(text: str, position: int, message: str) -> None:
    with pytest.raises(InvalidConstraint) as caught:
        read_token(text, 1 if text == "a:b" else 0)
    assert message in caught.value.message
    assert caught.value.position == position


def test_the_visible_start_is_after_the_blanks() -> None:
    token = read_token("a == x", 1)
    assert (token.start, token.visible_start, token.bare) == (1, 2, "==")

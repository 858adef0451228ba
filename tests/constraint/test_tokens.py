from __future__ import annotations

import pytest

from controller.constraint.tokens import Kind, read_token
from controller.errors import InvalidConstraint


@pytest.mark.parametrize(
    ("text", "kind", "read"),
    [
        ("inside == x", Kind.IN_WORD, "inside"),
        (" inside", Kind.IN, " in"),
        ("inin", Kind.IN, "in"),
        (" AND b", Kind.AND, " AND "),
        ("AND b", Kind.WORD, "AND"),
        (" && b", Kind.AND, " && "),
        ("\tOR\nb", Kind.OR, "\tOR\n"),
        (" OR(", Kind.WORD, " OR"),
        ("=>= 5", Kind.ORDER, "=>= "),
        ("== 5", Kind.EQUALITY, "== "),
        ("===", Kind.EQUALITY, "=="),
        ("!= 5", Kind.EQUALITY, "!= "),
        ("!a", Kind.WORD, "!a"),
        ("(1.0.0,2.0.0]", Kind.VERSION_RANGE, "(1.0.0,2.0.0]"),
        ("[..,INFINITY)", Kind.VERSION_RANGE, "[..,INFINITY)"),
        ("(1.0)", Kind.OPEN, "("),
        ("1.2.3.4", Kind.VERSION, "1.2.3"),
        ("..", Kind.VERSION, ".."),
        ("1.5abc", Kind.NUMBER, "1.5"),
        ("-5", Kind.NUMBER, "-5"),
        ("-x", Kind.WORD, "-x"),
        ("( a", Kind.OPEN, "( "),
        (" ) ", Kind.CLOSE, " )"),
        (" \u00a0é€ b", Kind.WORD, " \u00a0é€"),
        ('"a b" ', Kind.QUOTED, '"a b"'),
        (' "a,b"', Kind.LIST, ' "a,b"'),
        ("", Kind.END, ""),
    ],
)
def test_the_first_kind_that_matches_is_read(text: str, kind: Kind, read: str) -> None:
    token = read_token(f"x{text}", 1)
    assert (token.kind, token.text, token.end) == (kind, read, 1 + len(read))


@pytest.mark.parametrize(
    ("text", "position", "told"),
    [
        ("init", 0, "'ini'"),
        ("inini", 0, "'inini'"),
        ("  !x=", 2, "'!x='"),
        ("a:b", 1, "':'"),
        (" я", 1, "'я'"),
        ('"a:b"', 2, "':'"),
        ('"abc', 0, "not closed"),
        ('""', 0, "nothing between the quotes"),
        ("&&b", 0, "blanks"),
        ("[1,2)", 0, "three numbers each"),
        ("\u2003a", 0, "'\\u2003'"),
        ("  ", 2, "missing at the end"),
        (",", 0, "','"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text: str, position: int, told: str) -> None:
    with pytest.raises(InvalidConstraint) as caught:
        read_token(text, 1 if text == "a:b" else 0)
    assert told in caught.value.message
    assert caught.value.position == position


def test_the_eye_begins_behind_the_blanks() -> None:
    token = read_token("a == x", 1)
    assert (token.start, token.visible_start, token.bare) == (1, 2, "==")

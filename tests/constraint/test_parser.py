from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.expression import And, Comparison, Or
from controller.constraint.parser import parse, parse_prefix, validate
from controller.errors import InvalidConstraint
from tests.constraint.texts import constraints, pieces
from tests.steps import grows_linearly

_A = Comparison("a", "==", "1", "")
_B = Comparison("b", "==", "2", "")
_C = Comparison("c", "==", "3", "")
_TRUE = And(())


def _is_accepted(reader: Callable[[str], object], text: str) -> bool:
    try:
        reader(text)
    except InvalidConstraint:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a == 1", Or((And((_A,)),))),
        ("a == 1 && b == 2 || c == 3", Or((And((_A, _B)), And((_C,))))),
        ("a == 1 AND (b == 2 OR c == 3)", Or((And((_A, Or((And((_B,)), And((_C,)))))),))),
        ("a == 1 && ", Or((And((_A,)),))),
        ("a == 1 || ", Or((And((_A,)), _TRUE))),
        ("", Or((_TRUE,))),
        (" \u3000", Or((_TRUE,))),
        ("(())", Or((And((Or((And((Or((_TRUE,)),)),)),)),))),
        ("a == 1) && (c == x", Or((And((_A,)),))),
        (")(", Or((_TRUE,))),
        ("(a == 1)()", Or((And((Or((And((_A,)),)),)),))),
    ],
)
def test_a_constraint_means_this(text: str, expression: Or) -> None:
    assert parse(text) == expression


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        ("a=b", ("a", "=", "b")),
        (" a == b", (" a", "==", "b")),
        ("a! = b", ("a!", "=", "b")),
        ("n =>= 5", ("n", "=>=", "5")),
        ('a in "x, y"', ("a", "in", '"x, y"')),
        ("domain foo", ("doma", "in", "foo")),
        ("abin[1.0.0, 2.0.0)", ("ab", "in", "[1.0.0, 2.0.0)")),
        ("éin 5", ("é", "in", "5")),
        ("a == \u00a0", ("a", "==", "")),
        ("AND == OR", ("AND", "==", "OR")),
    ],
)
def test_a_comparison_is_split_here(text: str, comparison: tuple[str, str, str]) -> None:
    assert parse(text) == Or((And((Comparison(*comparison, text),)),))


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a==1&&b==2", 4, "need a blank"),
        ("a == 1 and b == 2", 7, 'found "and"'),
        ("NOT a == 1", 4, 'after "NOT", found "a"'),
        ("a === 1", 4, "expected a value"),
        ("a <> 1", 3, "expected a value"),
        ("a == nginx:1", 10, '":" is not allowed in a constraint'),
        ("a in x", 5, "expected quoted text or versions"),
        ("a in [1.0.0, 2.0.0)", 5, "is not a version range"),
        ('a == "x,y"', 5, "needs the operator in"),
        ("a != [1.0.0,2.0.0)", 5, "needs the operator in"),
        ('a < "5"', 4, "expected a number"),
        ("a < 1.2.3", 4, "expected a number"),
        ("a < \u00a05", 4, "expected a number"),
        ("5 == a", 0, "expected a property name"),
        ("min 5", 4, 'after "min"'),
        ("abin", 4, "expected a value, found the end"),
        ("ain", 3, "missing operator and value"),
        ("(a == 1", 7, "closing parenthesis is missing"),
        ("a == 1)", 6, "more closing"),
        ("(a == 1)(b == 2)", 9, 'found "b"'),
        ("() a == 1", 3, 'found "a"'),
    ],
)
def test_the_position_of_what_upstream_rejects_is_reported(text: str, position: int, message: str) -> None:
    with pytest.raises(InvalidConstraint) as caught:
        parse(text)
    assert message in caught.value.message
    assert caught.value.position == position


def test_validation_accepts_what_does_not_compile() -> None:
    validate("() a == 1")
    validate("()a == 1")
    with pytest.raises(InvalidConstraint):
        parse("()a == 1")


def test_compiling_accepts_what_does_not_validate() -> None:
    assert parse_prefix("(a == 1")[0] == parse("(a == 1)")
    with pytest.raises(InvalidConstraint):
        validate("(a == 1")


def test_the_place_where_upstream_stops_is_reported() -> None:
    assert parse_prefix("a == 1) && (c == x")[1] == len("a == 1)")
    assert parse_prefix("(a == 1)() && b == 2")[1] == len("(a == 1)()")
    assert parse_prefix("a == 1 ")[1] == len("a == 1 ")


@given(constraints)
def test_a_printed_expression_parses_to_the_same(text: str) -> None:
    expression = parse(text)
    assert parse(str(expression)) == expression


@given(pieces)
def test_printing_keeps_the_meaning_of_everything_that_can_be_read(text: str) -> None:
    if _is_accepted(parse, text):
        assert parse(str(parse(text))) == parse(text)


@given(st.text() | pieces)
def test_only_invalid_constraint_is_raised(text: str) -> None:
    if not _is_accepted(parse, text):
        with pytest.raises(InvalidConstraint) as caught:
            parse(text)
        assert 0 <= caught.value.position <= len(text)


@given(constraints, constraints)
def test_a_pair_of_parentheses_is_one_condition(left: str, right: str) -> None:
    whole = parse(f"({left}) && ({right})")
    assert whole == Or((And((parse(left), parse(right))),))


_NASTY: dict[str, Callable[[int], str]] = {
    "parentheses that open": lambda size: "(" * size,
    "parentheses in pairs": lambda size: "(" * (size // 2) + ")" * (size // 2),
    "parentheses the wrong way round": lambda size: ")" * (size // 2) + "(" * (size // 2),
    "empty parentheses": lambda size: "()" * (size // 2),
    "conditions in each other": lambda size: "(a == 1 && " * (size // 12) + "b == 2" + ")" * (size // 12),
    "conditions in a row": lambda size: " || ".join(["a == 1"] * (size // 10)),
    "blanks": lambda size: "a == 1" + " " * size + "(" + " " * size,
    "no-break spaces": lambda size: "\u00a0 " * (size // 2) + "x",
    "blanks for Go only": lambda size: "\u2003" * size + "x",
    "in in in": lambda size: "in" * (size // 2) + "X",
    "digits": lambda size: "a < " + "1" * size,
    "a range of digits": lambda size: "a in [" + "1" * (size // 2) + "." + "1" * (size // 2),
    "a range with blanks": lambda size: "a in [1.0.0" + " " * (size // 2) + "," + " " * (size // 2) + "x",
    "quotes": lambda size: '"' * size,
    "an open quote": lambda size: 'a == "' + "x" * size,
    "exclamation marks": lambda size: "!" * size,
    "equal signs": lambda size: "a " + "=" * size,
    "words without operators": lambda size: "domain " * (size // 7),
}


def _parse_and_print(text: str) -> None:
    if _is_accepted(parse, text):
        str(parse(text))


@pytest.mark.parametrize("text_of", _NASTY.values(), ids=_NASTY.keys())
def test_a_long_text_takes_steps_in_proportion_to_its_length(text_of: Callable[[int], str]) -> None:
    _parse_and_print(text_of(100_000))
    assert grows_linearly(lambda size: _parse_and_print(text_of(size)), 1_000)


def test_nesting_has_no_limit() -> None:
    depth = 50_000
    assert str(parse("(" * depth + "a == 1" + ")" * depth)).count("(") == depth
    with pytest.raises(InvalidConstraint, match="missing"):
        parse("(" * depth)

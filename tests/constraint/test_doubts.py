from __future__ import annotations

import pytest
from hypothesis import given

from controller.constraint.doubts import doubts
from tests.constraint.texts import pieces
from tests.steps import grows_linearly


@pytest.mark.parametrize(
    "text",
    [
        "a == 1",
        "a == 1 && b == 2 || c == 3",
        '(a == 1) AND (b in "x,y")',
        "a != 1",
        "v in [1.0.0,INFINITY)",
        "domain == foo",
        "it's == x",
        "a == !x",
        "a == paris\u00a0",
    ],
)
def test_there_is_no_doubt_about_this(text: str) -> None:
    assert doubts(text) == []


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("a == 1 || ", 7, "nothing follows ||"),
        ("(a == 1 OR ) && b == 2", 8, "nothing follows OR"),
        ("a == 1 || ()", 10, "empty parentheses"),
        ("( )", 0, "empty parentheses"),
        ("a == 1) && (c == x", 6, "ignores the rest"),
        ("(a == 1 && b == 2)) && (c == 3", 18, "ignores the rest"),
        (")(", 0, "ignores the rest"),
        ("a != 'x'", 5, "single quotes"),
        ('a != "x\u00a0y"', 7, "U+00A0"),
    ],
)
def test_a_constraint_that_matches_more_is_an_error(text: str, position: int, message: str) -> None:
    [found] = doubts(text)
    assert (found.severity, found.position) == ("error", position)
    assert message in found.message


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "restricts nothing"),
        (" \t", 0, "restricts nothing"),
        ("a == 1 && ", 7, "nothing follows &&"),
        (" a == 1", 0, "part of the name"),
        ("n => 5", 2, "=> means the same as =="),
        ("n=<=5", 1, "=<= means the same as =="),
        ("domain foo", 0, "property doma is in foo"),
        ("abin [1.0.0,2.0.0)", 0, "property ab is in [1.0.0,2.0.0)"),
        ("!a == 1", 0, "not a negation"),
        ("a == 'x'", 5, "single quotes"),
        ("a\u00a0== 1", 1, "U+00A0"),
        ('a == "so\u00adft"', 8, "U+00AD"),
        ("v in 1.0.0", 5, "1.0.0 or later"),
        ("v in [2.0.0,1.0.0)", 5, "is empty: its end is lower than its start"),
    ],
)
def test_a_constraint_that_matches_less_or_otherwise_is_a_warning(text: str, position: int, message: str) -> None:
    [found] = doubts(text)
    assert (found.severity, found.position) == ("warning", position)
    assert message in found.message


def test_the_hint_says_what_was_probably_meant() -> None:
    assert [doubt.hint for doubt in doubts("n => 5 && a == 'x'")] == ["write >=", 'write "" instead']
    assert "domain == foo" in doubts("domain foo")[0].hint


def test_doubts_come_in_the_order_of_the_text() -> None:
    found = doubts("n => 5 && a == 'x' || ()) && (b == 1")
    assert [doubt.position for doubt in found] == [2, 15, 22, 24]


def test_invalid_constraints_have_no_doubts() -> None:
    assert doubts("a == 1 ||") == []
    assert doubts("() a == 1") == []


def test_thousands_of_doubts_are_cut_and_take_steps_in_proportion() -> None:
    assert len(doubts(" && ".join(["()"] * 16_000))) == 20
    assert grows_linearly(lambda count: doubts(" && ".join(["()"] * count)), 500)


@pytest.mark.parametrize("end", [" || ", " && ()", ") && (b == 1"])
def test_an_error_after_many_warnings_is_reported(end: str) -> None:
    """Else a constraint that is always true, or that lost its end, would be valid."""
    found = doubts(f"{' && '.join(['n => 5'] * 30)}{end}")
    assert len(found) == 20
    assert [doubt.severity for doubt in found].count("error") >= 1
    assert [doubt.position for doubt in found] == sorted(doubt.position for doubt in found)


@given(pieces)
def test_a_doubt_points_into_the_text(text: str) -> None:
    assert all(0 <= doubt.position <= len(text) and doubt.message and doubt.hint for doubt in doubts(text))

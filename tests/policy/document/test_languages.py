from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.selector import parse_selector
from controller.policy.document.findings import Findings
from controller.policy.document.languages import (
    Constraint,
    ImageName,
    PatternName,
    PropertyContent,
    Start,
    parse_rfc3339,
)
from controller.policy.document.shapes import Shape
from controller.policy.problem import Problem
from controller.policy.text.scalars import read_plain
from controller.policy.text.tree import Scalar


def in_quotes(text: str) -> Scalar:
    return Scalar(text, text, 3, 5, 1)


def unquoted(text: str) -> Scalar:
    return Scalar(read_plain(text), text, 3, 5, 0)


def problems_of(shape: Shape[object], node: Scalar) -> list[Problem]:
    found = Findings("a.yaml")
    shape.read(node, "field", found)
    return found.problems


def test_an_image_name_becomes_a_selector() -> None:
    assert ImageName().read(unquoted("nginx:1.10"), "field", Findings("a")) == parse_selector("nginx:1.10")


def test_an_incomplete_image_name_says_what_was_probably_meant() -> None:
    (problem,) = problems_of(ImageName(), in_quotes("image1"))
    assert problem.sentence == 'field: "image1" has no tag (did you mean "image1:*" or "image1:latest"?)'


def test_a_constraint_is_kept_as_it_is_written() -> None:
    assert Constraint().read(in_quotes("a == b"), "field", Findings("a")) == "a == b"


@pytest.mark.parametrize(("node", "column"), [(in_quotes("a == b || "), 5 + 1 + 7), (unquoted("a == b || "), 5 + 7)])
def test_a_doubt_about_a_constraint_has_its_position(node: Scalar, column: int) -> None:
    (problem,) = problems_of(Constraint(), node)
    assert (problem.severity, problem.line) == ("error", 3)
    assert abs(problem.column - column) <= 1  # its owner decides whether the blank belongs to it


def test_a_constraint_that_matches_less_than_it_says_is_a_warning() -> None:
    (problem,) = problems_of(Constraint(), in_quotes("a => 5"))
    assert problem.severity == "warning"


def test_a_fault_in_a_text_with_escapes_has_the_position_of_the_text() -> None:
    (problem,) = problems_of(Constraint(), Scalar("a == b ||", "a == b ||", 3, 5, None))
    assert (problem.line, problem.column) == (3, 5)


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_a_blank_constraint_or_pattern_is_an_error(text: str) -> None:
    assert [problem.severity for problem in problems_of(Constraint(), in_quotes(text))] == ["error"]
    assert [problem.severity for problem in problems_of(PatternName(), in_quotes(text))] == ["error"]


def test_a_property_may_have_any_unambiguous_value() -> None:
    assert PropertyContent().read(unquoted("1.5"), "field", Findings("a")) == 1.5
    (problem,) = problems_of(PropertyContent(), unquoted("0x1F"))
    assert problem.hint == 'write "0x1F" or 31'


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("Now", "did you mean now?"),
        (" now", "did you mean now?"),
        ("2027-01-31", "did you mean 2027-01-31T00:00:00Z?"),
        ("2027-01-31 22:00", "did you mean 2027-01-31T22:00:00Z?"),
        ("2027-01-31t22:00:00z", "did you mean 2027-01-31T22:00:00Z?"),
        ("2027-01-31T22:00:00+0100", "did you mean 2027-01-31T22:00:00+01:00?"),
        ("soon", "such as 2027-01-31T22:00:00Z or 2027-01-31T22:00:00+01:00"),
    ],
)
def test_a_start_that_upstream_refuses_has_a_hint_that_it_accepts(text: str, hint: str) -> None:
    for node in (in_quotes(text), unquoted(text)):
        (problem,) = problems_of(Start(), node)
        assert problem.hint == hint


def test_a_start_needs_no_quotes() -> None:
    assert Start().read(unquoted("now"), "field", Findings("a")) == "now"
    assert problems_of(Start(), unquoted("2027-01-31T22:00:00+01:00")) == []


offsets = st.integers(-(24 * 60 - 1), 24 * 60 - 1).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets))
def test_what_python_prints_is_the_same_instant(moment: datetime) -> None:
    parsed = parse_rfc3339(moment.isoformat())
    assert parsed == moment
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-01-31T2:00:00Z", datetime(2027, 1, 31, 2, tzinfo=UTC)),
        ("2027-01-31T02:00:00,25Z", datetime(2027, 1, 31, 2, 0, 0, 250_000, UTC)),
        ("2027-01-31T02:00:00.1234567899999Z", datetime(2027, 1, 31, 2, 0, 0, 123_456, UTC)),
        ("2027-01-31T02:00:00+24:00", datetime(2027, 1, 30, 2, tzinfo=UTC)),
        ("2027-01-31T02:00:00-24:60", datetime(2027, 2, 1, 3, tzinfo=UTC)),
        ("2024-02-29T00:00:00Z", datetime(2024, 2, 29, tzinfo=UTC)),
        ("0000-02-29T00:00:00Z", datetime.min.replace(tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", datetime.min.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_what_go_accepts_is_accepted(text: str, expected: datetime) -> None:
    assert parse_rfc3339(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-31t02:00:00Z",
        "2027-01-31T02:00:00z",
        "2027-01-31 02:00:00Z",
        "2027-01-31T02:00:00",
        "2027-01-31T02:00:00+0000",
        "2027-01-31T02:00:00+25:00",
        "2027-01-31T02:00:00+01:61",
        "2027-01-31T24:00:00Z",
        "2027-01-31T02:00:60Z",
        "2027-01-31T02:00:00.Z",
        "2027-01-31T02:00Z",
        "2027-1-31T02:00:00Z",
        "2027-02-29T02:00:00Z",
        "0000-02-30T02:00:00Z",
        "2027-04-31T02:00:00Z",
        "2027-01-31T02:00:00Z\n",
        "٢٠٢٧-01-31T02:00:00Z",
        "2027-01-31",
        "",
    ],
)
def test_what_go_refuses_is_refused(text: str) -> None:
    assert parse_rfc3339(text) is None

"""Formats of sizes, durations, dates and counts."""

from __future__ import annotations

import pytest

from controller.quantity import ago, count_of, date, from_now, moment, name_of, short_id, span, times


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 documents"), (1, "1 document"), (2, "2 documents"), (1_204, "1,204 documents")]
)
def test_a_noun_follows_its_number(number: int, text: str) -> None:
    assert count_of(number, "document") == text


def test_a_noun_may_have_an_irregular_plural() -> None:
    assert [count_of(number, "policy", "policies") for number in (1, 2)] == ["1 policy", "2 policies"]


def test_once_and_several_times() -> None:
    assert [times(number) for number in (1, 2, 1_000)] == ["once", "2 times", "1,000 times"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3_600, "1 h"), (18_720, "5 h 12 min"), (273_600, "3 d 4 h")],
)
def test_a_duration_in_a_sentence(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_times_are_printed_for_tables_and_sentences() -> None:
    assert [moment(each) for each in (None, -1.0, 725.0)] == ["-", "now", "in 12m 5s"]
    assert [from_now(each) for each in (None, 0.0, 725.0)] == ["–", "now", "in 12 min"]
    assert [ago(each) for each in (-100.0, -1.0, 725.0)] == ["in the future", "0 s ago", "12 min ago"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "1970-01-01T00:00:00+00:00"), (2.0**31, "2038-01-19T03:14:08+00:00")]
)
def test_a_date_does_not_depend_on_the_size_of_time_t(seconds: float, text: str) -> None:
    assert date(seconds) == text  # `make test-arm`: time_t of armhf ends in 2038


def test_a_wrong_clock_without_a_valid_date_gives_a_number() -> None:
    assert date(1e20) == "100000000000000000000 s"


def test_an_image_without_a_name_is_shown_by_its_short_id() -> None:
    image = "sha256:" + "0123456789ab" * 5
    assert short_id(image) == "0123456789ab"
    assert name_of(image, image) == "<none> 0123456789ab"
    assert name_of("app:1", image) == "app:1"

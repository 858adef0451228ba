from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.rfc3339 import parse_rfc3339

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

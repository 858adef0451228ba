"""Search, selection and order of the list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.daemon.page.query import ORDERS, ROWS, Query
from tests.rows import a_row

ITEMS = [
    a_row("a:1", image="sha256:00", document="services", rule=0, verdict="IN_USE", idle_since=None),
    a_row(
        "b:1",
        image="sha256:00",
        action="wait",
        due_at=90.0,
        document="agent",
        rule=1,
        verdict="NOT_STARTED",
        size_bytes=9,
    ),
    a_row(
        "c:1", image="sha256:00", action="remove", due_at=50.0, document="agent", rule=0, verdict="DUE", idle_since=1.0
    ),
    a_row("d:1", image="sha256:00", action="wait", due_at=70.0, document="services", rule=2, verdict="BACKING_OFF"),
    a_row("e:1", image="sha256:00", action="wait", document="services", rule=2, verdict="NOT_STARTED"),
]


def names(query: Query) -> str:
    return "".join(ITEMS[place].reference[0] for place in query.selection(ITEMS).places)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), "cdbea"),
        (Query(reverse="1"), "aebdc"),
        (Query(sort="reference"), "abcde"),
        (Query(sort="size"), "bacde"),
        (Query(sort="idle"), "cbdea"),
        (Query(sort="rule"), "cbade"),
        (Query(q="B"), "b"),
        (Query(q="services 1"), "dea"),
        (Query(q="services b"), ""),
        (Query(document="agent"), "cb"),
        (Query(verdict="NOT_STARTED"), "be"),
        (Query(q="e:1", verdict="NOT_STARTED"), "e"),
    ],
)
def test_rows_are_searched_chosen_and_sorted(query: Query, found: str) -> None:
    assert names(query) == found


@pytest.mark.parametrize("sort", ORDERS)
def test_reversing_an_order_loses_no_row(sort: str) -> None:
    assert sorted(names(Query(sort=sort))) == sorted(names(Query(sort=sort, reverse="1"))) == list("abcde")


@pytest.mark.parametrize(("wanted", "number"), [("1", 1), ("3", 3), ("9", 5), ("0", 1), ("-1", 1), ("x", 1), ("", 1)])
def test_a_missing_page_is_replaced_by_the_nearest_one(wanted: str, number: int) -> None:
    chosen = Query(page=wanted).selection(ITEMS * ROWS)
    assert (chosen.number, chosen.pages, chosen.total, len(chosen.places)) == (number, 5, 5 * ROWS, ROWS)


def test_verdicts_are_counted_over_all_found_rows() -> None:
    assert Query(q="services", verdict="IN_USE").selection(ITEMS).counts == {
        "IN_USE": 1,
        "BACKING_OFF": 1,
        "NOT_STARTED": 1,
    }


def test_an_address_contains_only_values_that_differ_from_the_default() -> None:
    assert Query().address() == "/"
    assert Query(q="a b", page="7").address(verdict="DUE") == "/?q=a+b&verdict=DUE"
    assert Query(q="a", verdict="DUE").address(verdict="", page="2") == "/?q=a&page=2"


@given(st.builds(Query, st.text(max_size=20).map(str.strip), verdict=st.sampled_from(["", "DUE"]), page=st.just("3")))
def test_an_address_is_parsed_to_its_query(query: Query) -> None:
    assert Query.parse(query.address(page=query.page).removeprefix("/").removeprefix("?")) == query


@given(st.text())
def test_any_text_is_a_valid_query(text: str) -> None:
    Query.parse(text).selection(ITEMS)

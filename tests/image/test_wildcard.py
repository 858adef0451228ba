"""Text in which `*` matches any characters, alone and in an index."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.wildcard import Wildcard, WildcardIndex

patterns = st.text("ab/*", max_size=9)
names = st.text("ab/", max_size=9)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "", True),
        ("*", "a/b", True),
        ("a", "a", True),
        ("a", "ab", False),
        ("", "", True),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("a*b*c", "acbc", True),
        ("a*bc*c", "abc", False),
        ("*b*b*", "abc", False),
        ("a.c", "abc", False),
        ("a[b]*", "ab", False),
        ("A*", "ab", False),
    ],
)
def test_a_star_stands_for_any_run_of_characters_and_nothing_else_is_special(
    pattern: str, name: str, matches: bool
) -> None:
    assert Wildcard(pattern).matches(name) is matches


@given(patterns, names)
def test_a_wildcard_matches_what_the_regular_expression_matches(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None
    assert Wildcard(pattern).matches(name) is expected


@pytest.mark.timeout(5)
@pytest.mark.parametrize("pattern", ["*" * 10_000 + "b", "a*" * 10_000 + "b", "*a" * 120 + "*b", "a*" * 120 + "b"])
def test_thousands_of_stars_are_harmless(pattern: str) -> None:
    wildcard = Wildcard(pattern)
    assert not any(wildcard.matches("a" * 255) for _ in range(1000))


@given(st.dictionaries(patterns.map(Wildcard), st.integers(), max_size=30), names)
def test_the_index_finds_what_each_wildcard_matches(values: dict[Wildcard, int], name: str) -> None:
    expected = [value for wildcard, value in values.items() if wildcard.matches(name)]
    assert sorted(WildcardIndex(values).matching(name)) == sorted(expected)


@given(patterns, names)
def test_a_name_contains_every_gram_of_a_wildcard_that_matches_it(pattern: str, name: str) -> None:
    wildcard = Wildcard(pattern)
    if wildcard.matches(name):
        assert all(gram in name for gram in wildcard.grams())

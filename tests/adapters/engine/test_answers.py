"""Reading a JSON list row by row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.engine.answers import rows_of

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.dictionaries(texts, inner))


@given(st.lists(st.dictionaries(texts, values)), st.sampled_from((None, 0, 2)), st.sampled_from(("", "\n", " \r\n\t")))
def test_rows_equal_the_parsed_list(rows: list[dict[str, object]], indent: int | None, blanks: str) -> None:
    text = blanks + json.dumps(rows, indent=indent, ensure_ascii=False) + blanks
    assert list(rows_of(text.encode())) == rows


@pytest.mark.parametrize("text", ["", "null", "{}", '"[]"', "[", "[{}", "[{},", "[{}}", "[{} {}]", "[,]", "[{},]"])
def test_an_incomplete_or_invalid_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        list(rows_of(text.encode()))


def test_bytes_that_are_not_utf_8_are_an_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        list(rows_of(b"[\xff]"))

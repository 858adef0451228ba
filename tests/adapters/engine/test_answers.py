"""Reading a JSON list row by row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.engine.answers import image_from, rows_of

texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda inner: st.dictionaries(texts, inner))


def pieces(text: bytes, length: int) -> list[bytes]:
    return [text[at : at + length] for at in range(0, len(text), length)]


@given(
    st.lists(st.dictionaries(texts, values)),
    st.sampled_from((None, 0, 2)),
    st.sampled_from(("", "\n", " \r\n\t")),
    st.integers(1, 50),
)
def test_rows_equal_the_parsed_list_in_pieces_of_any_length(
    rows: list[dict[str, object]], indent: int | None, blanks: str, length: int
) -> None:
    text = blanks + json.dumps(rows, indent=indent, ensure_ascii=False) + blanks
    assert list(rows_of(pieces(text.encode(), length))) == rows


@pytest.mark.parametrize(
    "text", ["", "null", "{}", '"[]"', "[", "[{}", "[{},", "[{}}", "[{} {}]", "[,]", "[{},]", "[]x", "[{}],", "[][]"]
)
def test_an_incomplete_or_invalid_list_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        list(rows_of([text.encode()]))


def test_bytes_that_are_not_utf_8_are_an_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        list(rows_of([b"[\xff]"]))


def test_a_list_of_too_many_elements_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.adapters.engine.answers.LONGEST_LIST", 3)
    assert len(list(rows_of([b"[{},{},{}]"]))) == 3
    with pytest.raises(ValueError, match="more than 3 elements"):
        list(rows_of([b"[{},{},{},{}]"]))


@given(st.dictionaries(st.sampled_from(["Id", "RepoTags", "RepoDigests", "ParentId", "Size", "Labels"]), values))
def test_any_row_is_an_image_or_an_error(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        image_from({"Id": "not an ID", **row})

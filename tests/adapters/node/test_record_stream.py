"""Long answers record by record: the same values as `json.loads`, however the bytes arrive, in bounded memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.node.record_stream import LONGEST_RECORD, End, Item, items

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
answers = st.dictionaries(st.text(), st.dictionaries(st.text(), values, max_size=3) | values, max_size=3) | values


def pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def rebuilt(found: Iterator[Item]) -> dict[tuple[str, ...], Any]:
    """The values by path; a list is the records before its end."""
    by_path: dict[tuple[str, ...], Any] = {}
    for item in found:
        if item.is_record:
            by_path.setdefault(item.path, []).append(item.value)
        elif item.value is End.OF_LIST:
            by_path.setdefault(item.path, [])
        else:
            by_path[item.path] = item.value
    return by_path


def expected(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(value, dict) or len(path) == 2:
        return {path: value}
    found: dict[tuple[str, ...], Any] = {}
    for key, inner in value.items():
        found |= expected(inner, (*path, key))
    return found


@given(answers, st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_the_items_are_the_values_of_json(value: Any, size: int, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    try:
        value = json.loads(text.decode())
    except UnicodeDecodeError:
        with pytest.raises(ValueError, match="decode"):
            rebuilt(items(pieces(text, size)))
        return
    assert rebuilt(items(pieces(text, size))) == expected(value)


@given(answers, st.data())
def test_a_text_that_breaks_off_is_an_error(value: Any, data: st.DataObject) -> None:
    text = json.dumps({"a": value, "b": [value]}).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ValueError, match=r"."):
        rebuilt(items(pieces(text[:cut], 7)))


@pytest.mark.parametrize("text", [b"", b"{", b"{1: 2}", b'{"a" 1}', b'{"a": 1,}', b"[1,]", b"[1 2]", b"{} {}", b"\xff"])
def test_invalid_json_is_an_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(items([text]))


def test_a_number_may_continue_in_the_next_piece() -> None:
    assert rebuilt(items([b"[1", b"2", b".", b"5", b"e", b"+1", b"]"])) == {(): [125.0]}


@pytest.mark.parametrize("size", range(1, 8))
def test_a_text_may_end_with_a_number(size: int) -> None:
    assert rebuilt(items(pieces(b"  \n  12", size))) == {(): 12}


def test_a_record_without_end_is_not_read_to_the_end() -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b'["'
        while True:
            taken += 2**16
            yield b"x" * 2**16

    with pytest.raises(ValueError, match="larger than 4 MiB"):
        list(items(endless()))
    assert taken < 4 * LONGEST_RECORD


def test_a_long_list_needs_the_memory_of_a_few_records() -> None:
    record = json.dumps({"deployment": "x" * 4_000, "list": list(range(100))}).encode()

    def long_list() -> Iterator[bytes]:
        yield b'{"definitions": {"archived": ['
        for _ in range(5_000):
            yield record + b","
        yield record + b"]}}"

    tracemalloc.start()
    try:
        count = sum(1 for _ in items(long_list()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 5_002
    assert peak < 2**20

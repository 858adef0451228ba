from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import InvalidText
from controller.policy.text.json_reader import read_json
from controller.policy.text.scalars import Ambiguous
from controller.policy.text.tree import Builder, Mapping, Scalar, plain

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(values, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_what_the_standard_library_writes_is_read_back(value: object, indent: int | str | None, escape: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=escape)
    assert plain(read_json(text, Builder())) == value


@given(st.text(st.sampled_from('{}[]",:\\u0d8e1.+- \n\tntrueflasx/*'), max_size=20))
def test_it_accepts_exactly_what_the_standard_library_accepts(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=_no_constants)
    except ValueError:
        with pytest.raises(InvalidText):
            read_json(text, Builder())
    else:
        assert plain(read_json(text, Builder())) == expected


def _no_constants(name: str) -> None:
    raise ValueError(name)


def test_every_node_has_its_position() -> None:
    tree = read_json('{\n\t"a": [1, "x"],\n\t"b": "\\n"}', Builder())
    assert isinstance(tree, Mapping)
    (key_a, items), (_, escaped) = tree.entries
    assert (key_a.line, key_a.column, items.line, items.column) == (2, 2, 2, 7)
    assert isinstance(escaped, Scalar)
    assert (escaped.line, escaped.column, escaped.inset) == (3, 7, None)


def test_duplicate_names_are_kept() -> None:
    tree = read_json('{"a": 1, "a": 2}', Builder())
    assert isinstance(tree, Mapping)
    assert [key.text for key, _ in tree.entries] == ["a", "a"]


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ('{"a": 1,}', "trailing comma", 9),
        ('{"a": 1 "b": 2}', 'expected "," or "}"', 9),
        ('{"a" 1}', 'expected ":"', 6),
        ("{a: 1}", "expected a field name in double quotes", 2),
        ("{'a': 1}", "single quotation marks are not allowed", 2),
        ('{"a": 1} // why', "unexpected text after the document", 10),
        ('{"a": /* why */ 1}', "comments are not allowed", 7),
        ('{"a": NaN}', "expected a value", 7),
        ('{"a": 1', "found the end of the text", 8),
        ('{"a": "x', "unterminated string", 7),
        ('{"a": "x\ty"}', "invalid control character", 9),
        ('{"a": "\\q"}', r"invalid \\escape", 8),
        ("", "expected a value, found the end of the text", 1),
        ("[" * 50_000, "nested more than 50 levels", 51),
    ],
)
def test_invalid_json_is_refused_at_its_place(text: str, message: str, column: int) -> None:
    with pytest.raises(InvalidText, match=message) as caught:
        read_json(text, Builder())
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 401])
def test_a_number_beyond_64_bits_is_ambiguous(number: str) -> None:
    tree = read_json(number, Builder())
    assert isinstance(tree, Scalar)
    assert isinstance(tree.value, Ambiguous)


def test_an_exponent_is_unambiguous_in_json() -> None:
    assert plain(read_json("[1e3, -0, 0]", Builder())) == [1000.0, 0.0, 0]

from __future__ import annotations

import pytest

from controller.errors import InvalidText
from controller.policy.text.tree import MOST_LEVELS, MOST_NODES, MOST_NODES_OF_A_FILE, Builder, Scalar, is_null, plain


def a_scalar(text: str = "x") -> Scalar:
    return Scalar(text, text, 1, 1)


def test_a_tree_grows_in_the_order_of_the_text() -> None:
    builder = Builder()
    builder.begin(True, 1, 1)
    builder.scalar(a_scalar("a"))
    builder.begin(False, 1, 4, "list")
    builder.scalar(Scalar(None, "~", 1, 5))
    builder.end()
    builder.scalar(a_scalar("b"))
    builder.alias("list", 2, 4)
    builder.end()
    assert plain(builder.finish()) == {"a": [None], "b": [None]}


def test_nesting_ends_at_its_limit() -> None:
    builder = Builder()
    for _ in range(MOST_LEVELS):
        builder.begin(False, 1, 1)
    builder.scalar(a_scalar())
    with pytest.raises(InvalidText, match="nested more than 50 levels"):
        builder.begin(False, 1, 1)


def test_an_alias_counts_with_its_levels() -> None:
    builder = Builder()
    builder.begin(False, 1, 1)
    for number in range(MOST_LEVELS - 1):
        builder.begin(False, 1, 1, "deep" if number == 0 else None)
    for _ in range(MOST_LEVELS - 1):
        builder.end()
    builder.alias("deep", 2, 1)
    builder.begin(False, 3, 1)
    with pytest.raises(InvalidText, match="nested more than 50 levels"):
        builder.alias("deep", 3, 2)


def test_an_alias_counts_with_its_nodes() -> None:
    builder = Builder()
    builder.begin(False, 1, 1)
    builder.begin(False, 1, 2, "hundred")
    for _ in range(99):
        builder.scalar(a_scalar())
    builder.end()
    for _ in range(MOST_NODES // 100 - 2):
        builder.alias("hundred", 2, 1)
    for _ in range(99):
        builder.scalar(a_scalar())
    with pytest.raises(InvalidText, match="more than 10000 nodes"):
        builder.scalar(a_scalar())


def test_a_file_has_a_limit_of_its_own() -> None:
    builder = Builder()
    for _ in range(MOST_NODES_OF_A_FILE):
        builder.scalar(a_scalar())
        builder.finish()
    assert not builder.is_exhausted
    with pytest.raises(InvalidText, match="more than 50000 nodes in one file"):
        builder.scalar(a_scalar())
    assert builder.is_exhausted


def test_an_alias_cannot_contain_itself_nor_be_undefined() -> None:
    builder = Builder()
    builder.begin(False, 1, 1, "me")
    with pytest.raises(InvalidText, match="contains itself"):
        builder.alias("me", 1, 2)
    with pytest.raises(InvalidText, match="undefined alias") as caught:
        builder.alias("old", 1, 2)
    assert '"*old"' in caught.value.hint


def test_anchors_do_not_apply_to_the_next_document() -> None:
    builder = Builder()
    builder.scalar(a_scalar(), "one")
    builder.finish()
    with pytest.raises(InvalidText, match="undefined alias"):
        builder.alias("one", 2, 1)


def test_a_list_cannot_name_a_field() -> None:
    builder = Builder()
    builder.begin(True, 1, 1)
    builder.begin(False, 1, 2)
    builder.end()
    builder.scalar(a_scalar())
    with pytest.raises(InvalidText, match="a field name"):
        builder.end()


def test_only_null_is_null() -> None:
    assert is_null(Scalar(None, "", 1, 1))
    assert not is_null(Scalar("", "", 1, 1))
    assert not is_null(Scalar(0, "0", 1, 1))

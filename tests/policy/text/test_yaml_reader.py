from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import InvalidText
from controller.policy.text import yaml_reader
from controller.policy.text.tree import Builder, Mapping, Node, Scalar, plain
from controller.policy.text.yaml_reader import read_yaml

pytestmark = pytest.mark.usefixtures("each_parser")


def read(text: str) -> Node:
    (tree,) = read_yaml(text, Builder())
    return tree


def the_value_in(text: str) -> Scalar:
    tree = read(text)
    assert isinstance(tree, Mapping)
    ((_, value),) = tree.entries
    assert isinstance(value, Scalar)
    return value


def test_every_node_has_its_position() -> None:
    tree = read("# comment\na:\n  - b: 'x'\n    c: 5\n")
    assert isinstance(tree, Mapping)
    assert (tree.line, tree.column) == (2, 1)
    assert plain(tree) == {"a": [{"b": "x", "c": 5}]}


@pytest.mark.parametrize(
    ("text", "inset"),
    [
        ("a: site == paris  # why", 0),
        ("a: 'site == paris'", 1),
        ('a: "site == paris"', 1),
        ("a: 'it''s'", None),
        (r'a: "\x41"', None),
        ("a: site\n ==", None),
        ("a: >\n  site", None),
        ("a: 'site\n  =='", None),
    ],
)
def test_characters_have_columns_in_a_text_without_escapes(text: str, inset: int | None) -> None:
    assert the_value_in(text).inset == inset


def test_quoted_scalars_are_text() -> None:
    assert the_value_in("a: '5'").value == "5"
    assert the_value_in('a: "no"').value == "no"
    assert the_value_in("a: |\n  5\n").value == "5\n"


def test_lines_count_from_the_given_first_line() -> None:
    (tree,) = read_yaml("a: 1", Builder(), first_line=7)
    assert tree.line == 7
    with pytest.raises(InvalidText) as caught:
        read_yaml("a: *", Builder(), first_line=7)
    assert (caught.value.line, caught.value.column) == (7, 5)


def test_a_missing_blank_after_a_colon_is_reported_at_its_place() -> None:
    with pytest.raises(InvalidText) as caught:
        read("label: a\nenabled:true\nimage_policy: {}\n")
    assert (caught.value.line, caught.value.column) == (2, 1)
    assert "put a blank after the colon" in caught.value.hint


def test_a_tab_is_not_indentation_for_either_parser() -> None:
    for text in ("a:\tb", "\ta: b", "a:\n\tb: c", "{a:\t1}"):
        with pytest.raises(InvalidText, match="unexpected character"):
            read(text)
    assert the_value_in("a: 'b\tc'").value == "b\tc"


def test_an_unknown_directive_is_ignored_by_either_parser() -> None:
    assert plain(read("%FOO bar\n---\na: 1\n")) == {"a": 1}


@pytest.mark.parametrize("tag", ["!", "!!str", "!!binary", "!mine", "!!python/object/apply:os.system"])
def test_tags_are_refused(tag: str) -> None:
    with pytest.raises(InvalidText, match="tags are not supported"):
        read(f"a: {tag} x")


@pytest.mark.parametrize("text", [r'"\UFFFFFFFF"', r'"\ud800"', r'"\ud83d\ude00"'])
def test_an_escape_must_be_a_character(text: str) -> None:
    with pytest.raises(InvalidText, match="an escape sequence that is not a valid character"):
        read(text)


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 50_000, "? " * 50_000, "a: " + "[" * 50_000])
def test_nesting_of_any_depth_is_refused_and_does_not_crash(text: str) -> None:
    with pytest.raises(InvalidText, match="nested more than 50 levels deep"):
        read(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_what_pyyaml_writes_is_read_back(value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert plain(read(text)) == value


_pieces = st.sampled_from(
    [*"ab:-#*&!|>'\"%@`{}[],? \n\t01.", "a: ", "- ", "? ", "\n  ", "\nb: ", "{a: b}", "&a x", "*a", "...", "---"]
)


@given(st.lists(_pieces, max_size=12).map("".join))
def test_a_text_is_read_alike_with_libyaml_and_without(text: str) -> None:
    assert _outcome(text, yaml_reader.FAST) == _outcome(text, yaml_reader.PURE)


def _outcome(text: str, parser: object) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_reader, "FAST", parser)
        try:
            return [plain(tree) for tree in read_yaml(text, Builder())]
        except InvalidText:
            return "refused"

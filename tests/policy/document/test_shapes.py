from __future__ import annotations

import pytest

from controller.policy.document.findings import Findings
from controller.policy.document.shapes import LONGEST_TEXT, ByName, Flag, Listed, OneOf, Shape, Text, Whole
from controller.policy.text.scalars import Value, read_plain
from controller.policy.text.tree import Mapping, Scalar, Sequence

MINUTES = Whole(most=100, unit="minutes", unit_seconds=60)


def unquoted(text: str) -> Scalar:
    return Scalar(read_plain(text), text, 1, 1)


def in_quotes(text: str) -> Scalar:
    return Scalar(text, text, 1, 1)


def outcome(shape: Shape[object], node: Scalar | Sequence | Mapping) -> tuple[object, list[str]]:
    found = Findings("a.yaml")
    value = shape.read(node, "field", found)
    return value, [problem.sentence for problem in found.problems]


def the_sentence(shape: Shape[object], node: Scalar | Sequence | Mapping) -> str:
    value, sentences = outcome(shape, node)
    assert value is None
    (sentence,) = sentences
    return sentence


A_LIST = Sequence((in_quotes("x"),), 1, 1, 2, 1)
A_MAPPING = Mapping(((in_quotes("a"), in_quotes("x")),), 1, 1, 3, 1)


@pytest.mark.parametrize(
    ("shape", "node", "value"),
    [
        (Text(), in_quotes("no"), "no"),
        (Text(), in_quotes(""), ""),
        (Flag(), unquoted("TRUE"), True),
        (Flag(), unquoted("false"), False),
        (MINUTES, unquoted("0"), 0),
        (MINUTES, unquoted("100"), 100),
        (OneOf(("int", "float")), unquoted("int"), "int"),
        (Listed(Text()), A_LIST, ("x",)),
        (ByName(Text()), A_MAPPING, A_MAPPING),
    ],
)
def test_what_fits_is_read(shape: Shape[object], node: Scalar, value: Value) -> None:
    assert outcome(shape, node) == (value, [])


TO_OLD_READERS = "which is a boolean in YAML 1.1 and text in YAML 1.2"


@pytest.mark.parametrize(
    ("node", "rest"),
    [
        (unquoted("no"), f'no, {TO_OLD_READERS} (write "no", in quotes)'),
        (unquoted("1.10"), 'the number 1.10 (write "1.10", in quotes)'),
        (unquoted("1e3"), '1e3, which is a number for some YAML readers and text for others (write "1e3", in quotes)'),
        (unquoted("true"), 'the boolean true (write "true", in quotes)'),
        (unquoted("~"), "null"),
        (A_MAPPING, 'a mapping (text that contains ": " needs quotes)'),
        (A_LIST, "a list"),
    ],
)
def test_what_is_not_text_is_reported_by_its_kind(node: Scalar, rest: str) -> None:
    assert the_sentence(Text(), node) == f"field: must be text, not {rest}"


@pytest.mark.parametrize(
    ("shape", "text", "message"),
    [
        (Text(may_be_blank=False), " \t", "is blank"),
        (Text(), "x" * (LONGEST_TEXT + 1), "longer than 65536 characters"),
        (Text(pattern="[a-z]", says="a letter"), "ab", '"ab" is not a letter'),
        (Text(pattern="[a-z]", says="a letter"), "a\n", r'"a\n" is not a letter'),
    ],
)
def test_a_text_must_match_its_pattern(shape: Text, text: str, message: str) -> None:
    assert the_sentence(shape, in_quotes(text)) == f"field: {message}"


@pytest.mark.parametrize(
    ("node", "rest"),
    [
        (unquoted("yes"), f"yes, {TO_OLD_READERS} (write true)"),
        (unquoted("off"), f"off, {TO_OLD_READERS} (write false)"),
        (unquoted("1_0"), "1_0, which is a number for some YAML readers and text for others"),
        (in_quotes("true"), 'the text "true" (remove the quotation marks)'),
        (unquoted("1"), "the number 1"),
        (A_LIST, "a list"),
    ],
)
def test_what_is_not_a_boolean_is_reported_by_its_kind(node: Scalar, rest: str) -> None:
    assert the_sentence(Flag(), node) == f"field: must be true or false, not {rest}"


@pytest.mark.parametrize(
    ("node", "rest"),
    [
        (unquoted("true"), "the boolean true"),
        (unquoted("5.0"), "the number 5.0 (write 5)"),
        (unquoted("0.5"), "the number 0.5"),
        (in_quotes("5"), 'the text "5" (write 5, without quotation marks)'),
        (unquoted("0x10"), "0x10, which is a hexadecimal, octal or binary number (write 16)"),
        (unquoted("017"), "017, which is 15 (octal) in YAML 1.1 and 17 in YAML 1.2 (write 17)"),
        (unquoted("1_440"), "1_440, which is a number for some YAML readers and text for others (write 1440)"),
        (unquoted("24:00"), "24:00, which is a base-60 number in YAML 1.1 and text in YAML 1.2"),
        (unquoted("7d"), 'the text "7d" (7d is 10080 minutes: write 10080)'),
        (unquoted("120 s"), 'the text "120 s" (120 s is 2 minutes: write 2)'),
        (unquoted("90s"), 'the text "90s"'),
        (A_LIST, "a list"),
    ],
)
def test_what_is_not_a_whole_number_is_reported_by_its_kind(node: Scalar, rest: str) -> None:
    assert the_sentence(MINUTES, node) == f"field: must be a whole number of minutes in decimal digits, not {rest}"


def test_a_whole_number_has_limits() -> None:
    assert the_sentence(MINUTES, unquoted("-1")) == "field: must be 0 or more, not the number -1"
    assert the_sentence(MINUTES, unquoted("101")) == "field: must be at most 100, not the number 101"


@pytest.mark.parametrize(
    ("shape", "node", "sentence"),
    [
        (OneOf(("int", "float")), in_quotes("integer"), 'unknown value "integer" (did you mean "int"?)'),
        (OneOf(("int", "float")), in_quotes("x"), 'unknown value "x" (write "int" or "float")'),
        (Listed(Text()), in_quotes("x"), 'must be a list, not the text "x" (start each item with "- ")'),
        (ByName(Text()), A_LIST, "must be a mapping (name: value), not a list"),
    ],
)
def test_a_value_of_another_shape_is_reported(shape: Shape[object], node: Scalar, sentence: str) -> None:
    assert the_sentence(shape, node) == f"field: {sentence}"


def test_a_blank_is_missed_after_a_colon() -> None:
    assert the_sentence(ByName(Text()), in_quotes("label:a")).endswith("(put a blank after the colon)")


def test_every_item_of_a_list_is_checked() -> None:
    items = Sequence((in_quotes("x"), unquoted("5"), in_quotes("y"), unquoted("no")), 1, 1, 5, 1)
    value, sentences = outcome(Listed(Text()), items)
    assert value == ("x", "y")
    assert [sentence.split(":")[0] for sentence in sentences] == ["field[1]", "field[3]"]

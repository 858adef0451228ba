from __future__ import annotations

from controller.policy.document.findings import Findings, Spelling
from controller.policy.document.mapping import Field, MappingShape, Values, check_keys, joined
from controller.policy.document.shapes import Flag, Listed, Text
from controller.policy.text.json_reader import read_json
from controller.policy.text.tree import Builder

INNER = Field("inner_name", Text(), "what is inside", upstream="innerName", if_missing="error")
BOX = Field("the_box", MappingShape("a box", (INNER,), is_closed=True), "a box", upstream="theBox")
CONTENT = Field("content", Text(), "what it holds")
BAG = Field("the_bag", MappingShape("a bag", (CONTENT,)), "a bag", upstream="theBag", absent_without="content")
LABEL = Field("label", Text(), "a label", if_missing="warning")
NARROW = Field("narrow", Listed(Text()), "which", narrows=True)
SWITCH = Field("switch", Flag(), "is it on", if_missing="error")
THING = MappingShape("a thing", (LABEL, SWITCH, NARROW, BOX, BAG))


def read(text: str, group: MappingShape = THING) -> tuple[Values, list[str], Findings]:
    found = Findings("a.json")
    values = group.read(read_json(text, Builder()), "", found)
    assert values is not None
    return values, [f"{problem.severity}: {problem.sentence}" for problem in found.problems], found


def test_fields_are_read_by_name() -> None:
    values, problems, _ = read('{"label": "x", "switch": true, "the_box": {"inner_name": "y"}}')
    box = values[BOX]
    assert box is not None
    assert (values[LABEL], values[SWITCH], values[NARROW], box[INNER], problems) == ("x", True, None, "y", [])
    assert values.path_of(BOX) == "the_box"


def test_a_missing_field_is_reported_with_its_description() -> None:
    _, problems, _ = read("{}")
    assert problems == ["warning: label: is missing (a label)", "error: switch: is missing (is it on)"]


def test_null_equals_absent_and_is_reported_at_its_place() -> None:
    _, _, found = read('{"label": null,\n "switch": null,\n "narrow": null}')
    assert [(problem.line, problem.column, problem.message) for problem in found.problems] == [
        (1, 2, "has no value"),
        (2, 2, "has no value"),
    ]


def test_an_unknown_field_is_a_warning_that_names_the_nearest() -> None:
    _, problems, _ = read('{"label": "", "switch": true, "lable": 1, "colour": 1}')
    assert problems == [
        'warning: lable: unknown field in a thing (did you mean "label"?)',
        "warning: colour: unknown field in a thing",
    ]


def test_a_misspelling_that_would_widen_is_an_error() -> None:
    _, problems, _ = read('{"label": "", "switch": true, "Narrow": [], "narow": []}')
    assert problems == [
        'error: Narrow: unknown field in a thing (did you mean "narrow"?)',
        'error: narow: unknown field in a thing (did you mean "narrow"?)',
    ]


def test_a_narrowing_field_in_the_wrong_place_is_an_error() -> None:
    bag = MappingShape("a bag", (CONTENT,), strays=(NARROW,))
    _, problems, _ = read('{"Narrow": [], "label": ""}', bag)
    assert problems == [
        "error: Narrow: unknown field in a bag (it is a field of the policy itself: check the indentation)",
        "warning: label: unknown field in a bag",
    ]


def test_in_a_closed_group_an_unknown_field_is_an_error() -> None:
    _, problems, _ = read('{"label": "", "switch": true, "the_box": {"inner_name": "y", "colour": 1}}')
    assert problems == ["error: the_box.colour: unknown field in a box (its fields are inner_name)"]


def test_a_misspelt_field_is_not_missing_as_well() -> None:
    _, problems, _ = read('{"label": "", "switch": true, "theBox": {"inner-name": "y"}}')
    assert problems == ['error: theBox.inner-name: unknown field in a box (did you mean "innerName"?)']
    _, problems, _ = read('{"lable": "", "Switch": true}')
    assert [problem.split(":")[1] for problem in problems] == [" lable", " Switch", " switch"]


def test_the_first_name_with_two_spellings_decides_the_spelling() -> None:
    _, problems, found = read('{"label": "", "switch": true, "theBox": {"innerName": "y"}}')
    assert (problems, found.spelling) == ([], Spelling.UPSTREAM)


def test_the_other_spelling_is_an_error_once() -> None:
    _, problems, _ = read('{"label": "", "switch": true, "the_box": {"innerName": "x"}, "theBox": {"innerName": "y"}}')
    assert problems == [
        "error: the_box.innerName: \"innerName\" is upstream's spelling, but this document uses the design's"
        ' (write "inner_name")',
        'error: theBox: "theBox" is upstream\'s spelling, but this document uses the design\'s (write "the_box")',
    ]


def test_a_mapping_without_its_required_field_is_absent_and_decides_no_spelling() -> None:
    for empty in ("{}", '{"content": ""}', '{"content": null}'):
        values, problems, found = read(f'{{"label": "", "switch": true, "theBag": {empty}}}')
        assert (values.node_of(BAG), found.spelling, problems) == (None, None, [])
    values, _, found = read('{"label": "", "switch": true, "theBag": {"content": "x"}}')
    assert (values.node_of(BAG) is None, found.spelling) == (False, Spelling.UPSTREAM)


def test_a_mapping_that_counts_as_absent_is_still_checked() -> None:
    _, problems, _ = read('{"label": "", "switch": true, "theBag": {"content": "", "colour": 1}}')
    assert problems == ["warning: theBag.colour: unknown field in a bag"]


def test_duplicate_names_are_found_anywhere() -> None:
    found = Findings("a.json")
    check_keys(read_json('{"a": {"b": 1, "b": 2}, "c": [{"d": 1, "d": 1}], "<<": 1}', Builder()), "", found)
    assert [problem.field for problem in found.problems] == ['["<<"]', "a.b", "c[0].d"]


def test_a_name_that_is_not_a_word_is_in_brackets() -> None:
    assert joined("", "a") == "a"
    assert joined("a", "b_c-1") == "a.b_c-1"
    assert joined("a", "org/b.c") == 'a["org/b.c"]'
    assert len(joined("", "x" * 1000)) < 120

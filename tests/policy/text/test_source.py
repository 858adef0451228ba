from __future__ import annotations

import pytest

from controller.policy.problem import Problem
from controller.policy.text.source import MOST_BYTES, MOST_DOCUMENTS, read_source
from controller.policy.text.tree import Mapping, plain
from tests.steps import grows_linearly

pytestmark = pytest.mark.usefixtures("each_parser")


def values(data: bytes, file: str = "a.yaml") -> list[object]:
    return ["problem" if isinstance(one, Problem) else plain(one) for one in read_source(data, file)]


def the_problem(data: bytes, file: str = "a.yaml") -> Problem:
    (one,) = read_source(data, file)
    assert isinstance(one, Problem)
    return one


def test_documents_are_separated_by_lines_of_three_dashes() -> None:
    assert values(b"a: 1\n---\nb: 2\n--- \nc: 3\n...\n---\nd: 4\n") == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}]
    assert values(b"# head\n%YAML 1.2\n---\na: 1\n---\n") == [{"a": 1}, None]


def test_directives_after_three_dots_belong_to_the_next_document() -> None:
    assert values(b"a: 1\n...\n# why\n%YAML 1.2\n\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    _, problem = read_source(b"a: 1\n...\n%YAML 1.2\n---\nb: *\n", "a.yaml")
    assert isinstance(problem, Problem)
    assert (problem.line, problem.column) == (5, 5)


@pytest.mark.parametrize(("first", "repeated"), [(b"", b"...\n"), (b"...\n", b"#\n"), (b"", b"...\n%\n")])
def test_dots_and_directives_without_end_take_steps_in_proportion(first: bytes, repeated: bytes) -> None:
    read_source(first + repeated * (1_000_000 // len(repeated)), "a.yaml")
    assert grows_linearly(lambda count: read_source(first + repeated * count, "a.yaml"), 500)


def test_three_dashes_within_a_line_or_a_word_divide_nothing() -> None:
    assert values(b"a: x --- y\nb: |\n  ---\nc: 1\n---d: 2\n") == [{"a": "x --- y", "b": "---\n", "c": 1, "---d": 2}]


def test_a_document_that_cannot_be_read_does_not_affect_the_others() -> None:
    assert values(b"a: 1\n---\nb: *\n---\nc: [\n---\nd: 4\n") == [{"a": 1}, "problem", "problem", {"d": 4}]


def test_nothing_before_a_fault_counts() -> None:
    assert values(b"{a: 1}\n]\n") == ["problem"]
    assert values(b"a: 1\n...\nb: *\n") == ["problem"]


def test_places_count_from_the_start_of_the_file() -> None:
    first, second = read_source(b"a: 1\r\n---\r\nb: 2\r\n", "a.yaml")
    assert isinstance(first, Mapping)
    assert isinstance(second, Mapping)
    assert (first.line, second.line) == (1, 3)


@pytest.mark.parametrize("file", ["a.json", "a.yaml", "stdin"])
def test_json_is_read_as_json_under_any_file_name(file: str) -> None:
    assert values(b'{\t"a": "\\ud83d\\ude00\\/"}', file) == [{"a": "😀/"}]


def test_yaml_that_starts_with_a_brace_is_yaml_unless_the_file_is_json() -> None:
    assert values(b"{a: 1}\n---\n{b: 2}\n") == [{"a": 1}, {"b": 2}]
    assert values(b"{a: 1}", "a.json") == ["problem"]
    assert values(b"a: 1", "a.json") == ["problem"]


def test_a_file_of_blanks_has_no_document() -> None:
    assert values(b" \n") == []
    assert values(b" \n", "a.json") == []
    assert values(b"") == []


@pytest.mark.parametrize(
    ("data", "message", "place"),
    [
        (b"a" * (MOST_BYTES + 1), "larger than 1 MiB", (1, 1)),
        ("a: é".encode("utf-16"), "encoded as UTF-16 or UTF-32", (1, 1)),
        ("a: é".encode("utf-32"), "encoded as UTF-16 or UTF-32", (1, 1)),
        (b"a: 1\nb\0: 2", "contains a NUL byte", (2, 2)),
        (b"a: \xc3\xa9\r\nb: \xc3", "byte 0xc3 is not UTF-8", (2, 4)),
        (b"a: \xed\xa0\x80", "byte 0xed is not UTF-8", (1, 4)),
        (b"a: \x07", "contains the invisible character U+0007", (1, 4)),
        ("a: é\u202e".encode(), "contains the invisible character U+202E", (1, 5)),
        ("a: 1\n\ufeffb: 2".encode(), "contains the invisible character U+FEFF", (2, 1)),
        ("a: \u2028".encode(), "contains the invisible character U+2028", (1, 4)),
    ],
)
def test_bytes_that_are_not_text_are_one_problem(data: bytes, message: str, place: tuple[int, int]) -> None:
    problem = the_problem(data)
    assert (problem.message, (problem.line, problem.column)) == (message, place)


def test_every_end_of_line_and_a_byte_order_mark_are_accepted() -> None:
    assert values(b"\xef\xbb\xbfa: 1\rb: 2\r\nc: 3\n") == [{"a": 1, "b": 2, "c": 3}]


def test_the_number_of_documents_is_limited() -> None:
    *documents, last = values(b"---\na: 1\n" * (MOST_DOCUMENTS + 5))
    assert (len(documents), last) == (MOST_DOCUMENTS, "problem")


def test_the_nodes_of_all_documents_are_limited() -> None:
    found = values(b"- x\n" * 9_000 + b"---\n" + (b"- x\n" * 9_000 + b"---\n") * 8)
    assert len(found) == 6
    assert found[-1] == "problem"


def test_an_alias_bomb_costs_nothing() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 30)]
    assert the_problem(b"\n".join(lines)).message == "more than 10000 nodes in one document, aliases expanded"

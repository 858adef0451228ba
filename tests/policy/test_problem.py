from __future__ import annotations

from controller.policy.problem import LONGEST_QUOTE, Problem, quoted
from controller.printable import printable


def test_a_problem_is_one_line_that_editors_understand() -> None:
    problem = Problem(
        "a.yaml", 5, 19, "image_policy.removal[1].image_name", "error", '"image1" has no tag', "did you mean …?"
    )
    expected = 'a.yaml:5:19: error: image_policy.removal[1].image_name: "image1" has no tag (did you mean …?)'
    assert str(problem) == expected


def test_a_problem_of_a_whole_file_names_no_field() -> None:
    assert (
        str(Problem("a.yaml", 1, 1, "", "warning", "contains no document"))
        == "a.yaml:1:1: warning: contains no document"
    )


def test_problems_sort_by_place() -> None:
    later, earlier = Problem("a", 10, 1, "", "error", "x"), Problem("a", 9, 30, "z", "warning", "y")
    assert sorted([later, earlier]) == [earlier, later]


def test_no_message_controls_the_terminal() -> None:
    problem = Problem("a\n.yaml", 1, 1, "f\x1b[31m", "error", "m\x07\u202e", "h\udcff")
    assert str(problem) == r"a\u000a.yaml:1:1: error: f\u001b[31m: m\u0007\u202e (h\udcff)"


def test_a_quote_is_as_long_as_a_line_at_most() -> None:
    assert quoted("é\n") == '"é\\n"'
    assert len(quoted("x" * 1000)) == LONGEST_QUOTE + 2
    assert printable("café 😀") == "café 😀"

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.constraint.evaluate import Evaluation, evaluate
from controller.constraint.expression import And, Comparison, Or
from controller.constraint.parser import parse
from controller.constraint.property import Property
from tests.constraint.texts import constraints

_VALUES = st.sampled_from(["x", "a,b", "1.5.0", "5", 5, 5.0, True, None, "q", ""])
properties = st.lists(st.builds(Property, st.sampled_from(["a", "b.c", "inside", "doma", "AND"]), _VALUES), max_size=5)


def _ask(constraint: str, *properties: Property) -> Evaluation:
    return evaluate([parse(constraint)], properties)


def _holds(constraint: str, value: object, declared: str = "") -> bool:
    return _ask(constraint, Property("p", value, declared)).holds


@pytest.mark.parametrize("constraint", ["p == 1", "p != 1", "p < 1", 'p in "1"', "q == 1 && p != 2"])
def test_a_missing_property_is_false_for_every_operator(constraint: str) -> None:
    assert not _ask(constraint, Property("q", 1)).holds


@pytest.mark.parametrize(
    ("constraint", "number", "answer"),
    [
        ("p < 5", 4.5, True),
        ("p <= 5", 5, True),
        ("p > 5", 5, False),
        ("p >= 5", 5.5, True),
        ("p => 5", 6, False),
        ("p => 5", 5, True),
        ("p =< 5", 4, False),
        ("p != 5", 6, True),
        ("p != x", 6, False),
        ("p == 5.0", 5, True),
        ('p == "5"', 5, False),
        ("p == 9007199254740993", 2**53, True),
        ("p < Inf", 1e308, True),
        ("p != NaN", 5, True),
        ("p == NaN", float("nan"), False),
        ('p in "5"', 5, False),
    ],
)
def test_numbers_compare_as_floats(constraint: str, number: float, answer: bool) -> None:
    assert _holds(constraint, number) is answer


def test_a_number_that_no_float_can_hold_satisfies_nothing() -> None:
    assert not _holds("p != 1", 10**400)


def test_in_without_blanks_around_it_compares_numbers() -> None:
    assert _ask("domain 5", Property("doma", 5)).holds


@pytest.mark.parametrize(
    ("constraint", "value", "answer"),
    [
        ("p == true", True, True),
        ("p = t", True, True),
        ("p == 0", False, True),
        ("p != false", True, True),
        ('p == "true"', True, False),
        ("p == yes", True, False),
        ("p != yes", True, False),
        ("p < 2", True, False),
    ],
)
def test_booleans_compare_as_go_reads_them(constraint: str, value: bool, answer: bool) -> None:
    assert _holds(constraint, value) is answer


@pytest.mark.parametrize(
    ("constraint", "value", "answer"),
    [
        ("p == x", "x", True),
        ("p == X", "x", False),
        ('p == "a b"', ' "a b" ', True),
        ('p != "a b"', ' "a b" ', True),
        ('p == " a b "', '"a b"', True),
        ("p == b", "a, b", True),
        ("p != b", "a, b", True),
        ("p == 5", "5", True),
        ("p == 5.0", "5", False),
        ("p < 6", "5", False),
        ("p == true", "true", True),
        ("p == \u00a0", "", True),
        ("p == 1.5.0", "1.5", False),
        ('p in "a,b"', "b", True),
        ('p in "a, b"', "b", True),
        ('p in "ab"', "b", False),
        ('p in ","', "", True),
        ("p in [1.0.0,2.0.0)", "1.5", True),
        ("p in [1.0.0,2.0.0)", "2.0.0", False),
        ("p in [1.0.0,2.0.0)", "x", False),
        ("p in 1.0.0", "1.2.0", False),
        ("p in 1.2.0", "1.2.0", True),
    ],
)
def test_texts_compare_as_lists_and_versions(constraint: str, value: str, answer: bool) -> None:
    assert _holds(constraint, value) is answer


@pytest.mark.parametrize(
    ("constraint", "value", "answer"),
    [
        ("p in 1.0.0", "1.2.0", True),
        ("p in [1.0.0,2.0.0)", "01.2", True),
        ('p in "1.2.0"', "1.2.0", True),
        ('p in "x,y"', "x", False),
    ],
)
def test_a_declared_version_is_compared_as_one(constraint: str, value: str, answer: bool) -> None:
    assert _holds(constraint, value, "version") is answer


@pytest.mark.parametrize(
    ("constraint", "value", "answer"),
    [
        ('p in "b,c"', "a, b", True),
        ('p in "c,d"', "a, b", False),
        ('p in "b"', 'a," ""b"" "', False),
        ('p in "b"', 'a,""b""', True),
        ("p == b", "a, b", True),
        ("p != b", "a, b", False),
        ("p != c", "a, b", True),
        ("p in [1.0.0,2.0.0)", "1.5.0", True),
        ("p in [1.0.0,2.0.0)", "1.5.0,1.6.0", False),
    ],
)
def test_a_declared_list_is_compared_element_by_element(constraint: str, value: str, answer: bool) -> None:
    assert _holds(constraint, value, "list of strings") is answer


def test_the_first_comparable_property_of_a_name_decides() -> None:
    one, two, nothing, listed = (Property("p", value) for value in ("one", "two", None, ["two"]))
    assert not _ask("p == two", one, two).holds
    assert _ask("p == two", nothing, listed, two, one).holds
    assert not _ask("p != x", nothing, listed).holds
    assert _ask("domain true", Property("doma", True), Property("doma", "true")).holds


@pytest.mark.parametrize(
    ("value", "constraint"),
    [
        ('"', "p == y"),
        ('"', "p != y"),
        ('"', "p < 5"),
        ('"', 'p in "y"'),
        ('"', "p == y || a == 1"),
        ('" " "', "p == y"),
        ('" " "', 'p in "y"'),
        ('x,"', "p == y"),
        ('x, " ,y', "p == y"),
    ],
)
def test_a_lone_quote_crashes_upstream_and_never_matches_here(value: str, constraint: str) -> None:
    answer = _ask(constraint, Property("p", value), Property("a", 1))
    assert not answer.holds
    assert answer.crashes_upstream
    assert "lone quotation mark" in answer.why


@pytest.mark.parametrize(
    ("value", "constraint"), [('" " "', "p != y"), ('x,"', "p == x"), ('x,"', "p != y"), ('""', "p == \u00a0")]
)
def test_other_quotes_do_not_crash_it(value: str, constraint: str) -> None:
    assert _holds(constraint, value)


def test_what_upstream_does_not_evaluate_does_not_crash_it() -> None:
    lone = Property("p", '"')
    assert _ask("a == 1 || p == x", lone, Property("a", 1)).holds
    assert not _ask("a == 2 && p == x", lone, Property("a", 1)).crashes_upstream
    assert _ask("p == x", Property("p", 'x,"')).holds


def test_all_constraints_must_hold_and_without_constraints_every_node_matches() -> None:
    both = [parse("a == 1"), parse("b == 2")]
    assert evaluate([], ()).holds
    assert evaluate(both, [Property("a", 1), Property("b", 2)]).holds
    assert not evaluate(both, [Property("a", 1)]).holds


@pytest.mark.parametrize(
    ("constraint", "why"),
    [
        ('site == "paris"', """constraint 'site == "paris"' is not satisfied: the node has site = "lyon\""""),
        ("city == x", "constraint 'city == x' is not satisfied: the node has no property city"),
        (" site == lyon", "constraint ' site == lyon' is not satisfied: the node has no property ' site'"),
        ("a == 2 || b == 1", "constraint 'a == 2 || b == 1' is not satisfied: the node has a = 1 and no property b"),
        (
            "(a == 2 || a == 1) && b < 5",
            "constraint '(a == 2 || a == 1) && b < 5' is not satisfied: the node has no property b",
        ),
        ("a == 2 || a == 3", "constraint 'a == 2 || a == 3' is not satisfied: the node has a = 1"),
        ("n == x", "constraint 'n == x' is not satisfied: the node has n = null"),
        ("a == 2 ||\nb < 1", "constraint 'a == 2 || b < 1' is not satisfied: the node has a = 1 and no property b"),
        (
            "w == 1 || x == 1 || y == 1 || z == 1",
            "constraint 'w == 1 || x == 1 || y == 1 || z == 1' is not satisfied: "
            "the node has no property w and no property x and no property y and more",
        ),
    ],
)
def test_the_reason_names_constraint_property_and_value(constraint: str, why: str) -> None:
    assert _ask(constraint, Property("site", "lyon"), Property("a", 1), Property("n", None)).why == why


def test_the_reason_names_the_owner_of_the_properties() -> None:
    answer = evaluate([parse("a == 1"), parse("b == 2")], [Property("a", 1)], "the document")
    assert answer.why == "constraint 'b == 2' is not satisfied: the document has no property b"
    assert evaluate([], ()).why == ""


def test_a_long_constraint_is_cut_in_the_reason() -> None:
    assert len(_ask(" || ".join(["a == 1"] * 10_000)).why) < 300


def test_nesting_has_no_limit() -> None:
    depth = 20_000
    deep = "(a == 1 && " * depth + "b == 2" + ")" * depth
    assert _ask(deep, Property("a", 1), Property("b", 2)).holds
    assert _ask(deep, Property("a", 1)).why.endswith("the node has no property b")


@given(constraints, properties)
def test_the_result_equals_the_plain_definition(constraint: str, having: list[Property]) -> None:
    def plainly(part: Or | And | Comparison) -> bool:
        match part:
            case Or(parts):
                return any(map(plainly, parts))
            case And(parts):
                return all(map(plainly, parts))
            case _:
                return evaluate([Or((And((part,)),))], having).holds

    assert evaluate([parse(constraint)], having).holds is plainly(parse(constraint))


@given(constraints, properties)
def test_the_reason_contains_only_false_conditions(constraint: str, having: list[Property]) -> None:
    answer = evaluate([parse(constraint)], having)
    assert bool(answer.unmet) is not answer.holds
    assert not any(evaluate([Or((And((part,)),))], having).holds for part in answer.unmet)

"""Constraints for property-based tests: some in the language, some nearly so."""

from __future__ import annotations

from hypothesis import strategies as st

_NAMES = st.sampled_from(["a", "b.c", "in1", "inside", "!xy", "AND", "éa", "a\u00a0", "./x"])
_EQUALS = st.sampled_from(["==", " == ", " = ", " != ", "\t==\n"])
_ORDERS = st.sampled_from([" < ", " >= ", "=>", " =< ", ">"])
_WORDS = st.sampled_from(["x", "true", "-5", "1.5", "1.0.0", '"a b"', "\u00a0", "\u00a0ini", "AND", "'q'"])
_NUMBERS = st.sampled_from(["5", "-0.5", "+1_0", "Inf", "+0x1p4", "5."])
_LISTS = st.sampled_from(['"a,b"', '"x"', "[1.0.0,2.0.0)", "1.2.3", "(1.0.0,INFINITY]"])

comparisons = st.one_of(
    st.tuples(_NAMES, _EQUALS, _WORDS).map("".join),
    st.tuples(_NAMES, _ORDERS, _NUMBERS).map("".join),
    st.tuples(_NAMES, st.just(" in "), _LISTS).map("".join),
    st.sampled_from(["domain foo", "abin[1.0.0,2.0.0)", "ORin 5", "!  = 5"]),
)
_JOINTS = st.sampled_from([" && ", " AND ", " || ", "\tOR\n"])


def _nested(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, _JOINTS, inner).map("".join)
    return st.one_of(joined, joined.map("({})".format), inner.map("( {} )".format), inner.map("({} || )".format))


constraints = st.recursive(comparisons, _nested, max_leaves=8)
pieces = st.lists(
    st.one_of(comparisons, _JOINTS, st.sampled_from(["(", ")", "()", " ", "&&", "in", "init", '"', ":", ""])),
    max_size=9,
).map("".join)

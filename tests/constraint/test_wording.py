from __future__ import annotations

from controller.constraint.wording import shortened, shown


def test_texts_and_numbers_look_different() -> None:
    assert [shown(value) for value in ("5", 5, 5.5, True, None)] == ['"5"', "5", "5.5", "true", "null"]


def test_any_value_can_be_shown_and_printed() -> None:
    for value in ("x" * 10_000, "\ud800", 16**5000, float("inf"), {"a": [None]}):
        assert len(shown(value).encode()) < 100


def test_a_text_is_one_line_of_limited_length() -> None:
    assert shortened("a\nb", 3) == "a b"
    assert shortened("abcd", 3) == "ab…"

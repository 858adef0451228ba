from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from controller.instant import ReadTimes
from controller.plan.memory.memory import TextKey, TextRecord
from controller.plan.scope.stability import (
    STABLE_AFTER_SECONDS,
    UNSTABLE_AFTER_SECONDS,
    TextStability,
    last_text_in_force,
)

Reading = tuple[float, str | None]
"""The time of a reading and the text of `sweep`; None if it was invalid or gone."""


def texts(text: str | None) -> dict[str, str]:
    return {} if text is None else {"sweep": text}


def read_at(at: float, took: float = 0.0) -> ReadTimes:
    return ReadTimes(at, at + took)


def stability_after(*readings: Reading, known: dict[TextKey, TextRecord] | None = None) -> TextStability:
    stability = TextStability()
    for at, text in readings:
        stability = stability.after(texts(text), known or {}, read_at(at))
    return stability


def is_trusted(*readings: Reading, known: dict[TextKey, TextRecord] | None = None) -> bool:
    return stability_after(*readings, known=known).trusts("sweep")


def is_unstable(readings: Iterable[Reading]) -> bool:
    return "sweep" in stability_after(*readings).unstable


def the_ledger_knows(**last_present: float) -> dict[TextKey, TextRecord]:
    """Texts of `sweep`, with the time at which each was last in force."""
    return {("sweep", text): TextRecord(1.0, at, 1.0, "{}") for text, at in last_present.items()}


# --- Two readings, two seconds apart ---


def test_a_text_that_was_read_once_is_not_trusted() -> None:
    assert not is_trusted((100.0, "a"))


def test_it_is_trusted_once_it_was_read_again_two_seconds_later() -> None:
    assert not is_trusted((100.0, "a"), (101.9, "a"))
    assert is_trusted((100.0, "a"), (101.9, "a"), (102.0, "a"))
    assert is_trusted((100.0, "a"), (102.0, "a"))


def test_one_reading_that_is_used_twice_counts_once() -> None:
    assert not is_trusted((100.0, "a"), (100.0, "a"), (100.0, "a"))


def test_the_duration_of_a_read_is_no_distance_between_two_reads() -> None:
    read = TextStability().after({"sweep": "a"}, {}, read_at(100.0, took=3.0))
    assert not read.after({"sweep": "a"}, {}, read_at(103.2)).trusts("sweep")
    assert not read.after({"sweep": "a"}, {}, read_at(104.9, took=3.0)).trusts("sweep")
    assert read.after({"sweep": "a"}, {}, read_at(105.0)).trusts("sweep")


def test_one_slow_reading_that_is_used_twice_counts_once() -> None:
    read = read_at(100.0, took=10.0)
    assert not TextStability().after({"sweep": "a"}, {}, read).after({"sweep": "a"}, {}, read).trusts("sweep")


def test_a_change_restarts_the_wait_even_if_it_is_reverted() -> None:
    assert not is_trusted((100.0, "a"), (102.0, "a"), (103.0, "b"))
    assert not is_trusted((100.0, "a"), (101.0, "b"), (102.0, "a"))
    assert not is_trusted((100.0, "a"), (101.0, None), (102.0, "a"))


def test_documents_wait_each_for_itself() -> None:
    stability = (
        TextStability()
        .after({"one": "a", "other": "a"}, {}, read_at(100.0))
        .after({"one": "a", "other": "b"}, {}, read_at(102.0))
    )
    assert (stability.trusts("one"), stability.trusts("other")) == (True, False)


def test_another_name_is_another_document() -> None:
    stability = TextStability().after({"old": "a"}, {}, read_at(100.0)).after({"new": "a"}, {}, read_at(102.0))
    assert not stability.trusts("new")
    assert not stability.trusts("old")


def test_an_invalid_or_missing_text_is_never_trusted() -> None:
    assert not is_trusted((100.0, None), (200.0, None))
    assert not TextStability().after({"sweep": "a"}, {}, read_at(100.0)).after({}, {}, read_at(200.0)).trusts("sweep")
    assert not TextStability().trusts("sweep")


@given(
    readings=st.lists(
        st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 3.0), st.sampled_from(["a", "b", None])), min_size=1, max_size=12
    ),
    trusted=st.sampled_from(["a", "b", "c"]),
)
def test_any_sequence_of_readings_follows_the_rule_of_the_design(
    readings: list[tuple[float, float, str | None]], trusted: str
) -> None:
    """Two reads at least 2 s apart without another text in between, or the last text in force."""
    read, since, stability = read_at(100.0), 100.0, TextStability()
    before = None
    for wait, took, text in readings:
        read = read_at(read.ended + wait, took)
        since = since if text == before else read.ended
        before = text
        stability = stability.after(texts(text), the_ledger_knows(**{trusted: 5.0}), read)
        expected = text is not None and (text == trusted or read.began >= since + STABLE_AFTER_SECONDS)
        assert stability.trusts("sweep") == expected


# --- Texts in the ledger ---


def test_the_last_stable_text_needs_no_wait_after_a_restart() -> None:
    assert is_trusted((100.0, "a"), known=the_ledger_knows(a=5.0))


def test_an_older_text_waits_like_a_new_one() -> None:
    known = the_ledger_knows(last_week=5.0, today=9.0)
    assert is_trusted((100.0, "today"), known=known)
    assert not is_trusted((100.0, "last_week"), known=known)
    assert not is_trusted((100.0, "today"), (200.0, "last_week"), known=known)
    assert is_trusted((100.0, "today"), (200.0, "last_week"), (202.0, "last_week"), known=known)


def test_a_text_that_is_known_under_another_name_waits() -> None:
    known = {("other", "a"): TextRecord(1.0, 5.0, 1.0, "{}")}
    assert not is_trusted((100.0, "a"), known=known)


def test_the_last_stable_text_is_found_for_each_document() -> None:
    known = {**the_ledger_knows(a=9.0, b=5.0), ("other", "b"): TextRecord(1.0, 2.0, 1.0, "{}")}
    assert last_text_in_force(known) == {"sweep": "a", "other": "b"}


def test_of_two_texts_of_the_same_second_the_newer_one_is_the_last() -> None:
    known = {("sweep", "new"): TextRecord(5.0, 9.0, 5.0, "{}"), ("sweep", "old"): TextRecord(1.0, 9.0, 1.0, "{}")}
    assert last_text_in_force(known) == {"sweep": "new"}


# --- The next reading ---


def test_the_next_reading_is_when_the_first_text_may_be_stable() -> None:
    stability = (
        TextStability().after({"one": "a"}, {}, read_at(100.0)).after({"one": "a", "other": "a"}, {}, read_at(101.0))
    )
    assert stability.next_change_at == 102.0
    assert stability.after({"one": "a", "other": "a"}, {}, read_at(102.0)).next_change_at == 103.0


@given(st.floats(0.0, 1e9), st.floats(0.0, 30.0))
def test_a_text_is_trusted_exactly_at_the_time_of_the_next_reading(at: float, took: float) -> None:
    stability = TextStability().after({"sweep": "a"}, {}, read_at(at, took))
    assert stability.next_change_at is not None
    assert stability.after({"sweep": "a"}, {}, read_at(stability.next_change_at)).trusts("sweep")


def test_no_further_reading_is_needed_for_trusted_or_invalid_texts() -> None:
    assert stability_after((100.0, "a"), (102.0, "a")).next_change_at is None
    assert stability_after((100.0, "a"), known=the_ledger_knows(a=5.0)).next_change_at is None
    assert stability_after((100.0, None)).next_change_at is None
    assert (
        TextStability().after({"sweep": "a"}, {}, read_at(100.0)).after({}, {}, read_at(101.0)).next_change_at is None
    )


# --- Unstable documents ---


def alternating(*texts: str | None, seconds: float, every: float = 1.0) -> list[Reading]:
    count = int(seconds / every) + 1
    return [(100.0 + number * every, texts[number % len(texts)]) for number in range(count)]


def test_a_document_that_changes_for_a_minute_is_unstable() -> None:
    assert not is_unstable(alternating("a", "b", seconds=UNSTABLE_AFTER_SECONDS - 1))
    assert is_unstable(alternating("a", "b", seconds=UNSTABLE_AFTER_SECONDS))


def test_a_document_that_is_empty_or_invalid_in_between_is_unstable() -> None:
    assert is_unstable(alternating("a", None, seconds=2 * UNSTABLE_AFTER_SECONDS))


def test_a_document_that_vanishes_in_between_is_unstable() -> None:
    stability = TextStability()
    for number in range(62):
        stability = stability.after({} if number % 2 else {"sweep": f"text {number}"}, {}, read_at(100.0 + number))
    assert stability.unstable == {"sweep"}


def test_a_document_that_keeps_returning_to_its_last_text_is_unstable() -> None:
    stability, known = TextStability(), the_ledger_knows(a=5.0)
    for at, text in alternating("a", "b", seconds=UNSTABLE_AFTER_SECONDS + 1):
        stability = stability.after(texts(text), known, read_at(at))
        assert stability.trusts("sweep") == (text == "a")
    assert stability.unstable == {"sweep"}


def test_a_document_is_no_longer_unstable_when_it_is_stable() -> None:
    readings = alternating("a", "b", seconds=UNSTABLE_AFTER_SECONDS)
    at, text = readings[-1]
    assert is_unstable([*readings, (at + 1.9, text)])
    assert not is_unstable([*readings, (at + 2.0, text)])


def test_occasional_edits_are_not_instability() -> None:
    edits = [(100.0 + 30 * number, f"text {number}") for number in range(10)]
    assert not is_unstable(edits)


def test_a_document_that_remains_invalid_or_absent_is_not_unstable() -> None:
    assert not is_unstable([(100.0, "a"), (110.0, None), (400.0, None)])


def test_documents_that_are_long_gone_are_forgotten() -> None:
    stability = TextStability().after({"sweep": "a"}, {}, read_at(100.0)).after({}, {}, read_at(101.0))
    assert "sweep" in stability.documents
    assert stability.after({}, {}, read_at(500.0)).documents == {}

"""JSON of others: deep nesting is refused, and no search for garbage runs on a full stack."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, Thread

import pytest

from controller.json_text import MOST_LEVELS, decoded, decoded_at


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def frames(count: int) -> int:
    """Use so many frames of the stack."""
    return frames(count - 1) if count else 0


@contextmanager
def search_after_each(objects: int) -> Iterator[list[str]]:
    """Search for garbage after so many new objects, with a finalizer of 2 * objects frames; gives what fails in it."""
    failed: list[str] = []

    def finalize(phase: str, _: object) -> None:
        try:
            frames(2 * objects)
        except RecursionError:
            failed.append(phase)

    threshold = gc.get_threshold()
    gc.set_threshold(objects)
    gc.callbacks.append(finalize)
    try:
        yield failed
    finally:
        gc.callbacks.remove(finalize)
        gc.set_threshold(*threshold)


@pytest.mark.parametrize("levels", [1, MOST_LEVELS, 950, 99_999])
@pytest.mark.parametrize("read", [decoded, lambda text: decoded_at(text, 0)[0]], ids=["whole", "part"])
def test_deep_nesting_is_refused_before_other_code_reads_it(levels: int, read: Callable[[str], object]) -> None:
    if levels <= MOST_LEVELS:
        assert json.dumps(read(nested(levels))) == nested(levels)
        return
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        read(nested(levels))
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        read(json.dumps({"wide": [[]] * 200})[:-1] + f', "deep": {nested(levels)}}}')


def test_many_brackets_are_not_many_levels() -> None:
    wide = [[{"a": ["[" * 500]}]] * 500
    assert decoded(json.dumps(wide)) == wide


def test_no_search_for_garbage_runs_on_a_full_stack() -> None:
    with search_after_each(50) as failed, pytest.raises(ValueError, match="nested"):
        decoded("[" * 99_999)
    assert failed == []
    assert gc.isenabled()


def test_the_search_continues_when_the_last_thread_has_left() -> None:
    start = Barrier(8)

    def decode_often() -> None:
        start.wait()
        for _ in range(2_000):
            decoded("[[[]]]")

    threads = [Thread(target=decode_often) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()

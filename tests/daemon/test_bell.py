"""The bell remembers a ring until somebody has waited for it."""

from __future__ import annotations

import threading

from controller.daemon.bell import Bell


def test_a_ring_ends_the_wait_at_once() -> None:
    bell = Bell()
    threading.Thread(target=bell.ring).start()
    assert bell.wait(60)


def test_a_ring_before_the_wait_is_not_lost() -> None:
    bell = Bell()
    bell.ring()
    assert bell.wait(60)


def test_many_rings_are_one() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_a_wait_in_the_past_is_none() -> None:
    assert not Bell().wait(-5)

"""The ledger clock: only observed time counts, regardless of the clocks of the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.instant import Instant
from controller.plan.memory.ledger_clock import WALL_IS_TRUSTED_AFTER_SECONDS, LedgerClock
from tests.builders import DAY, MINUTE, an_instant

RESYNC = 300.0
START = LedgerClock().advanced(an_instant(1_000.0), RESYNC)


def later(seconds: float, *, boot: str = "boot 1", wall_step: float = 0.0) -> Instant:
    at = an_instant(1_000.0 + seconds, boot=boot)
    return replace(at, wall_seconds=at.wall_seconds + wall_step)


def test_the_clock_starts_above_zero_because_zero_means_in_use() -> None:
    assert LedgerClock().seconds > 0
    assert START.seconds == LedgerClock().seconds


def test_between_two_passes_it_gains_the_uptime() -> None:
    assert START.advanced(later(10.0), RESYNC).seconds == START.seconds + 10.0


def test_it_gains_at_most_one_resync() -> None:
    assert START.advanced(later(3 * DAY), RESYNC).seconds == START.seconds + RESYNC


def test_over_a_reboot_it_gains_nothing() -> None:
    assert START.advanced(later(100.0, boot="boot 2"), RESYNC).seconds == START.seconds


@pytest.mark.parametrize("step", [-50 * 365 * DAY, 50 * 365 * DAY, -1.8e9])
def test_the_wall_clock_has_no_effect(step: float) -> None:
    assert START.advanced(later(10.0, wall_step=step), RESYNC).seconds == START.seconds + 10.0


def test_suspend_is_not_observed_time() -> None:
    """CLOCK_MONOTONIC does not advance during suspend; only the wall clock does."""
    assert START.advanced(later(0.0, wall_step=8 * 3600.0), RESYNC).seconds == START.seconds


instants = st.builds(
    Instant,
    wall_seconds=st.floats(-1e11, 1e11),
    boot=st.sampled_from(["boot 1", "boot 2"]),
    uptime_seconds=st.floats(0, 1e9),
)


@given(st.lists(instants, min_size=1, max_size=20), st.floats(0, 1e6))
def test_it_never_runs_backwards_nor_faster_than_one_resync_a_pass(moments: list[Instant], resync: float) -> None:
    clock = LedgerClock()
    for at in moments:
        after = clock.advanced(at, resync)
        assert clock.seconds <= after.seconds <= clock.seconds + resync
        clock = after


@given(st.lists(instants, min_size=1, max_size=20), st.floats(-1e11, 1e11))
def test_the_same_uptimes_under_another_wall_clock_give_the_same_times(moments: list[Instant], wall: float) -> None:
    clock = other = LedgerClock()
    for at in moments:
        clock, other = clock.advanced(at, RESYNC), other.advanced(replace(at, wall_seconds=wall), RESYNC)
    assert clock.seconds == other.seconds


def test_an_uptime_that_goes_back_is_a_gap() -> None:
    """A snapshot of a virtual machine was put back: uses since then are not known."""
    assert START.gap_before(later(-1.0), RESYNC) == "the uptime went back"


# ── dates ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def trusted() -> LedgerClock:
    """A clock after an hour in which a pass ran every 5 minutes."""
    clock = START
    for passes in range(1, 13):
        clock = clock.advanced(later(passes * RESYNC), RESYNC)
    return clock


def a_night(clock: LedgerClock, boot: str, hours: float = 10.0) -> LedgerClock:
    """The host is off for hours, and then on for one."""
    assert clock.last
    off = clock.last.wall_seconds + hours * 3_600.0
    for passes in range(13):
        at = Instant(off + passes * RESYNC, boot, 10.0 + passes * RESYNC)
        clock = clock.advanced(at, RESYNC)
    return clock


def test_dates_do_not_move_while_a_host_is_off_every_night() -> None:
    clock = trusted()
    moments = {seconds: clock.wall_at(seconds) for seconds in (START.seconds, START.seconds + 1_000.0)}
    for night in range(30):
        clock = a_night(clock, f"boot {night + 2}")
        assert clock.last
        moments[clock.seconds - 600.0] = clock.last.wall_seconds - 600.0
    assert clock.seconds == trusted().seconds + 30 * 3_600.0
    for seconds, wall in moments.items():
        assert clock.wall_at(seconds) == pytest.approx(wall, abs=30.0)


def test_dates_do_not_move_over_a_suspend_or_a_stopped_controller() -> None:
    clock = trusted()
    began = clock.wall_at(START.seconds)
    for at in (later(3_600.0, wall_step=DAY), later(3_600.0 + 5 * DAY, wall_step=DAY)):
        clock = clock.advanced(at, RESYNC)
        assert clock.wall_at(START.seconds) == pytest.approx(began, abs=30.0)


def test_when_the_clock_is_set_the_dates_of_this_boot_are_corrected() -> None:
    clock = LedgerClock()
    for at in (10.0, 300.0):
        clock = clock.advanced(Instant(at, "boot 1", at), RESYNC)
    assert clock.known_wall_at(1.0) is None
    clock = clock.advanced(Instant(1_800_000_000.0, "boot 1", 310.0), RESYNC)
    assert clock.known_wall_at(1.0) == clock.wall_at(1.0)
    assert clock.wall_at(1.0) == pytest.approx(1_800_000_000.0 - 300.0, abs=1.0)


def test_a_wrong_clock_for_a_while_leaves_earlier_dates_as_they_are() -> None:
    clock = trusted()
    began = clock.wall_at(START.seconds)
    for at in (later(3_900.0, wall_step=-40 * 365 * DAY), later(4_200.0)):
        clock = clock.advanced(at, RESYNC)
        assert clock.wall_at(START.seconds) == began
    assert clock.wall_at(START.seconds + 3_900.0) == pytest.approx(later(3_900.0).wall_seconds, abs=30.0)


def test_a_timeline_is_bounded_and_does_not_grow_while_nothing_happens() -> None:
    assert trusted().timeline == (replace(START.timeline[0], is_trusted=True),)
    clock = trusted()
    for night in range(500):
        clock = clock.advanced(Instant(1_900_000_000.0 + night * DAY, f"boot {night + 2}", 10.0), RESYNC)
    assert len(clock.timeline) == 200


@given(st.lists(instants, min_size=1, max_size=20))
def test_dates_have_no_effect_on_the_clock(moments: list[Instant]) -> None:
    clock = other = LedgerClock()
    for at in moments:
        clock, other = clock.advanced(at, RESYNC), other.undated.advanced(at, RESYNC)
        assert clock.undated == other.undated


# ── gaps between passes ───────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_no_gap_before_the_first_pass() -> None:
    assert LedgerClock().gap_before(an_instant(), RESYNC) == ""


@pytest.mark.parametrize("seconds", [0.0, 1.0, RESYNC, 2 * RESYNC])
def test_passes_up_to_two_resyncs_apart_leave_no_gap(seconds: float) -> None:
    assert START.gap_before(later(seconds), RESYNC) == ""


def test_a_longer_absence_is_a_gap_and_says_how_long() -> None:
    assert START.gap_before(later(3 * DAY), RESYNC).startswith("no pass for 3")


def test_a_reboot_of_any_length_is_a_gap() -> None:
    assert START.gap_before(later(1.0, boot="boot 2"), RESYNC) == "the host was restarted"


# ── dates ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def steady_for(seconds: float) -> LedgerClock:
    return START.advanced(later(seconds), RESYNC)


def test_a_date_is_trusted_once_wall_and_uptime_have_agreed_for_ten_minutes() -> None:
    assert not steady_for(WALL_IS_TRUSTED_AFTER_SECONDS - 1).wall_is_trusted()
    assert steady_for(WALL_IS_TRUSTED_AFTER_SECONDS).wall_is_trusted()
    assert not LedgerClock().wall_is_trusted()


def test_after_a_step_it_takes_ten_minutes_again() -> None:
    stepped = steady_for(20 * MINUTE).advanced(later(21 * MINUTE, wall_step=DAY), RESYNC)
    assert not stepped.wall_is_trusted()
    assert stepped.advanced(later(31 * MINUTE, wall_step=DAY), RESYNC).wall_is_trusted()


def test_after_a_reboot_it_takes_ten_minutes_again() -> None:
    assert not steady_for(20 * MINUTE).advanced(an_instant(20.0, boot="boot 2"), RESYNC).wall_is_trusted()


def test_a_slew_by_ntp_is_not_a_step() -> None:
    assert not START.stepped(later(DAY, wall_step=0.0005 * DAY))
    assert START.stepped(later(60.0, wall_step=2.0))


def test_ledger_times_are_shown_as_dates_by_the_last_known_wall_time() -> None:
    clock = steady_for(100.0)
    assert clock.last is not None
    assert clock.wall_at(clock.seconds + 50.0) == clock.last.wall_seconds + 50.0
    assert LedgerClock().wall_at(1.0) is None

"""A sample of the campaign that flips every bit of a ledger, `python -m tests.campaigns.bits`."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path

from controller.plan.memory.ledger_clock import LedgerClock
from tests.campaigns.bits import (
    HEADER_BITS,
    a_small_ledger,
    a_small_memory,
    flipped,
    in_memory,
    judged,
    outcome_of,
    outcome_of_header,
)

_HARMLESS = {"unchanged", "moved aside", "rows left out"}


def test_a_flipped_bit_makes_no_image_older_and_ends_no_start(tmp_path: Path) -> None:
    memory = a_small_memory()
    data, dice = a_small_ledger(memory), random.Random(1)
    bits = dice.sample(range(HEADER_BITS, len(data) * 8), 1_500)
    outcomes = flipped(in_memory(data), bits, partial(outcome_of, before=memory))
    of_header = dice.sample(range(HEADER_BITS), 50)
    outcomes += flipped(data, of_header, partial(outcome_of_header, before=memory, folder=tmp_path))
    assert outcomes.keys() <= _HARMLESS
    assert len(outcomes) == len(_HARMLESS)


def test_the_campaign_finds_an_older_image_and_a_lost_fact() -> None:
    memory = a_small_memory()
    later = replace(memory, clock=LedgerClock(memory.clock.seconds + 1, memory.clock.last))
    assert judged(later, memory) == "older"
    assert judged(replace(memory, mounted={}), memory) == "older"
    assert judged(replace(memory, records={}), memory) == "rows left out"

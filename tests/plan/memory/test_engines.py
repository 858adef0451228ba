"""Which engine answers, and what waits for an engine that is away."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.memory.engines import (
    AN_AWAY_ENGINE_IS_KEPT_SECONDS,
    change_of_engine,
    event_cursors,
    is_same_engine,
    memory_of_engine,
)
from controller.plan.memory.event import Event, EventCursor, EventKind, ReceivedEvents
from controller.plan.memory.memory import Evidence, Memory
from controller.plan.memory.observation import Engine, Observation
from controller.plan.memory.remember import News, remember
from controller.plan.node.agent import NodeAnswer, NodeSource
from tests.builders import DAY, HOUR, a_memory, a_record, an_engine, an_image, an_instant, an_observation

APP = an_image("app:1")
HERE = replace(an_engine(), machine="this machine", data_root="/var/lib/docker", driver="overlay2")
OTHER = replace(HERE, identity="another engine")
EVIDENCE = {APP.id: Evidence(NodeSource.RECORDED, "app:1", 10.0)}


def seen(engine: Engine, *images: str, uptime: float = 1_000.0) -> Observation:
    return an_observation(map(an_image, images), engine=engine, at=an_instant(uptime))


def known(engine: Engine = HERE, **given: object) -> Memory:
    """It was idle for an hour."""
    now = 10 * DAY
    records = {APP.id: a_record(5.0, last_used=now - HOUR)}
    return a_memory(seen(engine, "app:1"), records, now=now, evidence=EVIDENCE, **given)


@pytest.mark.parametrize("change", [{"identity": "new ID"}, {"identity": "host renamed podman overlay"}])
def test_an_engine_in_the_same_place_with_a_known_image_is_the_same(change: dict[str, str]) -> None:
    assert is_same_engine(seen(HERE, "app:1", "old:1"), seen(replace(HERE, **change), "app:1", "new:1"))  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["machine", "data_root", "driver"])
def test_an_engine_in_another_place_is_another_one(part: str) -> None:
    assert not is_same_engine(seen(HERE, "app:1"), seen(replace(OTHER, **{part: "other"}), "app:1"))  # type: ignore[arg-type]


def test_without_a_known_image_or_a_machine_id_another_id_is_another_engine() -> None:
    assert not is_same_engine(seen(HERE, "app:1"), seen(OTHER, "app:2"))
    unknown = replace(HERE, machine="")
    assert not is_same_engine(seen(unknown, "app:1"), seen(replace(unknown, identity="other"), "app:1"))


def test_the_same_id_with_an_empty_data_root_is_the_same_engine() -> None:
    assert is_same_engine(seen(HERE, "app:1"), seen(HERE))


@given(away=st.floats(0, AN_AWAY_ENGINE_IS_KEPT_SECONDS - 1))
def test_after_its_return_an_image_is_as_idle_as_it_was(away: float) -> None:
    memory = known()
    left = memory_of_engine(memory, seen(OTHER), memory.clock.seconds)
    assert (left.records, left.evidence, left.seen, left.gap) == ({}, {}, None, "")
    now = memory.clock.seconds + away
    back = memory_of_engine(replace(left, seen=seen(OTHER)), seen(HERE, "app:1"), now)
    record = back.records[APP.id]
    assert record.last_used == pytest.approx(now - HOUR)
    assert record.first_seen == pytest.approx(5.0 + away)
    assert back.evidence[APP.id].detail == "app:1"
    assert back.gap.startswith("this engine was away for")
    assert (back.seen, set(back.away)) == (memory.seen, {OTHER.identity})


def test_an_image_that_was_in_use_counts_as_used_until_the_return() -> None:
    memory = replace(known(), records={APP.id: a_record(5.0, last_used=0.0)}, swarm={APP.id: 0.0})
    left = remember(memory, seen(OTHER, uptime=1_100.0), News(), NodeAnswer(), 300.0)
    back = remember(left, seen(HERE, "app:1", uptime=1_200.0), News(), NodeAnswer(), 300.0)
    assert back.records[APP.id].last_used == back.swarm[APP.id] == back.clock.seconds
    assert (back.watch.since, back.watch.gap[:20]) == (back.clock.seconds, "this engine was away")


def test_each_engine_keeps_its_own_event_cursor() -> None:
    """A stream that still reads one engine says nothing about the cursor of another one."""
    memory = known(event_cursor=5, event_run="process 5")
    here, there = ReceivedEvents(cursor=6, engine=HERE.identity), ReceivedEvents(cursor=9, engine=OTHER.identity)
    left = remember(memory, seen(OTHER, uptime=1_100.0), News(here), NodeAnswer(), 300.0)
    left = remember(left, seen(OTHER, uptime=1_150.0), News(there), NodeAnswer(), 300.0)
    assert event_cursors(left) == {HERE.identity: EventCursor(5, "process 5"), OTHER.identity: EventCursor(9)}
    back = remember(left, seen(HERE, "app:1", uptime=1_200.0), News(there), NodeAnswer(), 300.0)
    assert event_cursors(back) == {HERE.identity: EventCursor(5, "process 5"), OTHER.identity: EventCursor(9)}
    back = remember(back, seen(HERE, "app:1", uptime=1_250.0), News(here), NodeAnswer(), 300.0)
    assert event_cursors(back)[HERE.identity] == EventCursor(6)


def test_an_arrival_remains_open_while_another_engine_answers() -> None:
    """Its event is replayed from this engine's own cursor."""
    memory = remember(known(), seen(HERE, "app:1", "b:1", uptime=1_050.0), News(), NodeAnswer(), 300.0)
    left = remember(memory, seen(OTHER, uptime=1_100.0), News(ReceivedEvents()), NodeAnswer(), 300.0)
    assert left.arriving == {}
    pull = ReceivedEvents((Event(EventKind.PULLED, None, "b:1"),))
    back = remember(left, seen(HERE, "app:1", "b:1", uptime=1_200.0), News(pull), NodeAnswer(), 300.0)
    assert back.records[an_image("b:1").id].origin is EventKind.PULLED


def test_records_wait_for_30_days_and_for_few_engines() -> None:
    memory = known()
    now = memory.clock.seconds
    left = replace(memory_of_engine(memory, seen(OTHER), now), seen=seen(OTHER))
    assert memory_of_engine(left, seen(OTHER), now + AN_AWAY_ENGINE_IS_KEPT_SECONDS).away == {}
    for number in range(10):
        engine = replace(OTHER, identity=str(number), machine=str(number))
        left = replace(memory_of_engine(left, seen(engine), now + number), seen=seen(engine))
    assert left.away.keys() == {"6", "7", "8"}


def test_each_change_of_engine_is_one_sentence() -> None:
    memory = known()
    left = remember(memory, seen(OTHER, uptime=1_100.0), News(), NodeAnswer(), 300.0)
    back = remember(left, seen(HERE, "app:1", uptime=1_200.0), News(), NodeAnswer(), 300.0)
    assert change_of_engine(memory, left).startswith(
        "another engine answers: Docker 28.5.2 at /var/lib/docker (another)"
    )
    assert "its images count as first seen now" in change_of_engine(memory, left)
    assert "in which another one answered; what was known of its images holds" in change_of_engine(left, back)
    assert change_of_engine(back, back) == change_of_engine(Memory(), memory) == ""


def test_evidence_returns_with_images_of_an_empty_data_root_and_ends_with_an_observed_pull() -> None:
    empty = remember(known(), seen(HERE, uptime=1_100.0), News(), NodeAnswer(), 300.0)
    assert empty.records == {}
    mounted = seen(HERE, "app:1", uptime=1_200.0)
    back = remember(empty, mounted, News(), NodeAnswer(), 300.0)
    assert back.records[APP.id].first_seen == back.clock.seconds
    assert back.evidence == EVIDENCE
    pulled = News(ReceivedEvents((Event(EventKind.PULLED, APP.id, "app:1"),)))
    assert remember(empty, mounted, pulled, NodeAnswer(), 300.0).evidence == {}

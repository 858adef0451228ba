"""The memory after an observation and the events before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.image.image import Container, Image
from controller.image.layers import ChainId, Layer
from controller.plan.memory.arrivals import EVENTS_ARRIVE_WITHIN_SECONDS
from controller.plan.memory.event import Event, EventKind, ReceivedEvents
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.memory import IN_USE, Attempt, Evidence, Memory, Record, Setback
from controller.plan.memory.observation import Store, situation_of
from controller.plan.memory.remember import News, remember
from controller.plan.node.agent import AgentAnswer, Beginning, KeptAnswer, NodeAnswer, NodeSource
from controller.plan.verdict.covering import has_lost_tag
from tests.builders import (
    DAY,
    HOUR,
    a_container,
    a_memory,
    a_record,
    an_agreement,
    an_answer,
    an_engine,
    an_event,
    an_id,
    an_image,
    an_instant,
    an_observation,
    some_layers,
)

RESYNC = 300.0
APP = an_image("app:1")
NAMELESS = an_image(id="app:1")


def received(*events: Event, **given: object) -> News:
    return News(ReceivedEvents(events, **given))  # type: ignore[arg-type]


QUIET = received()


def after(
    memory: Memory,
    images: Iterable[Image] = (APP,),
    containers: Iterable[Container] = (),
    *,
    news: News = QUIET,
    node: NodeAnswer | None = None,
    seconds: float = 10.0,
    store: Store = Store.GRAPH_DRIVER,
) -> Memory:
    """The memory after an observation `seconds` later."""
    last = memory.clock.last or an_instant()
    at = an_instant(last.uptime_seconds + seconds)
    return remember(memory, an_observation(images, containers, store=store, at=at), news, node or NodeAnswer(), RESYNC)


KNOWN = a_memory(an_observation([APP]))
"""An image that was first seen when the ledger was created, days ago."""


def record_of(memory: Memory, image: Image = APP) -> Record:
    return memory.records[image.id]


# ── observations ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_new_image_is_young_with_any_history() -> None:
    memory = after(Memory())
    assert record_of(memory).first_seen == memory.clock.seconds


def test_an_image_in_use_by_a_container_in_any_state_is_in_use() -> None:
    for state in ("created", "running", "paused", "restarting", "exited", "dead", "removing"):
        assert record_of(after(KNOWN, [APP], [a_container(APP, state=state)])).last_used == IN_USE


def test_after_its_last_container_it_is_idle_from_the_observation_that_shows_it() -> None:
    used = after(KNOWN, [APP], [a_container(APP)])
    released = after(used)
    assert record_of(released).last_used == released.clock.seconds


def test_use_is_by_image_id_and_not_by_name() -> None:
    new = an_image("app:1", id="new")
    memory = after(KNOWN, [NAMELESS, new], [a_container(NAMELESS, created_from="app:1")])
    assert record_of(memory).last_used == IN_USE
    assert record_of(memory, new).last_used is None


def test_a_record_ends_when_the_image_is_gone_and_a_new_one_starts_when_it_returns() -> None:
    gone = after(KNOWN, [])
    assert gone.records == {}
    assert record_of(after(gone)).first_seen > KNOWN.clock.seconds


def test_an_image_that_is_hidden_while_in_use_keeps_its_record() -> None:
    """Docker 26's containerd store does not list an image after its tag has moved."""
    container = a_container(APP, of_agent=True)
    hidden = after(after(KNOWN, [APP], [container]), [], [container])
    assert record_of(hidden).last_used == record_of(hidden).last_used_by_agent == IN_USE
    shown = after(hidden, [APP])
    assert record_of(shown).last_used_by_agent == shown.clock.seconds
    assert record_of(shown).first_seen == record_of(KNOWN).first_seen


def test_a_hidden_image_is_forgotten_with_its_last_container() -> None:
    container = a_container(APP)
    assert after(after(after(KNOWN, [APP], [container]), [], [container]), []).records == {}


def test_an_image_keeps_the_last_names_of_each_kind() -> None:
    both = an_image("app:1", digests=["app@sha256:" + "d" * 64])
    without_tag = replace(both, tags=())
    without_any = replace(without_tag, digests=())
    memory = after(after(after(Memory(), [both]), [without_tag]), [without_any])
    assert record_of(memory).names == ("docker.io/library/app:1", "docker.io/library/app@sha256:" + "d" * 64)


def test_new_names_replace_old_ones() -> None:
    memory = after(after(Memory(), [APP]), [an_image("app:2", id="app:1")])
    assert record_of(memory).names == ("docker.io/library/app:2",)


def test_another_engine_makes_all_images_new() -> None:
    other = an_observation([APP], engine=an_engine(identity="another"), at=an_instant(1_010.0))
    full = replace(KNOWN, evidence={APP.id: Evidence(NodeSource.RECORDED, "", 1.0)}, lost_names={APP.id: ("x:1",)})
    memory = remember(full, other, QUIET, NodeAnswer(), RESYNC)
    assert record_of(memory).first_seen == memory.clock.seconds > KNOWN.clock.seconds
    assert (memory.evidence, memory.lost_names) == ({}, {})


def test_the_clock_continues_under_another_engine() -> None:
    other = an_observation([APP], engine=an_engine(identity="another"), at=an_instant(1_010.0))
    assert remember(KNOWN, other, QUIET, NodeAnswer(), RESYNC).clock.seconds == KNOWN.clock.seconds + 10.0


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_container_between_two_observations_was_a_use() -> None:
    memory = after(KNOWN, news=received(an_event(name="app:1")))
    assert record_of(memory).last_used == memory.clock.seconds


@pytest.mark.parametrize(
    "kind",
    [EventKind.PULLED, EventKind.TAGGED, EventKind.LOADED, EventKind.IMPORTED, EventKind.BUILT],
)
def test_activity_other_than_use_is_recorded(kind: EventKind) -> None:
    memory = after(KNOWN, news=received(an_event(kind, image=APP)))
    record = record_of(memory)
    assert (record.last_touched, record.touch, record.last_used) == (memory.clock.seconds, kind, None)


@pytest.mark.parametrize("kind", [EventKind.UNTAGGED, EventKind.DELETED])
def test_an_untag_or_a_delete_is_not_activity(kind: EventKind) -> None:
    """Podman sends a delete even for one that it refused."""
    assert record_of(after(KNOWN, news=received(an_event(kind, image=APP)))) == record_of(KNOWN)


def test_a_use_counts_for_every_image_that_the_name_has_meant_since_the_last_observation() -> None:
    new = an_image("app:1", id="new")
    memory = after(KNOWN, [NAMELESS, new], news=received(an_event(name="app:1")))
    assert record_of(memory).last_used == record_of(memory, new).last_used == memory.clock.seconds


def test_a_late_use_event_counts_for_the_image_that_had_the_name_before() -> None:
    moved = after(KNOWN, [NAMELESS])
    memory = after(moved, [NAMELESS], news=received(an_event(name="app:1")))
    assert record_of(memory).last_used == memory.clock.seconds


def test_an_observation_without_events_forgets_no_name() -> None:
    """The second observation of a pass: uses during the removals are reported to the next pass only."""
    closing = after(KNOWN, [NAMELESS], news=News())
    memory = after(after(closing, [NAMELESS], news=News()), [NAMELESS], news=received(an_event(name="app:1")))
    assert record_of(memory).last_used == memory.clock.seconds


def test_while_the_stream_is_down_no_name_is_forgotten() -> None:
    moved = after(KNOWN, [NAMELESS], news=received(is_up=False))
    later = after(moved, [NAMELESS], news=received(is_up=False))
    memory = after(later, [NAMELESS], news=received(an_event(name="app:1")))
    assert record_of(memory).last_used == memory.clock.seconds


def test_an_old_name_means_nothing_two_observations_later() -> None:
    """Otherwise an old version would be kept while its successor runs."""
    memory = after(after(KNOWN, [NAMELESS]), [NAMELESS])
    assert record_of(after(memory, [NAMELESS], news=received(an_event(name="app:1")))).last_used is None


def test_a_use_by_a_name_between_two_observations_counts() -> None:
    tagged, used = an_event(EventKind.TAGGED, "other:1", image=APP), an_event(name="other:1", by_agent=True)
    memory = after(KNOWN, news=received(tagged, used, an_event(EventKind.UNTAGGED, APP.id, image=APP)))
    assert record_of(memory).last_used_by_agent == memory.clock.seconds


def test_an_image_that_was_removed_and_pulled_again_is_new() -> None:
    known = a_memory(an_observation([APP]), {APP.id: a_record(1.0, last_used=2.0, last_used_by_agent=2.0)})
    events = an_event(EventKind.DELETED, APP.id, image=APP), an_event(EventKind.PULLED, "app:1")
    memory = after(known, news=received(*events))
    assert idle_since(record_of(memory), Usage.AGENT) == memory.clock.seconds
    assert record_of(memory).origin is EventKind.PULLED


def test_events_only_make_images_younger() -> None:
    used = after(KNOWN, [APP], [a_container(APP)])
    assert record_of(after(used, [APP], [a_container(APP)], news=received(an_event(name="app:1")))).last_used == IN_USE


happenings = st.sampled_from(EventKind)
events = st.builds(
    an_event,
    happenings,
    st.sampled_from(["app:1", "app", "other:1", "sha256:" + "0" * 64, an_id("app:1")[7:20], ""]),
    image=st.none() | st.sampled_from([an_id("app:1"), an_id("gone")]),
    by_agent=st.booleans(),
)


@given(st.lists(events, max_size=6), st.randoms())
def test_neither_order_nor_repetition_of_events_matters(events: list[Event], random: object) -> None:
    other = [*events, *events]
    random.shuffle(other)  # type: ignore[attr-defined]
    ages = [record_of(after(KNOWN, news=received(*each))) for each in (events, other)]
    assert [idle_since(record, usage) for record in ages for usage in Usage][:2] == [
        idle_since(record, usage) for record in ages for usage in Usage
    ][2:]


@given(st.lists(events, max_size=6), st.sampled_from(Usage))
def test_no_event_makes_an_image_older(events: list[Event], usage: Usage) -> None:
    before = a_memory(an_observation([APP]), {APP.id: a_record(5.0, last_used=7.0, last_used_by_agent=6.0)})
    assert idle_since(record_of(after(before, news=received(*events))), usage) >= idle_since(record_of(before), usage)


# ── gaps in observation ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_long_absence_is_a_gap() -> None:
    assert after(KNOWN, seconds=2 * RESYNC).watch == KNOWN.watch
    memory = after(KNOWN, seconds=3 * RESYNC)
    assert memory.watch.since == memory.clock.seconds
    assert memory.watch.gap.startswith("no pass for")


def test_a_stream_that_lost_events_is_a_gap() -> None:
    memory = after(KNOWN, news=received(has_hole=True))
    assert (memory.watch.since, memory.watch.gap) == (memory.clock.seconds, "some engine events were missed")


@pytest.mark.parametrize(("refusal", "why"), [("", "the event stream is down"), ("403: Forbidden", "403: Forbidden")])
def test_a_gap_without_events_lasts_until_there_are_events_again(refusal: str, why: str) -> None:
    blind = after(KNOWN, news=received(is_up=False, refusal=refusal))
    assert (blind.watch.gap, blind.watch.is_blind) == (f"engine events not available: {why}", True)
    assert after(blind, news=received(is_up=False, refusal=refusal)).watch == blind.watch
    assert after(blind, news=News()).watch == blind.watch
    again = after(blind, news=received())
    assert (again.watch.since, again.watch.is_blind) == (again.clock.seconds, False)
    assert again.watch.gap == "engine events were not available"


def test_an_observation_without_events_is_not_a_gap() -> None:
    assert after(KNOWN, news=News()).watch == KNOWN.watch


# ── builds ────────────────────────────────────────────────────────────────────────────────────────────────────────────

BASE, CHILD = an_image("base:1"), an_image("child:1")


def with_layers(layers: Mapping[Image, tuple[Layer, ...]]) -> News:
    return News(ReceivedEvents(), {image.id: each for image, each in layers.items()})


def test_a_build_on_an_image_is_activity() -> None:
    base = after(Memory(), [BASE], news=with_layers({BASE: some_layers("a", "b")}))
    memory = after(base, [BASE, CHILD], news=with_layers({CHILD: some_layers("a", "b", "c")}))
    assert (record_of(memory, BASE).touch, record_of(memory, BASE).last_touched) == (
        EventKind.BUILT_UPON,
        memory.clock.seconds,
    )


def test_a_build_is_activity_too_if_the_new_image_is_inspected_later() -> None:
    base = after(Memory(), [BASE], news=with_layers({BASE: some_layers("a", "b")}))
    seen = after(base, [BASE, CHILD])
    memory = after(seen, [BASE, CHILD], news=with_layers({CHILD: some_layers("a", "b", "c")}))
    assert record_of(memory, BASE).touch is EventKind.BUILT_UPON


def test_a_new_image_on_the_same_base_is_not_activity_of_its_sibling() -> None:
    one = after(Memory(), [BASE], news=with_layers({BASE: some_layers("a", "b")}))
    memory = after(one, [BASE, CHILD], news=with_layers({CHILD: some_layers("a", "c")}))
    assert record_of(memory, BASE).touch is None


# ── a classic build, whose steps are images without a name ───────────────────────────────────────────────────────────

STEP, OF_STAGE = an_image(id="step"), an_image(id="result of a stage")
LAYERS = {
    BASE: some_layers("base"),
    STEP: some_layers("base", "step"),
    OF_STAGE: some_layers("other base", "made"),
    CHILD: some_layers("child"),
}


def during_a_build(*containers: Container, news: News = QUIET, seconds: float = HOUR) -> Memory:
    """A build began on BASE, made both images without a name, and works on one step for so long."""
    before = after(Memory(), [BASE, CHILD], news=with_layers({each: LAYERS[each] for each in (BASE, CHILD)}))
    images = (BASE, CHILD, STEP, OF_STAGE)
    began = after(before, images, containers, news=with_layers({each: LAYERS[each] for each in (STEP, OF_STAGE)}))
    return after(began, images, containers, news=news, seconds=seconds)


def active(memory: Memory) -> set[Image]:
    """Images with activity at the last observation."""
    now = memory.clock.seconds
    return {image for image in LAYERS if record_of(memory, image).last_touched == now}


@pytest.mark.parametrize("from_image", [STEP, BASE], ids=["a later step", "the first step of a stage"])
def test_what_a_running_build_made_or_uses_is_active(from_image: Image) -> None:
    step = a_container(from_image, created_from=from_image.id)
    assert active(during_a_build(step)) >= {STEP, OF_STAGE, BASE}
    assert CHILD not in active(during_a_build(step))


def test_the_event_of_a_step_shows_a_build_too() -> None:
    event = an_event(EventKind.USED, name=STEP.id, is_creation=True)
    assert active(during_a_build(news=received(event))) == {STEP, OF_STAGE, BASE}


@pytest.mark.parametrize(
    "container",
    [
        a_container(CHILD, created_from="child:1"),
        a_container(STEP, created_from=STEP.id, state="exited"),
        a_container(STEP, created_from=STEP.id, state="dead"),
    ],
    ids=["created by name", "a failed step", "a step that cannot be removed"],
)
def test_other_containers_are_no_build(container: Container) -> None:
    assert active(during_a_build(container)) == set()


def test_no_build_runs_for_longer_than_a_day() -> None:
    """A container may be created from an ID for other reasons, and run for years."""
    step = a_container(CHILD, created_from=CHILD.id)
    memory = during_a_build(step)
    for _ in range(int(DAY / RESYNC) + 1):
        memory = after(memory, LAYERS, [step], seconds=RESYNC)
    assert active(memory) == set()


@pytest.mark.parametrize("origin", [EventKind.LOADED, EventKind.IMPORTED, EventKind.PULLED])
def test_an_image_that_came_by_another_way_is_not_of_a_build(origin: EventKind) -> None:
    step = a_container(CHILD, created_from=CHILD.id)
    memory = during_a_build(step)
    records = {**memory.records, OF_STAGE.id: replace(record_of(memory, OF_STAGE), origin=origin)}
    assert active(after(replace(memory, records=records), LAYERS, [step])) == {STEP, BASE}


def test_an_image_that_lost_its_name_is_not_of_a_build() -> None:
    step = a_container(CHILD, created_from=CHILD.id)
    memory = during_a_build(step)
    records = {**memory.records, OF_STAGE.id: replace(record_of(memory, OF_STAGE), names=("docker.io/library/a:1",))}
    assert active(after(replace(memory, records=records), LAYERS, [step])) == {STEP, BASE}


def test_layers_are_kept_for_present_images_only() -> None:
    both = with_layers({BASE: some_layers("a", "b"), CHILD: some_layers("a", "c")})
    memory = after(Memory(), [BASE, CHILD], news=both)
    assert len(memory.layers) == 3
    assert set(after(memory, [BASE]).layers) == {layer.chain for layer in some_layers("a", "b")}


def test_an_image_without_layers_is_inspected_once() -> None:
    assert record_of(after(Memory(), [BASE], news=with_layers({BASE: ()})), BASE).tip == ChainId("")


# ── origins ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("events", "origin"),
    [
        ([an_event(EventKind.PULLED, "app:1")], EventKind.PULLED),
        ([an_event(EventKind.LOADED, APP.id, image=APP)], EventKind.LOADED),
        (
            [an_event(EventKind.TAGGED, "app:1", image=APP), an_event(EventKind.IMPORTED, image=APP)],
            EventKind.IMPORTED,
        ),
        ([an_event(EventKind.TAGGED, "app:1", image=APP)], EventKind.BUILT),
        ([an_event(EventKind.BUILT, APP.id[7:])], EventKind.BUILT),
        ([an_event(EventKind.PULLED, "app:1"), an_event(EventKind.TAGGED, "b:1", image=APP)], EventKind.PULLED),
        ([an_event(EventKind.PULLED, "app:1"), an_event(EventKind.TAGGED, "app:1", image=APP)], EventKind.BUILT),
        ([an_event(EventKind.PULLED, "app:1", image=APP)], EventKind.PULLED),
        ([], None),
    ],
)
def test_the_origin_of_an_image_is_shown_by_the_events_before_its_first_observation(
    events: list[Event], origin: EventKind | None
) -> None:
    assert record_of(after(Memory(), news=received(*events))).origin is origin


def test_the_origin_of_an_image_does_not_change() -> None:
    pulled = after(Memory(), news=received(an_event(EventKind.PULLED, "app:1")))
    assert record_of(after(pulled, news=received(an_event(EventKind.LOADED, image=APP)))).origin is EventKind.PULLED


# ── arrivals whose event is taken after the list that shows the image ─────────────────────────────────────────────────

DIGEST_OF_APP = "app@sha256:" + "d" * 64
PUSHED = an_image("app:1", digests=[DIGEST_OF_APP])
PULL = an_event(EventKind.PULLED, "app:1")
TAG = an_event(EventKind.TAGGED, "app:1", image=APP)
DELETION = an_event(EventKind.DELETED, image=APP)
BEFORE = a_memory(an_observation([an_image("other:1")]))
"""The list before the one that shows the image."""
ARCHIVED = replace(an_answer(), agent=AgentAnswer(named={"app:1": NodeSource.SERVICE}))


def listed(*events: Event, image: Image = APP, **given: Any) -> Memory:
    """The memory after the first list with the image; these events were taken before."""
    return after(BEFORE, [image], news=received(*events), **given)


@pytest.mark.parametrize(
    ("first", "then", "origin"),
    [
        ([], [PULL], EventKind.PULLED),
        ([], [an_event(EventKind.PULLED, "app:1", image=APP)], EventKind.PULLED),
        ([], [an_event(EventKind.LOADED, image=APP)], EventKind.LOADED),
        ([], [TAG], EventKind.BUILT),
        ([], [PULL, an_event(EventKind.TAGGED, "b:1", image=APP)], EventKind.PULLED),
        ([PULL], [an_event(EventKind.TAGGED, "b:1", image=APP)], EventKind.PULLED),
        ([PULL], [TAG], EventKind.BUILT),
        ([TAG], [PULL], EventKind.BUILT),
        ([], [an_event(EventKind.TAGGED, "b:1", image=APP)], None),
        ([], [], None),
    ],
)
def test_the_origin_of_a_new_image_is_shown_by_the_next_events_too(
    first: list[Event], then: list[Event], origin: EventKind | None
) -> None:
    """A pull of the same name before a build is of another image: in doubt an image was made here."""
    assert record_of(after(listed(*first), news=received(*then))).origin is origin


def test_a_new_image_that_gets_its_name_after_the_list_was_built() -> None:
    assert record_of(after(listed(image=NAMELESS), news=received(TAG))).origin is EventKind.BUILT


def test_a_pull_that_takes_the_name_of_a_new_image_is_not_its_pull() -> None:
    taken = after(listed(), [NAMELESS, an_image("app:1", id="new")], news=received(PULL))
    assert record_of(taken).origin is None


def test_the_origin_of_an_image_that_was_there_before_is_not_changed_by_later_events() -> None:
    assert record_of(after(after(Memory()), news=received(PULL))).origin is None
    closed = after(listed(), seconds=EVENTS_ARRIVE_WITHIN_SECONDS)
    assert closed.arriving == {}
    assert record_of(after(closed, news=received(PULL))).origin is None


@pytest.mark.parametrize(
    "news",
    [News(), received(is_up=False), received(has_hole=True)],
    ids=["closing observation", "stream down", "events missing"],
)
def test_an_arrival_is_open_until_all_events_were_taken(news: News) -> None:
    waiting = after(listed(), news=news, seconds=RESYNC)
    assert record_of(after(waiting, news=received(PULL))).origin is EventKind.PULLED


def test_an_arrival_is_open_while_its_event_may_be_on_its_way() -> None:
    at_once = after(listed(), seconds=EVENTS_ARRIVE_WITHIN_SECONDS / 2)
    assert record_of(after(at_once, news=received(PULL))).origin is EventKind.PULLED


@pytest.mark.parametrize("usage", list(Usage))
def test_an_image_is_new_if_its_deletion_was_taken_before_the_list_and_its_return_after(usage: Usage) -> None:
    returned = after(after(KNOWN, news=received(DELETION)), news=received(PULL))
    assert idle_since(record_of(returned), usage) == returned.clock.seconds
    assert record_of(returned).origin is EventKind.PULLED


def test_a_deletion_without_a_return_changes_nothing() -> None:
    """Podman sends the event of a deletion for a refused one, too."""
    assert record_of(after(after(KNOWN, news=received(DELETION)))) == record_of(KNOWN)


@pytest.mark.parametrize("is_deleted_unseen", [True, False])
def test_evidence_ends_if_the_return_is_observed_after_the_list(is_deleted_unseen: bool) -> None:
    used = after(KNOWN, [APP], [a_container(APP, of_agent=True)])
    gone = used if is_deleted_unseen else after(used, [])
    there = after(gone, news=received(DELETION) if is_deleted_unseen else QUIET)
    assert there.evidence == used.evidence
    assert after(there, news=received(PULL)).evidence == {}


def test_evidence_from_after_the_arrival_is_kept() -> None:
    used = after(BEFORE, [APP], [a_container(APP, of_agent=True)])
    assert after(used, news=received(PULL)).evidence == used.evidence
    recorded = after(BEFORE, news=News(ReceivedEvents(), recorded_downloads=["app:1"]))
    assert recorded.evidence.keys() == after(recorded, news=received(PULL)).evidence.keys() == {APP.id}


def test_evidence_of_an_image_that_returned_is_kept_if_it_is_pulled_again() -> None:
    used = after(KNOWN, [APP], [a_container(APP, of_agent=True)])
    returned = after(used, [APP], [a_container(APP, of_agent=True)], news=received(DELETION, PULL))
    assert returned.evidence != used.evidence
    assert after(returned, news=received(PULL)).evidence == returned.evidence


def test_an_archived_name_is_no_evidence_for_a_pull_observed_after_the_list() -> None:
    """Although the digest shows a pull: it may be observed."""
    there = listed(image=PUSHED, node=ARCHIVED)
    assert there.evidence == {}
    assert after(there, [PUSHED], news=received(PULL), node=ARCHIVED).evidence == {}
    assert after(after(there, [PUSHED], seconds=RESYNC), [PUSHED], node=ARCHIVED).evidence.keys() == {PUSHED.id}


def test_an_active_name_is_evidence_for_a_pull_observed_after_the_list_unless_it_was_a_build() -> None:
    needed = an_answer(an_agreement("a1", "app:1"), named={"app:1": NodeSource.AGREEMENT})
    assert after(listed(node=needed), news=received(PULL), node=needed).evidence.keys() == {APP.id}
    pulled = listed(PULL, node=needed)
    assert pulled.evidence.keys() == {APP.id}
    assert after(pulled, news=received(TAG), node=needed).evidence == {}


@given(
    st.booleans(),
    st.lists(st.sampled_from([PULL, TAG, an_event(EventKind.LOADED, image=APP)]), max_size=4),
    st.integers(0, 5),
)
def test_events_around_the_list_count_like_events_before_it(was_there: bool, events: list[Event], split: int) -> None:
    """With any split, an image that was made here is not pulled, and one that returned is new and without evidence."""
    events = [DELETION, *events] if was_there else events
    old = replace(KNOWN if was_there else BEFORE, evidence={APP.id: Evidence(NodeSource.AGENT_CONTAINER, "c", 1.0)})
    together = after(old, news=received(*events), seconds=20.0)
    apart = after(after(old, news=received(*events[:split])), news=received(*events[split:]))
    assert apart.evidence == together.evidence
    assert (record_of(apart).first_seen > KNOWN.clock.seconds) == (record_of(together).first_seen > KNOWN.clock.seconds)
    if record_of(together).origin not in (None, EventKind.PULLED):
        assert record_of(apart).origin not in (None, EventKind.PULLED)


# ── mounts ────────────────────────────────────────────────────────────────────────────────────────────────────────────

OTHER = an_image("other:1")
MOUNTING = a_container(OTHER, mounts=["app:1"])


def test_a_mounted_image_is_in_use_after_its_name_has_moved() -> None:
    mounted = after(KNOWN, [APP, OTHER], [MOUNTING])
    moved = after(after(mounted, [NAMELESS, an_image("app:1", id="new"), OTHER], [MOUNTING]), [NAMELESS], [MOUNTING])
    assert record_of(moved).last_used == IN_USE


def test_a_new_container_may_have_mounted_what_its_name_meant_before() -> None:
    memory = after(Memory(), [NAMELESS, an_image("app:1", id="new"), OTHER], [MOUNTING])
    assert record_of(memory).last_used == IN_USE
    elsewhere = an_image(id="x", digests=["elsewhere@sha256:" + "e" * 64])
    assert record_of(after(Memory(), [elsewhere, OTHER], [MOUNTING]), elsewhere).last_used is None


def test_the_end_of_the_container_is_the_end_of_its_mounts() -> None:
    memory = after(after(KNOWN, [APP, OTHER], [MOUNTING]), [APP, OTHER])
    assert record_of(memory).last_used == memory.clock.seconds
    assert memory.mounted == {}


# ── the agent ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_an_active_agreement_names_is_in_use_by_the_agent() -> None:
    record = record_of(after(KNOWN, node=an_answer(an_agreement("a1", "app:1"))))
    assert record.last_used == record.last_used_by_agent == IN_USE


def test_the_end_of_an_agreement_is_activity() -> None:
    memory = after(after(KNOWN, node=an_answer(an_agreement("a1", "app:1"))), node=an_answer())
    assert record_of(memory).last_used == record_of(memory).last_used_by_agent == memory.clock.seconds


@pytest.mark.parametrize(("of_agent", "of_dev", "counts"), [(True, False, True), (True, True, False), (False,) * 3])
def test_only_containers_of_services_count_as_the_agents(of_agent: bool, of_dev: bool, counts: bool) -> None:
    memory = after(KNOWN, [APP], [a_container(APP, of_agent=of_agent, of_dev=of_dev)])
    assert (record_of(memory).last_used_by_agent == IN_USE) is counts
    assert (APP.id in memory.evidence) is counts


def test_a_new_agreement_may_be_as_old_as_the_last_answer() -> None:
    answered = after(KNOWN, node=an_answer())
    memory = after(answered, node=an_answer(an_agreement("a1")), seconds=RESYNC)
    assert memory.agreements == {"a1": Beginning(answered.clock.seconds, memory.clock.seconds)}


def test_a_valid_answer_is_kept_and_a_missing_one_is_not() -> None:
    good = after(KNOWN, node=an_answer(an_agreement("a1")))
    assert good.node == KeptAnswer(an_answer(an_agreement("a1")), good.clock.seconds)
    assert after(good, node=an_answer(an_agreement("a1"), is_silence=True)).node == good.node


# ── the rest ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_evidence_is_kept_after_its_image_is_gone() -> None:
    used = after(KNOWN, [APP], [a_container(APP, of_agent=True)])
    assert after(after(used, []), [APP]).evidence == used.evidence


def test_evidence_is_not_replaced_by_later_evidence() -> None:
    used = after(KNOWN, [APP], [a_container(APP, of_agent=True)])
    again = after(used, [APP], news=News(ReceivedEvents(), recorded_downloads=["app:1"]))
    assert again.evidence == used.evidence


def test_the_evidence_of_gone_images_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.plan.memory.remember._EVIDENCE_OF_GONE_IMAGES", 2)
    old = {an_id(f"gone {n}"): Evidence(NodeSource.RECORDED, "", float(n)) for n in range(5)}
    memory = after(replace(KNOWN, evidence=old), [APP], [a_container(APP, of_agent=True)])
    assert memory.evidence.keys() == {APP.id, an_id("gone 3"), an_id("gone 4")}


def test_attempts_end_with_their_image_and_with_their_situation() -> None:
    attempt = Attempt(Setback.REFUSED, "in use", 1, 2.0, situation_of(APP, an_observation([APP])))
    memory = replace(KNOWN, attempts={(APP.id, "app:1"): attempt})
    assert after(memory).attempts is memory.attempts
    assert after(memory, []).attempts == {}
    used = after(memory, [APP], [a_container(APP)])
    assert used.attempts == after(used).attempts == {}


def test_a_series_of_pulls_continues_until_there_is_none_for_ten_minutes() -> None:
    pulled = received(an_event(EventKind.PULLED, "app:1"))
    first = after(KNOWN, news=pulled)
    second = after(first, news=pulled, seconds=RESYNC)
    assert first.pulls is not None
    assert second.pulls is not None
    assert second.pulls.first == first.pulls.first < second.pulls.last
    far = replace(second, clock=replace(second.clock, seconds=second.clock.seconds + HOUR))
    later = after(far, news=pulled)
    assert later.pulls is not None
    assert later.pulls.first == later.pulls.last == later.clock.seconds


def test_an_endless_series_of_pulls_pauses_removals_but_not_always() -> None:
    pulled = received(an_event(EventKind.PULLED, "app:1"))
    rows, memory = [], KNOWN
    for _ in range(8):
        memory = after(memory, news=pulled, seconds=RESYNC)
        rows.append(memory.pulls and memory.clock.seconds - memory.pulls.first)
    assert rows == [0.0, RESYNC, None, 0.0, RESYNC, None, 0.0, RESYNC]


def test_lost_events_count_until_a_pass_succeeds_and_a_lost_connection_only_while_it_lasts() -> None:
    assert ReceivedEvents(is_up=False).followed_by(ReceivedEvents()).is_all
    assert not ReceivedEvents(has_hole=True).followed_by(ReceivedEvents()).is_all
    assert not ReceivedEvents().followed_by(ReceivedEvents(is_up=False)).is_all


def test_the_cursor_follows_the_stream_even_backwards() -> None:
    """The engine's clock may be set back; an observation without events keeps the cursor."""
    memory = after(KNOWN, news=received(cursor=100))
    assert after(memory, news=received(cursor=50)).event_cursor == 50
    assert after(memory, news=News()).event_cursor == 100


@given(st.lists(st.sampled_from(["used", "free", "gone", "moved"]), max_size=8))
def test_remembering_uses_only_its_arguments(observations: list[str]) -> None:
    """Equal observations give equal memories, and a repeated observation changes no age."""
    shows: dict[str, tuple[list[Image], list[Container]]] = {
        "used": ([APP], [a_container(APP)]),
        "free": ([APP], []),
        "gone": ([], []),
        "moved": ([NAMELESS, an_image("app:1", id="new")], []),
    }
    memory = KNOWN
    for each in observations:
        once = after(memory, *shows[each])
        again = after(once, *shows[each], seconds=0.0)
        assert {i: r.last_used for i, r in again.records.items()} == {i: r.last_used for i, r in once.records.items()}
        memory = once


def test_ages_survive_any_number_of_restarts() -> None:
    """A restart saves and loads the memory."""
    memory = KNOWN
    for _ in range(500):
        memory = after(memory, seconds=1.0)
    assert record_of(memory) == record_of(KNOWN)
    assert memory.clock.seconds == KNOWN.clock.seconds + 500.0 < KNOWN.clock.seconds + DAY


def test_an_engine_without_images_is_remembered_too() -> None:
    assert remember(Memory(), an_observation(), QUIET, NodeAnswer(), RESYNC).seen is not None


# ── names of the form repo:tag@digest, hidden labels, swarm services ──────────────────────────────────────────────────

DIGEST = "sha256:" + "d" * 64
PINNED = an_image(id="app", digests=[f"app@{DIGEST}"])
PINNED_NAME = f"docker.io/library/app:1.2@{DIGEST}"


def test_the_tag_of_a_pinned_name_is_known_from_a_container() -> None:
    memory = after(Memory(), [PINNED], [a_container(PINNED, created_from=f"app:1.2@{DIGEST}")])
    assert PINNED_NAME in record_of(memory, PINNED).names


@pytest.mark.parametrize("kind", [EventKind.PULLED, EventKind.USED])
def test_the_tag_of_a_pinned_name_is_known_from_events(kind: EventKind) -> None:
    memory = after(Memory(), [PINNED], news=received(an_event(kind, f"app:1.2@{DIGEST}")))
    assert PINNED_NAME in record_of(memory, PINNED).names


def test_the_tag_of_a_pinned_name_is_kept_after_its_container() -> None:
    used = after(Memory(), [PINNED], [a_container(PINNED, created_from=f"app:1.2@{DIGEST}")])
    assert PINNED_NAME in record_of(after(used, [replace(PINNED, size_bytes=2)]), PINNED).names


@given(st.lists(st.sampled_from(["pulled", "used", "container", "nothing"]), min_size=1, max_size=6))
def test_a_pinned_name_is_never_a_tag_that_the_image_lost(history: list[str]) -> None:
    """An image that only ever had a digest is not one for `lost_tag_only`, however its name was written."""
    memory, name = Memory(), f"app:1.2@{DIGEST}"
    for what in history:
        users = [a_container(PINNED, created_from=name)] if what == "container" else []
        kinds = {"pulled": EventKind.PULLED, "used": EventKind.USED}
        news = received(an_event(kinds[what], name)) if what in kinds else QUIET
        memory = after(memory, [PINNED], users, news=news)
    assert not has_lost_tag(PINNED, record_of(memory, PINNED))
    tagged = after(memory, [replace(PINNED, tags=an_image("app:1.2").tags)])
    assert has_lost_tag(PINNED, record_of(after(tagged, [PINNED]), PINNED))


def test_a_keep_label_that_the_engine_no_longer_shows_is_remembered() -> None:
    labelled = after(Memory(), [replace(APP, keep=True)])
    memory = after(after(labelled, [APP]), [APP])
    assert memory.seen is not None
    assert memory.seen.images[APP.id].keep


def test_images_of_swarm_services_are_remembered_for_30_days() -> None:
    service = replace(a_container(APP), swarm_service=True)
    in_use = after(Memory(), [APP], [service], seconds=RESYNC)
    memory = after(in_use, [APP], seconds=RESYNC)
    assert memory.swarm == {APP.id: memory.clock.seconds}
    assert after(memory, [APP], seconds=RESYNC).swarm == memory.swarm
    later = replace(memory, clock=replace(memory.clock, seconds=memory.clock.seconds + 30 * DAY))
    assert after(later, [APP]).swarm == {}


def test_while_a_swarm_service_uses_an_image_nothing_is_written() -> None:
    service = replace(a_container(APP), swarm_service=True)
    memory = after(Memory(), [APP], [service], seconds=RESYNC)
    assert after(memory, [APP], [service], seconds=RESYNC).swarm is memory.swarm


def test_an_engine_that_refuses_its_events_is_the_reason_for_the_gap() -> None:
    memory = after(KNOWN, news=received(is_up=False, refusal="403: Forbidden"))
    assert memory.watch.gap == "engine events not available: 403: Forbidden"

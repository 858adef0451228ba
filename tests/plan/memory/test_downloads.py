"""Evidence of downloads by the agent: only what is unambiguous counts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from controller.image.image import Image
from controller.image.reference import ImageId
from controller.plan.memory import downloads
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.memory import Evidence, ExpectedDownload, Record
from controller.plan.memory.names import Names
from controller.plan.memory.observation import Store
from controller.plan.node.agent import NodeSource
from tests.builders import DAY, a_container, a_record, an_event, an_id, an_image, an_observation

NOW = 10 * DAY
APP, OLD, NEW = an_image("app:1"), an_image("app:1", id="old"), an_image("app:1", id="new")


def names(*images: Image, before: tuple[Image, ...] = ()) -> Names:
    """Names of one observation, and of one before it."""
    return Names(*({image.id: image for image in observed} for observed in (before, images)))


# ── containers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_container_of_a_service_is_evidence_for_its_image_by_id() -> None:
    seen = an_observation([OLD, NEW], [a_container(OLD, name="c1", of_agent=True, created_from="app:1")])
    assert downloads.from_containers(seen, NOW) == {OLD.id: Evidence(NodeSource.AGENT_CONTAINER, "container c1", NOW)}


def test_a_container_of_hzn_dev_or_of_others_is_no_evidence() -> None:
    containers = [a_container(APP, of_dev=True, name="d"), a_container(APP, name="x")]
    assert downloads.from_containers(an_observation([APP], containers), NOW) == {}


# ── containers between observations ───────────────────────────────────────────────────────────────────────────────────

CREATED = an_event(name="app:1", by_agent=True, is_creation=True)


def test_a_service_that_lived_two_seconds_is_evidence() -> None:
    found = downloads.from_events([CREATED], names(APP), NOW)
    assert found == {APP.id: Evidence(NodeSource.AGENT_CONTAINER, "a container of app:1", NOW)}


@pytest.mark.parametrize(
    "event",
    [
        an_event(name="app:1", by_agent=True),
        an_event(name="app:1", is_creation=True),
        an_event(name="app:1", by_agent=True, is_creation=True, is_replayed=True),
        an_event(name="other:1", by_agent=True, is_creation=True),
    ],
    ids=["not its creation", "not the agent's", "perhaps received before", "of no image here"],
)
def test_an_ambiguous_event_is_no_evidence(event: Event) -> None:
    assert downloads.from_events([event], names(APP), NOW) == {}


@pytest.mark.parametrize(
    "event",
    [
        an_event(EventKind.PULLED, "app:1"),
        an_event(EventKind.TAGGED, "app:1", image=APP),
        an_event(EventKind.LOADED, image=an_id("x")),
        an_event(EventKind.IMPORTED, image=an_id("x")),
        an_event(EventKind.BUILT, an_id("x")[7:]),
    ],
)
def test_a_name_that_may_have_moved_is_no_evidence(event: Event) -> None:
    assert downloads.from_events([CREATED, event], names(APP), NOW) == {}


def test_a_name_of_no_known_image_is_no_evidence_for_one_that_lost_a_name_meanwhile() -> None:
    untagged = an_event(EventKind.UNTAGGED, image=APP)
    created = an_event(name="other:1", by_agent=True, is_creation=True)
    known = Names({APP.id: APP}, {APP.id: APP}, events=[untagged, created])
    assert downloads.from_events([untagged, created], known, NOW) == {}


def test_a_name_that_meant_two_images_is_no_evidence_for_either() -> None:
    assert downloads.from_events([CREATED], names(NEW, before=(OLD,)), NOW) == {}


# ── record-download ───────────────────────────────────────────────────────────────────────────────────────────────────


def recorded(
    name: str, since: float | None = None, known: Names | None = None, events: tuple[Event, ...] = ()
) -> tuple[set[ImageId], list[str]]:
    """Recorded in this pass, or in an earlier one."""
    new, expected = ([name], []) if since is None else ([], [ExpectedDownload(name, since)])
    found, waiting = downloads.from_records(new, expected, events, known or names(APP), NOW)
    return set(found), [wish.name for wish in waiting]


@pytest.mark.parametrize("name", ["app:1", "docker.io/library/app:1", APP.id, APP.id.removeprefix("sha256:")])
def test_a_recorded_name_counts_at_once_for_the_image_that_has_it(name: str) -> None:
    assert recorded(name) == ({APP.id}, [])


def test_a_name_without_an_image_waits_for_a_pull() -> None:
    assert recorded("other:1") == (set(), ["other:1"])


@pytest.mark.parametrize(
    ("name", "pulled"),
    [
        ("app:1", "app:1"),
        ("app", "app:latest"),
        ("docker.io/library/app:1", "app:1"),
        ("app@sha256:" + "d" * 64, "app@sha256:" + "d" * 64),
    ],
)
def test_a_pull_of_the_name_ends_the_wait(name: str, pulled: str) -> None:
    image = an_image("app:1", "app:latest", digests=["app@sha256:" + "d" * 64])
    pull = an_event(EventKind.PULLED, pulled)
    assert recorded(name, since=NOW - 1, known=names(image), events=(pull,)) == ({image.id}, [])


def test_an_image_with_the_name_but_without_a_pull_does_not_end_the_wait() -> None:
    """Also if no observed time has passed since, as over a reboot."""
    assert recorded("app:1", since=NOW) == (set(), ["app:1"])


def test_a_build_of_the_name_does_not_end_the_wait() -> None:
    tagged = an_event(EventKind.TAGGED, "app:1", image=APP)
    assert recorded("app:1", since=NOW - 1, events=(tagged,)) == (set(), ["app:1"])


def test_a_pull_and_a_tag_of_one_name_are_ambiguous() -> None:
    events = an_event(EventKind.PULLED, "app:1"), an_event(EventKind.TAGGED, "app:1", image=APP)
    assert recorded("app:1", events=events) == (set(), ["app:1"])


def test_the_wait_ends_after_a_day_of_observed_time() -> None:
    assert recorded("other:1", since=NOW - DAY + 1)[1] == ["other:1"]
    assert recorded("other:1", since=NOW - DAY)[1] == []


def test_a_name_that_has_just_moved_counts_only_with_its_pull() -> None:
    """It may have been recorded for the image that had it before."""
    known = names(an_image(id="old"), NEW, before=(OLD,))
    assert recorded("app:1", known=known) == (set(), ["app:1"])
    assert recorded("app:1", known=known, events=(an_event(EventKind.PULLED, "app:1"),)) == ({NEW.id}, [])


def test_a_name_is_never_read_as_the_start_of_an_id() -> None:
    assert recorded(APP.id[7:15]) == (set(), [APP.id[7:15]])


# ── what the agent names ──────────────────────────────────────────────────────────────────────────────────────────────

NAMED = {"app:1": NodeSource.SERVICE}
PULLED_ONCE = an_image("app:1", digests=["app@sha256:" + "d" * 64])


def named(
    image: Image,
    origin: EventKind | None = None,
    *,
    store: Store = Store.GRAPH_DRIVER,
    by: Mapping[str, NodeSource] = NAMED,
) -> bool:
    seen = an_observation([image], store=store)
    records = {image.id: a_record(origin=origin)}
    return image.id in downloads.from_agent(by, names(image), records, seen, NOW)


@pytest.mark.parametrize(
    ("origin", "counts"),
    [
        (EventKind.PULLED, True),
        (EventKind.BUILT, False),
        (EventKind.LOADED, False),
        (EventKind.IMPORTED, False),
    ],
)
def test_what_the_agent_names_counts_if_it_was_pulled(origin: EventKind, counts: bool) -> None:
    assert named(APP, origin) is counts


def test_a_digest_on_a_graph_driver_shows_that_an_older_image_was_pulled() -> None:
    assert named(PULLED_ONCE)
    assert not named(APP)
    assert not named(an_image("app:1", digests=["elsewhere@sha256:" + "d" * 64]))


@pytest.mark.parametrize("store", [Store.CONTAINERD, Store.PODMAN])
def test_on_other_stores_a_digest_proves_nothing(store: Store) -> None:
    """They give every image a digest, also built and loaded ones."""
    assert not named(PULLED_ONCE, store=store)
    assert named(PULLED_ONCE, EventKind.PULLED, store=store)


def test_an_image_that_had_the_name_before_does_not_count() -> None:
    seen = an_observation([an_image(id="old"), NEW])
    records = {image.id: a_record(origin=EventKind.PULLED) for image in (OLD, NEW)}
    known = names(an_image(id="old"), NEW, before=(OLD,))
    assert downloads.from_agent(NAMED, known, records, seen, NOW).keys() == {NEW.id}


def test_a_name_in_an_agreement_is_evidence_of_an_agreement() -> None:
    seen, records = an_observation([APP]), {APP.id: a_record(origin=EventKind.PULLED)}
    found = downloads.from_agent({"app:1": NodeSource.AGREEMENT}, names(APP), records, seen, NOW)
    assert found == {APP.id: Evidence(NodeSource.AGREEMENT, "app:1", NOW)}


@pytest.mark.parametrize(
    ("record", "active", "counts"),
    [
        (a_record(origin=EventKind.PULLED, touch=EventKind.PULLED, last_touched=NOW), {"app:1"}, True),
        (a_record(origin=EventKind.PULLED, touch=EventKind.PULLED, last_touched=NOW), set(), False),
        (a_record(origin=EventKind.PULLED, touch=EventKind.PULLED, last_touched=NOW - 61), {"app:1"}, False),
        (a_record(), set(), True),
    ],
    ids=["active at the pull", "archived at the pull", "active after the next answer", "arrival not observed"],
)
def test_an_observed_pull_needs_a_name_that_is_active_at_that_time(
    record: Record, active: set[str], counts: bool
) -> None:
    found = {APP.id: Evidence(NodeSource.SERVICE, "app:1", NOW)}
    assert bool(downloads.without_earlier_pulls(found, active, {APP.id: record}, NOW - 60)) is counts

"""Images that a name may refer to (rather too many), and images that have it now (rather too few)."""

from __future__ import annotations

import pytest

from controller.image.image import Image
from controller.image.reference import ImageId
from controller.plan.memory.event import Event, EventKind
from controller.plan.memory.names import Names, renamed, spellings
from tests.builders import an_event, an_id, an_image

DIGEST = "sha256:" + "d" * 64


def observed(*images: Image) -> dict[ImageId, Image]:
    return {image.id: image for image in images}


OLD, NEW = an_image("app:1", id="old"), an_image("app:1", id="new")


@pytest.mark.parametrize(
    "text",
    ["app:1", "docker.io/app:1", "docker.io/library/app:1", "index.docker.io/library/app:1"],
)
def test_a_name_in_any_spelling_means_its_image(text: str) -> None:
    assert Names(observed(OLD)).images_named(text) == {OLD.id}


def test_a_name_without_a_tag_is_latest() -> None:
    latest = an_image("app:latest")
    assert Names(observed(OLD, latest)).images_named("app") == {latest.id}


def test_a_name_means_every_image_that_had_it_in_any_observation() -> None:
    assert Names(observed(OLD), observed(NEW)).images_named("app:1") == {OLD.id, NEW.id}


def test_a_recently_lost_name_still_means_the_image_that_lost_it() -> None:
    lost = {OLD.id: ("docker.io/library/app:1",)}
    assert Names(observed(an_image(id="old")), lost=lost).images_named("app:1") == {OLD.id}


def test_an_event_with_id_and_name_shows_a_meaning_between_observations() -> None:
    tagged = an_event(EventKind.TAGGED, "other:1", image=OLD)
    assert Names(observed(OLD), events=[tagged]).images_named("other:1") == {OLD.id}


@pytest.mark.parametrize("text", [an_id("old"), an_id("old").removeprefix("sha256:"), an_id("old")[7:19]])
def test_an_id_or_the_start_of_one_means_its_image(text: str) -> None:
    assert Names(observed(OLD, NEW)).images_named(text) == {OLD.id}


def test_a_name_by_digest_means_the_image_with_that_digest() -> None:
    image = an_image("app:1", digests=[f"app@{DIGEST}"])
    names = Names(observed(image))
    assert (
        names.images_named(f"app@{DIGEST}")
        == names.images_named(f"app:9@{DIGEST}")
        == names.images_named(f"app:1@{DIGEST}")
        == {image.id}
    )


def test_on_the_containerd_store_a_digest_is_an_id() -> None:
    assert Names(observed(OLD)).images_named(f"elsewhere@{OLD.id}") == {OLD.id}


@pytest.mark.parametrize(
    "text", ["", "<none>:<none>", "<none>@<none>", "none:1", "abc", "app:2", "registry.local/app:1"]
)
def test_what_names_nothing_means_nothing(text: str) -> None:
    assert Names(observed(OLD)).images_named(text) == frozenset()


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_with_an_id_is_about_that_image() -> None:
    assert Names(observed(OLD, NEW)).images_of(an_event(EventKind.TAGGED, "app:1", image=an_id("new"))) == {NEW.id}


def test_a_use_of_an_unknown_name_counts_for_every_image_that_lost_a_name() -> None:
    use, untag = an_event(name="gone:1"), an_event(EventKind.UNTAGGED, OLD.id, image=OLD)
    assert Names(observed(OLD, NEW), events=[use, untag]).images_of(use) == {OLD.id}


# ── a name that was pulled and moved on ──────────────────────────────────────────────────────────────────────────────


BESIDE = an_image("app:2", id="beside")
ELSEWHERE = an_image("mirror/app:1", id="elsewhere")
PULL, USE = an_event(EventKind.PULLED, "app:1", at=1), an_event(EventKind.USED, "app:1")


def may_have_meant(*events: Event, keeps_pulled_digests: bool = True) -> frozenset[ImageId]:
    before, now = observed(OLD, BESIDE, ELSEWHERE), observed(NEW, BESIDE, ELSEWHERE)
    names = Names(before, now, events=(PULL, USE, *events), keeps_pulled_digests=keeps_pulled_digests)
    assert not names.may_have_meant("other:1")
    return names.may_have_meant("docker.io/library/app:1")


@pytest.mark.parametrize(
    "later",
    [
        an_event(EventKind.PULLED, "app:1", at=2),
        an_event(EventKind.TAGGED, "app:1", image=NEW),
        an_event(EventKind.LOADED, "new.tar", image=NEW),
        an_event(EventKind.LOADED, "new.tar"),
        an_event(EventKind.IMPORTED, image=NEW),
        an_event(EventKind.BUILT, image=NEW),
    ],
)
def test_a_name_that_was_pulled_and_moved_on_may_have_meant_any_image_of_the_repository(later: Event) -> None:
    """Docker does not show which image a pull gave the name."""
    assert may_have_meant(later) == {OLD.id, NEW.id, BESIDE.id}


def test_where_a_pull_leaves_no_digest_it_may_have_meant_any_image() -> None:
    moved = an_event(EventKind.PULLED, "app:1", at=2)
    assert may_have_meant(moved, keeps_pulled_digests=False) == {OLD.id, NEW.id, BESIDE.id, ELSEWHERE.id}


@pytest.mark.parametrize(
    "later",
    [
        an_event(EventKind.PULLED, "app:2", at=2),
        an_event(EventKind.TAGGED, "app:2", image=NEW),
        an_event(EventKind.LOADED, "other.tar", image=BESIDE),
        an_event(EventKind.BUILT, image=BESIDE),
    ],
)
def test_a_pulled_name_that_nothing_moved_has_only_the_meanings_that_were_seen(later: Event) -> None:
    assert not may_have_meant(later)


def test_a_pulled_digest_does_not_move() -> None:
    pulls = [an_event(EventKind.PULLED, f"app@{DIGEST}", at=at) for at in (1, 2)]
    assert not Names(observed(OLD), events=pulls).may_have_meant(pulls[0].name)


def test_a_name_that_was_pulled_and_removed_may_have_meant_any_image() -> None:
    """Docker's event of the removal has the ID of the image and not the name."""
    names = Names(observed(OLD, BESIDE), observed(BESIDE), events=[PULL, USE], keeps_pulled_digests=True)
    assert names.may_have_meant("app:1") == {OLD.id, BESIDE.id}


def test_an_event_also_affects_the_image_that_loses_the_name() -> None:
    assert Names(observed(OLD)).affected_by(an_event(EventKind.TAGGED, "app:1", image=an_id("new"))) == {OLD.id, NEW.id}


@pytest.mark.parametrize(
    ("kind", "name", "moves"),
    [
        (EventKind.PULLED, "app:1", False),
        (EventKind.PULLED, "unknown:1", True),
        (EventKind.TAGGED, "unknown:1", False),
        (EventKind.LOADED, "", True),
        (EventKind.IMPORTED, "", True),
        (EventKind.BUILT, "", True),
        (EventKind.USED, "unknown:1", False),
    ],
)
def test_some_events_move_names_that_they_do_not_contain(kind: EventKind, name: str, moves: bool) -> None:
    assert Names(observed(OLD)).may_move_others(an_event(kind, name)) is moves


# ── images that have a name ───────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_latest_observation_shows_which_image_has_a_name() -> None:
    assert Names(observed(OLD), observed(NEW)).images_now_named("app:1") == {NEW.id}
    assert Names(observed(OLD), observed()).images_now_named("app:1") == frozenset()


def test_the_start_of_an_id_is_not_a_name() -> None:
    """A repository may be called `cafe`."""
    names = Names(observed(OLD))
    assert names.images_now_named(OLD.id[7:19]) == frozenset()
    assert names.images_now_named(OLD.id) == names.images_now_named(OLD.id[7:]) == {OLD.id}


def test_of_tag_and_digest_the_digest_decides() -> None:
    other = an_image("app:2", digests=[f"app@{DIGEST}"])
    assert Names(observed(OLD, other)).images_now_named(f"app:1@{DIGEST}") == {other.id}


def test_spellings_of_an_id_are_none() -> None:
    assert spellings(an_id("old")) == spellings("<none>:<none>") == ()


# ── renamed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_whose_name_moved_is_renamed() -> None:
    assert renamed(observed(OLD), observed(an_image(id="old"), NEW)) == {OLD.id}


def test_an_image_that_has_gained_a_name_is_renamed() -> None:
    assert renamed(observed(OLD), observed(an_image("app:1", "app:2", id="old"))) == {OLD.id}


def test_an_image_that_has_only_lost_a_name_is_not() -> None:
    assert renamed(observed(an_image("app:1", "app:2", id="old")), observed(OLD)) == set()


def test_the_parent_of_a_new_image_counts_as_renamed() -> None:
    assert renamed(observed(OLD), observed(OLD, an_image("child:1", parent="old"))) == {OLD.id}


def test_an_image_that_is_gone_or_new_is_not_renamed() -> None:
    assert renamed(observed(OLD), observed(an_image("other:1"))) == set()

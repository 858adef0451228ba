"""Images that cannot be pulled again."""

from __future__ import annotations

import pytest

from controller.plan.memory.event import EventKind
from controller.plan.memory.observation import Store
from controller.plan.verdict.covering import RuleBook
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.local import why_local
from controller.plan.verdict.planner import make_plan
from controller.plan.verdict.verdict import Reason
from tests.builders import a_memory, a_record, a_rule, an_image, an_observation

DIGEST = "app@sha256:" + "d" * 64


@pytest.mark.parametrize("store", list(Store))
@pytest.mark.parametrize("origin", [EventKind.BUILT, EventKind.LOADED, EventKind.IMPORTED])
def test_an_image_that_was_made_here_is_local_on_every_store(store: Store, origin: EventKind) -> None:
    image = an_image("app:1", digests=[DIGEST])
    assert why_local(image, a_record(origin=origin), store) == f"{origin.value} on this node"


@pytest.mark.parametrize("store", list(Store))
def test_a_pulled_image_is_not_local(store: Store) -> None:
    assert why_local(an_image("app:1"), a_record(origin=EventKind.PULLED), store) == ""


@pytest.mark.parametrize(
    ("store", "has_digest", "is_local"),
    [
        (Store.GRAPH_DRIVER, True, False),
        (Store.GRAPH_DRIVER, False, True),
        (Store.CONTAINERD, True, True),
        (Store.CONTAINERD, False, True),
        (Store.PODMAN, True, True),
        (Store.PODMAN, False, True),
    ],
)
def test_an_unknown_origin_is_local_unless_a_graph_driver_has_a_digest(
    store: Store, has_digest: bool, is_local: bool
) -> None:
    image = an_image("app:1", digests=[DIGEST] if has_digest else [])
    assert bool(why_local(image, a_record(), store)) is is_local


def test_only_with_protect_local_such_an_image_is_protected() -> None:
    images = [an_image("built:1"), an_image("pulled:1")]
    origins = (EventKind.BUILT, EventKind.PULLED)
    records = {image.id: a_record(origin=origin) for image, origin in zip(images, origins, strict=True)}
    memory = a_memory(an_observation(images), records)
    verdicts = make_plan(RuleBook([a_rule()]), memory, Terms(protect_local=True)).verdicts
    assert [(verdict.reason, verdict.detail) for verdict in verdicts] == [
        (Reason.PROTECTED, f"{EventKind.BUILT.value} on this node: cannot be pulled again (--protect-local)"),
        (Reason.DUE, ""),
    ]
    plain = make_plan(RuleBook([a_rule()]), memory, Terms()).verdicts
    assert [verdict.reason for verdict in plain] == [Reason.DUE, Reason.DUE]

"""One pass, with everything that may happen before and during it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from controller.adapters.ledger.history import HistoryReader
from controller.adapters.ledger.ledger import Ledger, LedgerReader
from controller.daemon.reconcile import PassOptions
from controller.daemon.status import PassResult
from controller.errors import (
    EngineUnavailable,
    EngineUnreachable,
    ImageGone,
    LedgerUnavailable,
    RemovalFailed,
    RemovalRefused,
)
from controller.log_events import LogEvent
from controller.plan.memory.disk import DiskMark, PressureMarks
from controller.plan.report.report import reclaimable
from controller.plan.verdict.backoff import LONGEST_SECONDS
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.judge import Terms
from controller.plan.verdict.limits import Limits
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    UNKNOWN_BYTES,
    Batch,
    Exactness,
    Freed,
    Intent,
    Outcome,
    Removal,
)
from controller.plan.verdict.verdict import Reason
from tests.fake_engine import Kind
from tests.fakes import a_document, a_removal
from tests.host import Host, a_host

AT_ONCE = Conditions(Terms(settle_seconds=0.0))
A_LONG_TIME = 10_000.0


@pytest.fixture
def host() -> Iterator[Host]:
    """A host on which every image without a container is due at once."""
    with a_host(conditions=AT_ONCE) as host:
        host.rules(a_removal())
        yield host


def outcomes(host: Host) -> dict[str, str]:
    return {removal.intent.reference: removal.outcome.value for removal in host.last.removals}


def history(host: Host) -> list[tuple[str, str]]:
    reader = LedgerReader(host.ledger_file)
    try:
        return [(removal.intent.reference, removal.outcome.value) for removal in reader.removals()]
    finally:
        reader.close()


def when(host: Host, call: str, action: Callable[[], object]) -> None:
    """Call `action` once, right before the engine answers such a call."""
    left = [action]

    def on_call(what: str) -> None:
        if what == call and left:
            left.pop()()

    host.engine.on_call = on_call


def fails(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


# ── no removal without a complete observation ─────────────────────────────────────────────────────────────────────────


def test_what_is_due_is_removed(host: Host) -> None:
    host.engine.load("app:1")
    status = host.run_pass()
    assert (status.result, outcomes(host)) == (PassResult.REMOVED, {"app:1": "removed"})
    assert history(host) == [("app:1", "removed")]


@pytest.mark.parametrize("kind", [Kind.DEBIAN, Kind.D28_C8D, Kind.PODMAN])
def test_an_image_that_was_pulled_by_digest_and_tagged_is_removed(kind: Kind) -> None:
    """Podman counts the tag and the digest as two names, and refuses a removal by the image ID."""
    with a_host(kind, conditions=AT_ONCE) as host:
        host.rules(a_removal())
        image = host.engine.pull("app@content")
        host.engine.tag(image, "app:1")
        for _ in range(2):
            assert host.run_pass().result is PassResult.REMOVED
            host.clock.elapse(1.0)
            if not host.engine.has(image):
                break
        assert not host.engine.has(image)
        assert history(host)[-1][1] == "removed"


def test_a_pass_in_which_nothing_changed_sends_two_requests(host: Host) -> None:
    host.engine.load("used:1")
    host.engine.run("used:1")
    host.run_pass()
    host.engine.calls.clear()
    assert host.run_pass().result is PassResult.NOTHING_DUE
    assert host.engine.calls == ["images", "containers"]


def test_many_uses_need_no_more_requests_and_none_for_the_disk() -> None:
    with a_host() as host:
        host.rules(a_removal())
        host.engine.load("app:1")
        host.run_pass()
        host.clock.elapse(590)
        for _ in range(100):
            host.engine.run_briefly("app:1")
        host.engine.calls.clear()
        host.run_pass()
        host.clock.elapse(20)
        host.run_pass()
        assert host.verdict("app:1").detail == "used by a container"
        assert host.engine.calls == ["images", "containers"] * 2


@pytest.mark.parametrize("question", ["images", "containers"])
def test_nothing_is_removed_unless_images_and_containers_were_read(host: Host, question: str) -> None:
    host.engine.load("app:1")
    when(host, question, fails(EngineUnavailable("a list that is cut")))
    status = host.run_pass()
    assert (status.result, status.trouble) == (PassResult.FAILED, "a list that is cut")
    assert host.engine.names == ["app:1"]


def test_nothing_is_removed_unless_the_folder_was_read(host: Host) -> None:
    host.engine.load("app:1")
    host.folder.lost = "policies cannot be read: Permission denied"
    assert host.run_pass().result is PassResult.NOTHING_DUE
    assert host.engine.names == ["app:1"]


def test_after_a_failed_pass_the_last_decision_is_kept(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.run("app:1")
    host.run_pass()
    host.engine.is_down = True
    assert not host.run_pass().engine_is_up
    assert host.reason("app:1") is Reason.IN_USE


def test_events_are_kept_until_a_pass_has_used_them(host: Host) -> None:
    host.options = PassOptions(Conditions(Terms(settle_seconds=600.0), resync_seconds=A_LONG_TIME))
    host.restart()
    host.rules(a_removal())
    host.engine.load("app:1")
    host.run_pass()
    host.clock.elapse(590)
    host.engine.run_briefly("app:1")
    when(host, "images", fails(EngineUnavailable("no")))
    host.run_pass()
    host.clock.elapse(20)
    host.run_pass()
    assert host.reason("app:1") is Reason.SETTLING


def test_an_image_that_cannot_be_inspected_is_removed_and_stops_no_other_removal(host: Host) -> None:
    host.engine.load("corrupt:1", content="1")
    host.engine.load("sound:1", content="2")
    when(host, "layers", fails(EngineUnavailable("500: layer does not exist")))
    host.run_pass()
    assert outcomes(host) == {"corrupt:1": "removed", "sound:1": "removed"}
    assert [removal.freed.exactness for removal in host.last.removals] == [Exactness.UNKNOWN, Exactness.EXACT]


def test_a_dry_run_removes_nothing(host: Host) -> None:
    host.options = replace(host.options, dry_run=True)
    host.restart()
    host.rules(a_removal())
    host.engine.load("app:1")
    host.run_pass()
    assert host.reason("app:1") is Reason.DUE
    assert host.engine.names == ["app:1"]


def test_removals_that_are_interrupted_are_no_trouble_of_the_ledger(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.load("app:2")

    def interrupt() -> None:
        host.events.generation += 1

    when(host, "remove app:1", interrupt)
    status = host.run_pass()
    assert [each.event for each in status.degradations] == [LogEvent.REMOVALS_INTERRUPTED]


def test_nothing_is_removed_from_another_engine_than_the_observed_one(host: Host) -> None:
    host.engine.load("app:1")
    when(host, "containers", lambda: setattr(host.engine, "identity", "another"))
    status = host.run_pass()
    assert "another engine answers at this address" in status.trouble
    assert host.engine.names == ["app:1"]


def test_nothing_is_removed_in_the_pass_in_which_the_node_became_a_swarm_manager(host: Host) -> None:
    """The images of its services were not listed yet; the next pass protects them."""
    host.engine.load("app:1")
    when(host, "containers", lambda: setattr(host.engine, "services", frozenset({"app:1"})))
    assert "it changed its role" in host.run_pass().trouble
    host.run_pass()
    assert (host.reason("app:1"), host.engine.names) == (Reason.PROTECTED, ["app:1"])


# ── wrong answers of the engine ───────────────────────────────────────────────────────────────────────────────────────


def test_a_reference_that_is_still_there_after_200_has_failed(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([None])
    host.run_pass()
    (removal,) = host.last.removals
    assert (removal.outcome, removal.freed) == (Outcome.FAILED, Freed(0, Exactness.EXACT))
    assert "still there" in removal.message
    assert host.reason("app:1") is Reason.BACKING_OFF


def test_a_reference_that_is_still_there_after_404_has_failed_with_the_words_of_the_engine(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([ImageGone("No such image: app:1")])
    host.run_pass()
    (removal,) = host.last.removals
    assert removal.outcome is Outcome.FAILED
    assert removal.message.endswith("still there: No such image: app:1")


def test_a_refused_removal_keeps_the_words_of_the_engine_and_its_bytes_are_not_due(host: Host) -> None:
    """Podman does not list a container of `podman build`; only the refusal shows that it holds the image."""
    words = "409: image used by 6f1b2c3d4e5f: image is in use by a container: consider listing external containers"
    host.engine.load("held:1", "a layer")
    host.engine.troubles["held:1"] = deque([RemovalRefused(words)] * 2)
    host.run_pass()
    for _ in range(2):
        verdict = host.verdict("held:1")
        assert (verdict.reason, verdict.detail) == (Reason.BACKING_OFF, f"refused: {words}")
        figures = reclaimable(host.last.decision)
        assert figures.due_bytes == 0 < figures.due_and_waiting_bytes
        host.live(LONGEST_SECONDS + 1)
    assert host.engine.names == []


def test_an_image_that_was_brought_back_meanwhile_has_not_failed(host: Host) -> None:
    host.engine.load("app:1")

    def bring_back(what: str) -> None:
        if what == "images" and not host.engine.has("app:1"):
            host.engine.load("app:1")

    host.engine.on_call = bring_back
    host.run_pass()
    assert outcomes(host) == {"app:1": "removed"}
    assert host.engine.names == ["app:1"]


def test_a_failure_after_which_the_reference_is_gone_is_a_success(host: Host) -> None:
    host.engine.load("app:1")
    when(host, "remove app:1", lambda: host.engine.rmi("app:1"))
    host.engine.troubles["app:1"] = deque([RemovalFailed("500: no space left on device")])
    host.run_pass()
    (removal,) = host.last.removals
    assert (removal.outcome, removal.freed.exactness) == (Outcome.REMOVED, Exactness.UNKNOWN)


def test_a_failure_after_which_only_the_name_is_gone_freed_nothing(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.tag("app:1", "app:2")
    when(host, "remove app:1", lambda: host.engine.rmi("app:1"))
    host.engine.troubles["app:1"] = deque([RemovalFailed("500: a timeout")])
    host.run_pass()
    assert {(each.outcome, each.freed) for each in host.last.removals} == {(Outcome.UNTAGGED, NOTHING_FREED)}


@pytest.mark.parametrize("did_it", [True, False])
def test_a_removal_without_an_answer_is_resolved_by_the_second_observation(host: Host, did_it: bool) -> None:
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([EngineUnavailable("no answer in 600 s")])
    if did_it:
        when(host, "remove app:1", lambda: host.engine.rmi("app:1"))
    host.run_pass()
    assert outcomes(host) == {"app:1": "removed" if did_it else "failed"}
    assert did_it or host.reason("app:1") is Reason.BACKING_OFF


@pytest.mark.parametrize("did_it", [True, False])
def test_a_removal_during_which_the_engine_stopped_is_resolved_later(host: Host, did_it: bool) -> None:
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([EngineUnavailable("the connection broke")])

    def go_away(what: str) -> None:
        if what == "remove app:1" and did_it:
            host.engine.rmi("app:1")
        if what == "images" and "remove app:1" in host.engine.calls:
            raise EngineUnreachable("no engine")

    host.engine.on_call = go_away
    status = host.run_pass()
    assert (status.result, status.removals) == (PassResult.PARTIAL, ())
    assert "did not answer a removal (the connection broke)" in status.trouble
    assert history(host) == []

    host.engine.on_call = lambda _: None
    host.run_pass()
    assert history(host) == [("app:1", "removed")]
    assert host.last.removals[0].freed.exactness is (Exactness.UNKNOWN if did_it else Exactness.EXACT)


# ── setbacks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_reported_once(host: Host) -> None:
    host.options = PassOptions(replace(AT_ONCE, resync_seconds=A_LONG_TIME))
    host.restart()
    host.rules(a_removal())
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([RemovalRefused("in use by a build")] * 3)
    news = []
    for _ in range(3):
        news.append(len(host.run_pass().news))
        host.clock.elapse(2500)
    assert news == [1, 0, 0]
    assert history(host) == [("app:1", "refused")]


def test_failures_of_one_pass_are_retried_in_one_pass(host: Host) -> None:
    jitter = iter(number / 10 for number in range(10))
    host.options = PassOptions(replace(AT_ONCE, resync_seconds=A_LONG_TIME))
    host.restart()
    host.rules(a_removal())
    host.reconciler._ports = replace(host.reconciler._ports, jitter=lambda: next(jitter))
    for number in range(5):
        host.engine.load(f"app:{number}", content=str(number))
        host.engine.troubles[f"app:{number}"] = deque([RemovalFailed("500")])
    host.run_pass()
    assert len({host.verdict(f"app:{number}").until for number in range(5)}) == 1


def test_an_image_that_cannot_be_removed_is_not_requested_in_every_pass(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([RemovalRefused("409")])
    host.run_pass()
    host.engine.calls.clear()
    for _ in range(10):
        host.run_pass()
    assert host.engine.calls == ["images", "containers"] * 10


def test_a_setback_survives_a_restart(host: Host) -> None:
    host.engine.load("app:1")
    host.engine.troubles["app:1"] = deque([RemovalRefused("409")])
    host.run_pass()
    host.restart()
    host.run_pass()
    assert host.reason("app:1") is Reason.BACKING_OFF


# ── killed or stopped during a pass ───────────────────────────────────────────────────────────────────────────────────


def test_a_stopping_controller_stores_the_answers_and_does_not_observe_again(host: Host) -> None:
    host.engine.load("one:1", content="1")
    host.engine.load("two:1", content="2")
    when(host, "remove one:1", host.stopping.set)
    host.run_pass()
    assert outcomes(host) == {"one:1": "removed"}
    assert host.engine.calls[-1] == "remove one:1"
    assert history(host) == [("one:1", "removed")]
    assert host.engine.names == ["two:1"]


def test_a_removal_that_was_in_flight_at_the_end_is_resolved_at_the_next_start(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.daemon.removal.requests.IN_FLIGHT_GETS_SECONDS", 0.01)
    host.engine.load("app:1")
    answered, done = threading.Event(), threading.Event()

    def slow(what: str) -> None:
        if what == "remove app:1":
            host.stopping.set()
            assert answered.wait(60)

    remove = host.engine.remove
    host.engine.on_call = slow

    def remove_in_the_end(target: str) -> tuple[str, ...]:
        deleted = remove(target)
        done.set()
        return deleted

    host.engine.remove = remove_in_the_end  # type: ignore[method-assign]
    assert len(host.run_pass().removals) == 0
    answered.set()
    assert done.wait(60)
    host.stopping.clear()
    host.engine.on_call = lambda _: None
    host.restart()
    host.run_pass()
    (removal,) = host.last.removals
    assert (removal.outcome, removal.freed.exactness) == (Outcome.REMOVED, Exactness.UNKNOWN)


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("method", ["intend", "save", "record", "drop_intents"])
@pytest.mark.parametrize("calls_before", range(3))
def test_no_kill_of_the_process_loses_a_removal_or_reports_it_twice(host: Host, method: str, calls_before: int) -> None:
    host.engine.load("app:1")
    host.engine.load("also:1", content="2")
    original, calls = getattr(host.ledger, method), count()

    def killed(*arguments: object, **options: object) -> object:
        if next(calls) == calls_before:
            raise KilledError
        return original(*arguments, **options)

    setattr(host.ledger, method, killed)
    with suppress(KilledError):
        host.run_pass()
    host.restart()
    host.run_pass()
    assert host.engine.names == []
    assert sorted(history(host)) == [("also:1", "removed"), ("app:1", "removed")]


def test_an_intent_for_another_engine_is_not_resolved_on_this_one(host: Host) -> None:
    host.engine.load("app:1")
    original = host.ledger.record

    def killed(*arguments: object, **options: object) -> None:
        if arguments[0]:
            raise KilledError

    host.ledger.record = killed  # type: ignore[method-assign]
    with suppress(KilledError):
        host.run_pass()
    host.ledger.record = original  # type: ignore[method-assign]
    host.engine.identity = "another"
    host.restart()
    assert host.run_pass().removals == ()
    assert history(host) == []


# ── without a ledger nothing is removed ───────────────────────────────────────────────────────────────────────────────


def broken(host: Host, method: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LedgerUnavailable("the ledger cannot be used: disk I/O error")

    setattr(host.ledger, method, fail)


@pytest.mark.parametrize("method", ["inbox", "save", "intend"])
def test_nothing_is_removed_without_a_ledger(host: Host, method: str) -> None:
    host.engine.load("app:1")
    broken(host, method)
    status = host.run_pass()
    assert (status.result, status.trouble) == (PassResult.FAILED, "the ledger cannot be used: disk I/O error")
    assert host.engine.names == ["app:1"]


def test_with_room_for_a_few_intents_a_few_removals_are_made(host: Host) -> None:
    """As on a full disk, where these removals free space."""
    intend = host.ledger.intend

    def intend_a_few(intents: Sequence[Intent]) -> None:
        if len(intents) > 100:
            raise LedgerUnavailable("the ledger cannot be used: database or disk is full")
        intend(intents)

    host.ledger.intend = intend_a_few  # type: ignore[method-assign]
    for number in range(120):
        host.engine.load(f"app:{number}", content=str(number))
    assert [len(host.run_pass().removals) for _ in range(3)] == [100, 20, 0]


def test_a_removal_that_the_ledger_could_not_write_is_written_later(host: Host) -> None:
    host.engine.load("app:1")
    record = host.ledger.record
    broken(host, "record")
    assert host.run_pass().result is PassResult.PARTIAL
    host.ledger.record = record  # type: ignore[method-assign]
    assert host.run_pass().removals == ()
    reader = LedgerReader(host.ledger_file)
    (removal,) = reader.removals()
    reader.close()
    assert (removal.outcome, removal.freed.exactness) == (Outcome.REMOVED, Exactness.EXACT)


# ── caps ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [Kind.DEBIAN, Kind.D28_C8D, Kind.PODMAN])
def test_a_pass_removes_no_more_than_its_limit(kind: Kind) -> None:
    with a_host(kind, replace(AT_ONCE, limits=Limits(removals_per_pass=2))) as host:
        host.rules(a_removal())
        for number in range(5):
            host.engine.load(f"app:{number}", content=str(number))
        assert [len(host.run_pass().removals) for _ in range(4)] == [2, 2, 1, 0]


def test_a_removal_that_is_held_back_says_so() -> None:
    with a_host(conditions=replace(AT_ONCE, limits=Limits(removals_per_pass=1))) as host:
        host.rules(a_removal())
        for number in range(3):
            host.engine.load(f"app:{number}", content=str(number))
        host.run_pass()
        held = [verdict for verdict in host.last.decision.plan.verdicts if verdict.reason is Reason.HELD_BACK]
        assert [verdict.detail for verdict in held] == ["limit: 1 removal a pass"] * 2


def test_an_hour_frees_no_more_bytes_than_its_limit() -> None:
    with a_host(conditions=replace(AT_ONCE, resync_seconds=A_LONG_TIME)) as host:
        sizes = []
        for number in range(4):
            image = host.engine.load(f"app:{number}", f"layer {number}", content=str(number))
            sizes.append(host.engine.images_now()[image].size_bytes or 0)
        host.options = PassOptions(
            replace(AT_ONCE, resync_seconds=A_LONG_TIME, limits=Limits(bytes_per_hour=sum(sizes[:2])))
        )
        host.restart()
        host.rules(a_removal())
        before = host.engine.store_bytes()
        host.run_pass()
        assert before - host.engine.store_bytes() <= sum(sizes[:2])
        host.clock.elapse(3599)
        assert host.run_pass().removals == ()
        host.clock.elapse(2)
        assert len(host.run_pass().removals) >= 1


def test_a_removal_that_is_resolved_after_a_kill_counts_against_the_hour() -> None:
    conditions = replace(AT_ONCE, limits=Limits(bytes_per_hour=1_500_000))
    with a_host(conditions=conditions) as host:
        host.rules(a_removal())
        host.engine.load("app:1", "layer 1")
        broken(host, "record")
        host.run_pass()
        host.restart()
        host.engine.load("app:2", "layer 2")
        host.run_pass()
        assert host.reason("app:2") is Reason.HELD_BACK


def test_a_removal_that_is_written_late_counts_against_the_hour_after_a_kill_too() -> None:
    conditions = replace(AT_ONCE, limits=Limits(bytes_per_hour=1_500_000))
    with a_host(conditions=conditions) as host:
        host.rules(a_removal())
        host.engine.load("app:1", "layer 1")
        save, saves = host.ledger.save, count()

        def full_after_the_removal(*arguments: Any, **options: Any) -> None:
            if next(saves) == 1:
                raise LedgerUnavailable("database or disk is full")
            save(*arguments, **options)

        def killed(_: str) -> None:
            raise KilledError

        host.ledger.save = full_after_the_removal  # type: ignore[method-assign]
        assert len(host.run_pass().removals) == 1
        host.engine.on_call = killed
        with suppress(KilledError):
            host.run_pass()
        host.engine.on_call = lambda _: None
        host.restart()
        host.engine.load("app:2", "layer 2")
        host.run_pass()
        assert history(host) == [("app:1", "removed")]
        assert host.reason("app:2") is Reason.HELD_BACK


# ── measured batches ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=[Kind.D28_C8D, Kind.PODMAN])
def measured(request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host on which only the store's total shows the freed bytes."""
    with a_host(request.param, AT_ONCE) as host:
        host.rules(a_removal())
        yield host


def two_batches_ahead(measured: Host) -> None:
    """Each of two documents has an image to remove."""
    measured.folder.files["doc.yaml"] = a_document(a_removal("a:*"))
    measured.folder.files["other.yaml"] = a_document(a_removal("b:*"))
    measured.run_pass()
    measured.engine.load("a:1", "one", content="1")
    measured.engine.load("b:1", "two", content="2")
    measured.clock.elapse(2.0)


def one_image_in_two_batches_ahead(measured: Host) -> None:
    """Each of two documents has one name of an image to remove."""
    two_batches_ahead(measured)
    measured.engine.rmi("b:1")
    measured.engine.tag("a:1", "b:1")


def test_a_batch_has_its_figure_a_quiet_second_later(measured: Host) -> None:
    image = measured.engine.load("app:1", "one")
    size = measured.engine.images_now()[image].size_bytes
    status = measured.run_pass()
    assert (status.batches, status.next_figure_at) == ((), measured.clock.now().uptime_seconds + 1.0)
    measured.clock.elapse(1.0)
    assert [batch.freed for batch in measured.run_pass().batches] == [Freed(size, Exactness.EXACT)]
    assert measured.run_pass().batches == ()


def test_the_removals_of_each_document_are_one_batch(measured: Host) -> None:
    two_batches_ahead(measured)
    before = measured.engine.store_bytes()
    measured.run_pass()
    measured.clock.elapse(1.0)
    batches = measured.run_pass().batches
    assert sorted(batch.document for batch in batches) == ["doc", "other"]
    assert sum(batch.freed.bytes or 0 for batch in batches) == before - measured.engine.store_bytes()


def test_the_last_name_is_removed_by_the_image_id_also_if_another_document_removed_the_first(measured: Host) -> None:
    one_image_in_two_batches_ahead(measured)
    image = measured.engine.id_of("a:1")
    measured.run_pass()
    assert measured.engine.targets[-1] == image
    assert outcomes(measured) == {"a:1": "untagged", "b:1": "removed"}


def test_a_name_is_not_the_last_one_if_another_document_failed_to_remove_the_first(measured: Host) -> None:
    one_image_in_two_batches_ahead(measured)
    measured.engine.troubles["a:1"] = deque([RemovalFailed("500: busy")])
    measured.run_pass()
    assert outcomes(measured) == {"a:1": "failed", "b:1": "untagged"}


def test_the_total_after_a_batch_is_the_one_before_the_next(measured: Host) -> None:
    """On the containerd store it costs as much as a list of all images, and is read twice."""
    two_batches_ahead(measured)
    measured.engine.calls.clear()
    measured.run_pass()
    readings = 2 if measured.engine.kind is Kind.D28_C8D else 1
    assert measured.engine.calls.count("store_bytes") == 3 * readings


@pytest.mark.parametrize(
    ("call", "unknown"), [("remove a:1", "doc"), ("written_bytes after a:1", "doc"), ("remove b:1", "other")]
)
def test_what_a_container_writes_makes_only_its_own_batch_unknown(call: str, unknown: str) -> None:
    """The total of the containerd store includes it, and is read before it."""
    with a_host(Kind.D28_C8D, AT_ONCE) as host:
        two_batches_ahead(host)
        calls: list[str] = []

        def write(what: str) -> None:
            calls.append(what)
            now = f"{what} after a:1" if calls[-1] == "written_bytes" and "remove a:1" in calls else what
            if now == call:
                host.engine.written_by_containers = 77

        host.engine.on_call = write
        host.run_pass()
        host.engine.on_call = lambda what: None
        host.clock.elapse(1.0)
        batches = host.run_pass().batches
        assert [batch.document for batch in batches if batch.freed.exactness is Exactness.UNKNOWN] == [unknown]
        assert len(batches) == 2


def test_a_batch_whose_only_removal_has_failed_has_no_figure(measured: Host) -> None:
    measured.engine.load("app:1", "one")
    measured.engine.troubles["app:1"] = deque([EngineUnavailable("no answer in 600 s")])
    (removal,) = measured.run_pass().removals
    assert (removal.outcome, removal.batch, removal.freed) == (Outcome.FAILED, "", NOTHING_FREED)
    measured.clock.elapse(1.0)
    assert measured.run_pass().batches == ()


def test_a_removal_that_is_resolved_later_is_unknown_once(measured: Host) -> None:
    measured.engine.load("app:1", "one")
    measured.engine.troubles["app:1"] = deque([EngineUnavailable("the connection broke")])

    def go_away(what: str) -> None:
        if what == "remove app:1":
            measured.engine.rmi("app:1")
        if what == "images" and "remove app:1" in measured.engine.calls:
            raise EngineUnreachable("no engine")

    measured.engine.on_call = go_away
    assert measured.run_pass().removals == ()
    measured.engine.on_call = lambda _: None
    measured.clock.elapse(1.0)
    status = measured.run_pass()
    assert [(each.outcome, each.freed) for each in status.removals] == [(Outcome.REMOVED, UNKNOWN_BYTES)]
    assert status.batches == ()


def test_an_unexpected_deletion_is_unknown_once(measured: Host) -> None:
    """Its bytes are in the figure of its batch; the history, the metrics and the page count the same."""
    measured.engine.load("app:1", "one")
    other = measured.engine.load("used:1", "two")
    measured.engine.run("used:1")
    remove = measured.engine.remove
    measured.engine.remove = lambda target: (*remove(target), other)  # type: ignore[method-assign]
    measured.run_pass()
    (removal,) = measured.last.removals
    assert (removal.outcome, removal.freed) == (Outcome.UNEXPECTED, FREED_IN_BATCH)
    measured.clock.elapse(1.0)
    assert len(measured.run_pass().batches) == 1


def test_a_batch_after_one_whose_removal_ends_late_is_unknown_too(measured: Host) -> None:
    """The bytes that are freed late may be among its own."""
    two_batches_ahead(measured)
    measured.engine.troubles["a:1"] = deque([RemovalFailed("504: gateway time-out")])
    when(measured, "remove b:1", lambda: measured.engine.rmi("a:1"))
    measured.run_pass()
    assert outcomes(measured) == {"a:1": "removed", "b:1": "removed"}
    measured.clock.elapse(1.0)
    assert {batch.freed.exactness for batch in measured.run_pass().batches} == {Exactness.UNKNOWN}


@pytest.mark.parametrize("action", ["pull", "foreign delete"])
def test_a_foreign_change_within_a_second_makes_it_unknown(measured: Host, action: str) -> None:
    measured.engine.load("app:1", "one")
    measured.engine.load("used:1", "two", content="2")
    container = measured.engine.run("used:1")
    measured.run_pass()
    if action == "pull":
        measured.engine.pull("new:1", content="3")
    else:
        measured.engine.rm(container)
        measured.engine.rmi("used:1")
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


def test_an_image_that_disappears_without_an_event_makes_it_unknown(measured: Host) -> None:
    measured.engine.load("app:1", "one")
    measured.engine.load("kept:1", "two", content="2")
    measured.folder.files["doc.yaml"] = a_document(a_removal("app:*"))
    measured.run_pass()
    measured.clock.elapse(2.0)
    measured.events.loses_events = True
    when(measured, "remove app:1", lambda: measured.engine.rmi("kept:1"))
    measured.run_pass()
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


def test_without_an_observation_after_the_batch_it_is_unknown(measured: Host) -> None:
    """What disappears without an event would be counted."""
    measured.engine.load("app:1", "one")
    readings = count()

    def fail_to_list(what: str) -> None:
        if what == "images" and next(readings) == 1:
            raise EngineUnavailable("no answer in 600 s")

    measured.engine.on_call = fail_to_list
    assert measured.run_pass().trouble
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


def test_a_failed_reading_makes_it_unknown_and_stops_nothing(measured: Host) -> None:
    measured.engine.load("app:1", "one")
    when(measured, "store_bytes", fails(EngineUnavailable("404: snapshot does not exist")))
    assert measured.run_pass().result is PassResult.REMOVED
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


@pytest.mark.parametrize("trouble", [EngineUnavailable("no answer in 600 s"), RemovalFailed("504: gateway time-out")])
def test_a_removal_that_the_engine_ends_after_the_reading_makes_it_unknown(measured: Host, trouble: Exception) -> None:
    measured.engine.load("a:1", "one", content="1")
    measured.engine.load("slow:1", "two", content="2")
    measured.engine.troubles["slow:1"] = deque([trouble])
    readings = count()

    def end_after_the_reading(what: str) -> None:
        if what == "images" and next(readings) == 1:
            measured.engine.rmi("slow:1")

    measured.engine.on_call = end_after_the_reading
    measured.run_pass()
    assert outcomes(measured) == {"slow:1": "removed", "a:1": "removed"}
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


def test_a_foreign_removal_of_a_due_image_makes_earlier_batches_unknown_too(measured: Host) -> None:
    two_batches_ahead(measured)
    when(measured, "remove a:1", lambda: measured.engine.rmi("b:1"))
    measured.run_pass()
    measured.clock.elapse(1.0)
    assert {batch.freed.exactness for batch in measured.run_pass().batches} == {Exactness.UNKNOWN}


def test_what_a_foreign_removal_freed_is_in_no_figure(measured: Host) -> None:
    """It fell into a batch that freed nothing, and the next one removes an image of its own."""
    two_batches_ahead(measured)
    size = measured.engine.images_now()[measured.engine.image_named("b:1")].size_bytes
    when(measured, "remove a:1", lambda: measured.engine.rmi("a:1"))
    measured.run_pass()
    assert outcomes(measured) == {"a:1": "gone", "b:1": "removed"}
    measured.clock.elapse(1.0)
    assert [batch.freed for batch in measured.run_pass().batches] == [Freed(size, Exactness.EXACT)]


def test_a_total_that_cannot_be_read_before_a_batch_that_frees_nothing_is_read_again(measured: Host) -> None:
    two_batches_ahead(measured)
    measured.engine.troubles["a:1"] = deque([RemovalRefused("409: in use")])
    when(measured, "store_bytes", fails(EngineUnavailable("404: snapshot does not exist")))
    measured.run_pass()
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.EXACT]


def test_a_foreign_removal_of_an_image_that_the_engine_refused_to_remove_makes_it_unknown(measured: Host) -> None:
    measured.engine.load("a:1", "one", content="1")
    measured.engine.load("b:1", "two", content="2")
    measured.engine.troubles["a:1"] = deque([RemovalRefused("409: in use")])
    when(measured, "remove b:1", lambda: measured.engine.rmi("a:1"))
    measured.run_pass()
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


def test_a_foreign_removal_of_the_last_name_of_an_image_makes_it_unknown(measured: Host) -> None:
    """The controller removed the other name of that image."""
    measured.engine.load("app:1", "one", content="1")
    measured.engine.tag("app:1", "kept:1")
    measured.engine.load("app:2", "two", content="2")
    measured.folder.files["doc.yaml"] = a_document(a_removal("app:*"))
    measured.run_pass()
    measured.clock.elapse(2.0)
    when(measured, "remove app:2", lambda: measured.engine.rmi("kept:1"))
    measured.run_pass()
    assert outcomes(measured) == {"app:1": "untagged", "app:2": "removed"}
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


@pytest.mark.parametrize("is_up_again", [False, True])
def test_a_figure_is_unknown_if_the_event_stream_broke_within_the_quiet_second(
    measured: Host, is_up_again: bool
) -> None:
    """A pull may have added layers between the readings, and its event is missing."""
    measured.engine.load("app:1", "one")
    measured.run_pass()
    measured.events.disconnect()
    if is_up_again:
        measured.events.connect()
    measured.clock.elapse(1.0)
    assert [batch.freed.exactness for batch in measured.run_pass().batches] == [Exactness.UNKNOWN]


def test_the_next_removals_do_not_invalidate_the_last_figure(measured: Host) -> None:
    measured.engine.load("app:1", "one", content="1")
    measured.run_pass()
    measured.clock.elapse(0.5)
    measured.engine.load("app:2", "two", content="2")
    measured.run_pass()
    assert outcomes(measured) == {"app:2": "removed"}


# ── the file STOP ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_signal", [False, True])
def test_what_stops_removals_during_the_last_check_prevents_the_request(is_signal: bool) -> None:
    """The checks may take seconds."""
    with a_host(conditions=AT_ONCE) as host:
        host.rules(a_removal())
        host.engine.load("app:1")
        host.engine.tag("app:1", "app:2")

        def stop() -> None:
            if is_signal:
                host.stopping.set()
            else:
                host.folder.is_stopped = True

        when(host, "image_named", stop)
        host.run_pass()
        assert (host.engine.has("app:1"), host.engine.has("app:2")) == (True, True)
        assert host.last.removals == ()


def test_a_file_stop_ends_a_batch_before_the_next_request() -> None:
    with a_host(conditions=AT_ONCE) as host:
        host.rules(a_removal())
        for number in range(3):
            host.engine.load(f"app:{number}", content=str(number))

        def stop_at_the_first_removal(call: str) -> None:
            if call.startswith("remove"):
                host.folder.is_stopped = True

        host.engine.on_call = stop_at_the_first_removal
        assert [len(host.run_pass().removals) for _ in range(2)] == [1, 0]
        assert host.last.result is PassResult.NOTHING_DUE
        assert [verdict.reason for verdict in host.last.decision.plan.verdicts] == [Reason.DUE] * 2
        host.engine.on_call = lambda call: None
        host.folder.is_stopped = False
        assert len(host.run_pass().removals) == 2


def test_removals_that_could_not_be_written_are_written_before_the_figure_of_their_batch(measured: Host) -> None:
    """A figure without removals would be dropped, and counted again as unknown after a restart."""
    measured.engine.load("app:1", "one")
    recorded: list[str] = []
    record = measured.ledger.record

    def full_once(removals: Sequence[Removal], batch: Batch | None = None) -> None:
        recorded.append("figure" if batch else "removals")
        if recorded == ["removals"]:
            raise LedgerUnavailable("database or disk is full")
        record(removals, batch)

    measured.ledger.record = full_once  # type: ignore[method-assign]
    measured.run_pass()
    measured.clock.elapse(1.0)
    measured.run_pass()
    assert recorded[:3] == ["removals", "removals", "figure"]


def test_removals_that_were_written_late_are_in_the_history_once(measured: Host) -> None:
    """Also if the next write, the figure of their batch, fails then."""
    measured.engine.load("app:1", "one")
    record = measured.ledger.record
    writes = iter([False, True, False])

    def written_sometimes(removals: Sequence[Removal], batch: Batch | None = None) -> None:
        if not next(writes, True):
            raise LedgerUnavailable("database or disk is full")
        record(removals, batch)

    measured.ledger.record = written_sometimes  # type: ignore[method-assign]
    for _ in range(4):
        measured.run_pass()
        measured.clock.elapse(1.0)
    assert history(measured) == [("app:1", "removed")]


# ── runs with --once ──────────────────────────────────────────────────────────────────────────────────────────────────

ONCE_A_MINUTE = Conditions(Terms(settle_seconds=1.0), resync_seconds=60.0)


@pytest.mark.parametrize("has_events", [True, False])
@pytest.mark.parametrize("kind", Kind)
def test_a_use_between_two_runs_on_a_quiet_engine_counts(kind: Kind, has_events: bool) -> None:
    with a_host(kind, ONCE_A_MINUTE) as host:
        host.engine.import_("app:1")
        if not has_events:
            host.engine.history.clear()
            host.restart()
        host.rules(a_removal("app:*", 1))
        host.stop()
        host.clock.elapse(50.0)
        host.engine.run_briefly("app:1")
        host.clock.elapse(15.0)
        host.start()
        host.run_pass()
        assert host.last.decision.memory.watch.gap == ""
        host.clock.elapse(2.0)
        host.run_pass()
        assert host.reason("app:1") is Reason.NOT_IDLE_LONG_ENOUGH


def test_an_empty_replay_of_another_process_is_a_gap() -> None:
    with a_host(Kind.DEBIAN, ONCE_A_MINUTE) as host:
        host.engine.import_("app:1")
        host.engine.history.clear()
        host.restart()
        host.rules(a_removal("app:*", 1))
        host.stop()
        host.clock.elapse(60.0)
        host.engine.restart()
        host.start()
        host.run_pass()
        assert host.last.decision.memory.watch.gap
        assert host.engine.has("app:1")


# ── disk pressure ────────────────────────────────────────────────────────────────────────────────────────────────────

PRESSURE = PressureMarks(DiskMark(used_share=0.85), DiskMark(used_share=0.75))


@pytest.fixture
def pressed() -> Iterator[Host]:
    """A host with four idle images and a rule that removes them only under pressure."""
    terms = Terms(settle_seconds=0.0, pressure=PRESSURE)
    with a_host(conditions=replace(AT_ONCE, terms=terms)) as host:
        host.rules(a_removal("app:*", 10_080, delete_after_minutes_under_pressure=1))
        for number in range(4):
            host.engine.load(f"app:{number}", content=str(number))
            host.run_pass()
        host.clock.elapse(120.0)
        host.disk.size_bytes = 10_000_000
        yield host


def test_a_disk_under_pressure_is_noticed_before_the_next_pass_and_once(pressed: Host) -> None:
    pressed.run_pass()
    assert not pressed.reconciler.notices_disk_pressure()
    pressed.disk.other_bytes = 6_000_000
    assert pressed.reconciler.notices_disk_pressure()
    assert len(pressed.run_pass().removals) == 3
    assert not pressed.reconciler.notices_disk_pressure()


def test_without_marks_the_disk_calls_for_no_pass() -> None:
    with a_host(conditions=AT_ONCE) as host:
        host.run_pass()
        host.disk.size_bytes = 1
        assert not host.reconciler.notices_disk_pressure()


def test_the_disk_is_measured_before_each_removal_that_pressure_made_due(pressed: Host) -> None:
    """Another program frees space in the middle of the batch."""
    pressed.disk.other_bytes = 6_000_000

    def other_data_is_deleted(call: str) -> None:
        if call.startswith("remove"):
            pressed.disk.other_bytes = 3_000_000

    pressed.engine.on_call = other_data_is_deleted
    status = pressed.run_pass()
    assert outcomes(pressed) == {"app:0": "removed"}
    assert status.decision.memory.pressure is None
    assert status.result is PassResult.REMOVED
    assert pressed.reason("app:1") is Reason.NOT_IDLE_LONG_ENOUGH


def test_a_removal_that_fails_ends_those_under_pressure_until_the_next_pass(pressed: Host) -> None:
    """Docker without a free inode answers 500 and takes the name of each image all the same."""
    pressed.disk.other_bytes = 6_000_000
    pressed.engine.troubles["app:0"] = deque([RemovalFailed("500: no space left on device")])
    assert [removal.outcome for removal in pressed.run_pass().removals] == [Outcome.FAILED]
    assert sum(call.startswith("remove") for call in pressed.engine.calls) == 1
    pressed.clock.elapse(5.0)
    assert len(pressed.run_pass().removals) == 3


def test_it_ends_those_of_other_documents_too() -> None:
    """The containerd store has a batch for each document."""
    terms = Terms(settle_seconds=0.0, pressure=PRESSURE)
    with a_host(Kind.D28_C8D, replace(AT_ONCE, terms=terms)) as host:
        for name in ("one", "two"):
            rule = a_removal(f"{name}:*", 10_080, delete_after_minutes_under_pressure=1)
            host.folder.files[f"{name}.yaml"] = a_document(rule)
            host.engine.load(f"{name}:1", content=name)
        host.run_pass()
        host.clock.elapse(120.0)
        host.disk.size_bytes, host.disk.other_bytes = 10_000_000, 8_000_000
        for name in ("one", "two"):
            host.engine.troubles[f"{name}:1"] = deque([RemovalFailed("500: no space left on device")])
        assert len(host.run_pass().removals) == 1


def test_a_removal_that_is_due_anyway_does_not_depend_on_the_disk(pressed: Host) -> None:
    pressed.disk.other_bytes = 6_000_000

    def other_data_is_deleted(call: str) -> None:
        if call.startswith("remove"):
            pressed.disk.other_bytes = 0

    pressed.engine.on_call = other_data_is_deleted
    pressed.folder.files["second.yaml"] = a_document(a_removal("app:0"), a_removal("app:3"))
    pressed.disk.size_bytes = 100_000_000
    pressed.run_pass()
    pressed.clock.elapse(2.0)
    pressed.disk.size_bytes = 10_000_000
    pressed.run_pass()
    assert outcomes(pressed) == {"app:0": "removed", "app:3": "removed"}


@pytest.mark.parametrize(("path", "is_under_pressure"), [("/images", True), ("/data", False)])
def test_the_pressure_of_one_disk_says_nothing_about_another(pressed: Host, path: str, is_under_pressure: bool) -> None:
    """--disk named a wrong path; the other disk is between the marks, and never reached the start mark."""
    pressed.folder.is_stopped, pressed.disk.other_bytes = True, 6_000_000
    assert pressed.run_pass().decision.memory.pressure
    pressed.folder.is_stopped, pressed.disk.other_bytes, pressed.disk.path = False, 3_800_000, path
    pressed.restart()
    assert bool(pressed.run_pass().removals) == is_under_pressure


def test_the_history_shows_the_pressure(pressed: Host) -> None:
    pressed.disk.other_bytes = 6_000_000
    pressed.run_pass()
    assert isinstance(pressed.ledger, Ledger)
    reader = HistoryReader(pressed.ledger_file)
    try:
        assert {removal.message.partition(" %")[0] for removal in reader.removals()} == {"disk pressure: 100"}
    finally:
        reader.close()


def test_where_freed_space_shows_late_no_more_is_removed_than_the_estimate_needs(pressed: Host) -> None:
    """As on btrfs: the measurement is unchanged for a while."""
    pressed.disk.other_bytes = 5_000_000

    def the_disk_shows_nothing(call: str) -> None:
        if call.startswith("remove"):
            pressed.disk.other_bytes += 1_033_000

    pressed.engine.on_call = the_disk_shows_nothing
    first = pressed.run_pass()
    assert 0 < len(first.removals) < 4
    pressed.engine.on_call = lambda call: None
    pressed.clock.elapse(5.0)
    assert pressed.run_pass().removals == ()
    pressed.disk.other_bytes = 5_000_000
    pressed.clock.elapse(5.0)
    assert pressed.run_pass().decision.memory.pressure is None
    assert len(pressed.last.decision.plan.verdicts) == 4 - len(first.removals)


def test_a_disk_that_cannot_be_measured_is_degraded_and_removes_nothing(pressed: Host) -> None:
    pressed.disk.size_bytes = 0
    status = pressed.run_pass()
    assert status.removals == ()
    assert [each.event for each in status.degradations] == [LogEvent.DISK_UNKNOWN]

"""The metrics: complete from the start, bounded, small, fast, and valid for promtool."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from controller.daemon.metrics.collector import ANSWERS, Metrics
from controller.daemon.metrics.families import FAMILIES
from controller.daemon.status import PassResult, Status
from controller.image.reference import ImageId
from controller.plan.scope.in_force import DocumentState
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
from tests.page.site import StillDisk, busy_status
from tests.steps import steps_of


def samples_of(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    return {_key(sample): sample.value for family in families for sample in family.samples}


def _key(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))


def value_of(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples_of(metrics).get((f"image_controller_{name}", tuple(sorted(labels.items()))))


def a_removal(outcome: Outcome = Outcome.REMOVED, freed: Freed = NOTHING_FREED, document: str = "services") -> Removal:
    intent = Intent(ImageId("sha256:" + "1" * 64), "app:1", "app:1", document, 0, "", 60.0, 1_000)
    return Removal(intent, outcome, freed, 0.0)


@pytest.fixture
def busy(tmp_path: Path) -> Status:
    return busy_status(60, tmp_path)


class TestFromTheStart:
    def test_every_family_exists_except_the_sizes_of_an_unknown_disk(self) -> None:
        names = {family.name for family in text_string_to_metric_families(Metrics().exposition()[0].decode())}
        declared = {f"image_controller_{name}".removesuffix("_total") for name in FAMILIES}
        assert (
            declared - names
            == {
                "image_controller_removals",
                "image_controller_reclaimed_bytes",
                "image_controller_filesystem_size_bytes",
                "image_controller_filesystem_avail_bytes",
                "image_controller_filesystem_files",
                "image_controller_filesystem_files_free",
            }
            - names
        )

    def test_everything_is_0_except_the_build_info(self) -> None:
        ours = {key: value for key, value in samples_of(Metrics()).items() if key[0].startswith("image_controller_")}
        assert {name for (name, _), value in ours.items() if value} == {
            "image_controller_build_info",
            "image_controller_policy_revision_info",
        }

    @pytest.mark.parametrize(
        ("name", "label", "words"),
        [
            ("passes_total", "result", PassResult),
            ("references", "verdict", Reason),
            ("documents", "state", DocumentState),
        ],
    )
    def test_every_stored_word_has_its_series(self, name: str, label: str, words: type[Reason]) -> None:
        assert [value_of(Metrics(), name, **{label: word.value}) for word in words] == [0.0] * len(words)

    def test_every_expected_answer_of_the_engine_has_its_series(self) -> None:
        metrics = Metrics()
        expected = [(operation, code) for operation, codes in ANSWERS.items() for code in codes]
        values = {value_of(metrics, "engine_requests_total", operation=each, code=code) for each, code in expected}
        assert values == {0.0}

    def test_a_document_counts_from_0_when_it_appears(self, busy: Status) -> None:
        metrics = Metrics()
        metrics.publish(busy)
        for outcome in Outcome:
            assert value_of(metrics, "removals_total", outcome=outcome.value, document="services") == 0.0
        assert value_of(metrics, "reclaimed_bytes_total", document="toolbox") == 0.0


class TestCounting:
    def test_passes_by_result(self, busy: Status) -> None:
        metrics = Metrics()
        for result in (PassResult.REMOVED, PassResult.FAILED, PassResult.FAILED):
            metrics.publish(replace(busy, result=result))
        assert value_of(metrics, "passes_total", result="failed") == 2.0
        assert value_of(metrics, "pass_duration_seconds_count") == 3.0

    def test_removals_and_their_bytes_by_document(self, busy: Status) -> None:
        metrics = Metrics()
        exact, bound = Freed(300, Exactness.EXACT), Freed(70, Exactness.LOWER_BOUND)
        removals = (a_removal(freed=exact), a_removal(freed=bound), a_removal(Outcome.REFUSED))
        metrics.publish(replace(busy, removals=removals))
        assert value_of(metrics, "removals_total", outcome="removed", document="services") == 2.0
        assert value_of(metrics, "removals_total", outcome="refused", document="services") == 1.0
        assert value_of(metrics, "reclaimed_bytes_total", document="services") == 370.0

    def test_an_unknown_figure_is_counted_as_unknown_and_not_as_0_bytes(self, busy: Status) -> None:
        metrics = Metrics()
        batch = Batch("a", "services", UNKNOWN_BYTES)
        removals = (a_removal(freed=UNKNOWN_BYTES), a_removal(freed=FREED_IN_BATCH))
        metrics.publish(replace(busy, removals=removals, batches=(batch,)))
        assert value_of(metrics, "removals_with_unknown_bytes_total") == 2.0

    def test_a_batch_counts_once_for_all_its_removals(self, busy: Status) -> None:
        metrics = Metrics()
        batch = Batch("a", "services", Freed(900, Exactness.EXACT))
        metrics.publish(replace(busy, removals=(a_removal(freed=FREED_IN_BATCH),) * 3, batches=(batch,)))
        assert value_of(metrics, "reclaimed_bytes_total", document="services") == 900.0

    def test_resets_and_clock_steps_grow_with_the_status(self, busy: Status) -> None:
        metrics = Metrics()
        for resets, steps in ((1, 0), (1, 2), (1, 3)):
            metrics.publish(replace(busy, ledger_resets=resets, clock_steps=steps))
        assert (value_of(metrics, "ledger_resets_total"), value_of(metrics, "clock_steps_total")) == (1.0, 3.0)

    def test_requests_by_operation_and_code(self) -> None:
        metrics = Metrics()
        metrics.request_answered("remove_image", "409", 0.2)
        metrics.request_answered("events", "200", 86_400.0)
        assert value_of(metrics, "engine_requests_total", operation="remove_image", code="409") == 1.0
        assert value_of(metrics, "removal_duration_seconds_count") == 1.0
        assert value_of(metrics, "engine_request_duration_seconds_count", operation="events") is None


class TestBounds:
    def test_a_document_that_is_gone_has_no_series_any_more(self, busy: Status, tmp_path: Path) -> None:
        metrics = Metrics()
        metrics.publish(busy)
        (tmp_path / "toolbox.yaml").unlink()
        metrics.publish(busy_status(60, tmp_path / "again"))
        series = len(samples_of(metrics))
        for _ in range(3):
            metrics.publish(replace(busy, decision=replace(busy.decision, scope=type(busy.decision.scope)())))
        assert not [key for key in samples_of(metrics) if ("document", "toolbox") in key[1]]
        assert len(samples_of(metrics)) < series

    def test_a_figure_of_a_document_that_is_gone_is_counted_and_forgotten(self, busy: Status) -> None:
        metrics = Metrics()
        late = Batch("a", "gone", Freed(5, Exactness.EXACT))
        metrics.publish(replace(busy, batches=(late,)))
        assert value_of(metrics, "reclaimed_bytes_total", document="gone") == 5.0
        metrics.publish(busy)
        assert value_of(metrics, "reclaimed_bytes_total", document="gone") is None

    def test_a_busy_node_has_fewer_than_200_series(self, busy: Status) -> None:
        """10,000 nodes are 2,000,000 series for one Prometheus."""
        metrics = Metrics(StillDisk())
        metrics.publish(busy)
        assert len(samples_of(metrics)) < 200

    def test_no_label_names_an_image(self, busy: Status) -> None:
        metrics = Metrics()
        metrics.publish(busy)
        text = metrics.exposition()[0].decode()
        assert not [verdict.reference for verdict in busy.decision.plan.verdicts if verdict.reference in text]
        assert "sha256:" not in text

    def test_many_images_cost_neither_bytes_nor_steps(self, tmp_path: Path) -> None:
        few, many = (self._published(count, tmp_path / str(count)) for count in (50, 400))
        assert len(many.exposition()[0]) <= 1.05 * len(few.exposition()[0])
        assert steps_of(many.exposition) <= 1.2 * steps_of(few.exposition)

    @staticmethod
    def _published(count: int, folder: Path) -> Metrics:
        folder.mkdir()
        metrics = Metrics(StillDisk())
        metrics.publish(busy_status(count, folder))
        metrics.exposition()
        return metrics


class TestForStrangers:
    @pytest.mark.needs_tools
    def test_promtool_has_nothing_to_say(self, busy: Status) -> None:
        metrics = Metrics(StillDisk())
        metrics.publish(replace(busy, removals=(a_removal(),)))
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=metrics.exposition()[0], capture_output=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    @pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
    def test_a_metric_is_named_and_explained_by_the_conventions(self, family: object) -> None:
        assert isinstance(family, type(next(iter(FAMILIES.values()))))
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert (family.kind == "histogram") == bool(family.buckets)
        assert family.help.endswith(".")
        assert len(family.help) > 30

    def test_openmetrics_is_sent_on_request(self) -> None:
        body, content_type = Metrics().exposition("application/openmetrics-text; version=1.0.0")
        assert content_type.startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")


class TestTextfile:
    def test_it_has_the_controllers_own_metrics_and_no_timestamps(self, busy: Status) -> None:
        """node_exporter has process metrics of its own: the same ones twice would fail its whole scrape."""
        metrics = Metrics(StillDisk())
        metrics.publish(busy)
        families = list(text_string_to_metric_families(metrics.textfile().decode()))
        assert {family.name for family in families} == {
            family.full_name.removesuffix("_total") for family in FAMILIES.values()
        }
        assert all(sample.timestamp is None for family in families for sample in family.samples)

    def test_counters_of_removals_continue_from_the_ledger(self, busy: Status) -> None:
        metrics = Metrics()
        metrics.continue_from("services", Outcome.REMOVED, 7, 7_000, 2)
        metrics.continue_from("services", Outcome.FAILED, 5, 0, 0)
        metrics.continue_from("services", Outcome.UNEXPECTED, 1, 0, 1)
        metrics.continue_from("removed long ago", Outcome.REMOVED, 1, 1, 0)
        metrics.publish(replace(busy, removals=(a_removal(freed=Freed(10, Exactness.EXACT)),), batches=()))
        assert value_of(metrics, "removals_total", outcome="removed", document="services") == 8
        assert value_of(metrics, "removals_total", outcome="failed", document="services") == 0
        assert value_of(metrics, "reclaimed_bytes_total", document="services") == 7_010
        assert value_of(metrics, "removals_with_unknown_bytes_total") == 3
        assert value_of(metrics, "unexpected_deletions_total") == 1
        assert value_of(metrics, "removals_total", outcome="removed", document="removed long ago") is None

"""`imagectl explain`: why an image is removed or kept, as the controller's last pass decided."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.ledger import Ledger
from controller.plan.verdict.removal import (
    FREED_IN_BATCH,
    NOTHING_FREED,
    Batch,
    Exactness,
    Freed,
    Intent,
    Outcome,
    Removal,
)
from tests import sample_node
from tests.builders import a_memory, an_id, an_image, an_observation
from tests.cli.conftest import Imagectl


def test_it_prints_the_verdict_its_rule_the_evidence_and_what_would_change_it(imagectl: Imagectl) -> None:
    said = imagectl("explain", "acme/telemetry:1.0")
    assert said.code == 0
    for part in (
        "acme/telemetry:1.0  (image 002847ee3ac9, 180.4 MB; removing it alone frees 105.6 MB)",
        "verdict    BACKING_OFF for another 2",
        "services#2: acme/*:* after 10080 min, any origin: DUE, removal now  <- decides",
        "it has dependent child images",
        "refused 2 times",
        "to remove  the next try (in 2",
    ):
        assert part in said.out


@pytest.mark.parametrize("text", ["acme/telemetry:1.0", "docker.io/acme/telemetry:1.0", "002847ee3ac9", "0028"])
def test_an_image_is_found_by_its_name_and_by_the_start_of_its_id(imagectl: Imagectl, text: str) -> None:
    assert imagectl("explain", text, "-o", "name").out == "acme/telemetry:1.0\n"


def test_json_has_all_of_it(imagectl: Imagectl) -> None:
    (values,) = json.loads(imagectl("explain", "acme/telemetry:1.0", "-o", "json").out)
    assert (values["verdict"], values["rules"][0]["decides"], values["names"][0]) == (
        "BACKING_OFF",
        True,
        "acme/telemetry:1.0",
    )
    assert values["due_in_seconds"] == 1_260


@pytest.mark.parametrize("command", [("explain", "acme/telemetry:1.0"), ("get", "images"), ("get", "policies")])
def test_a_stop_of_all_removals_is_named_below(
    imagectl: Imagectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    now = SystemClock().now()
    policies = sample_node.write_policies(tmp_path / "policies")
    (policies / "STOP").touch()
    decision = sample_node.decision_on(sample_node.memory_of(60, now), policies)
    monkeypatch.setenv(
        "IMAGECTL_LEDGER",
        str(sample_node.write_ledger(tmp_path / "ledger.db", sample_node.status_of(decision, policies, now))),
    )
    assert "all removals are stopped: the policy folder has a file STOP" in imagectl(*command).err.splitlines()


def test_an_unknown_image_is_an_error_with_the_nearest_name(imagectl: Imagectl) -> None:
    said = imagectl("explain", "acme/telemetri:1.0")
    assert said.code == 1
    assert "no image acme/telemetri:1.0 on this node (did you mean acme/telemetry:1.0?)" in said.err


class TestRemovedImages:
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> str:
        """In its history one image was removed, and another was refused."""
        file = tmp_path / "ledger.db"
        ledger = Ledger(file)
        intent = Intent(an_id("old:1"), "team/old:1", "team/old:1", "tidy", 2, "0123456789abcdef", 90_000.0, 2_000_000)
        refused = replace(intent, image=an_id("kept:1"), reference="team/kept:1")
        ledger.record(
            [
                Removal(intent, Outcome.REMOVED, FREED_IN_BATCH, 1_800_000_000.0, batch="b"),
                Removal(refused, Outcome.REFUSED, NOTHING_FREED, 1_800_000_000.0, "409"),
            ],
            Batch("b", "tidy", Freed(5_000_000, Exactness.LOWER_BOUND)),
        )
        ledger.save(a_memory(an_observation([an_image("app:1")])))
        ledger.report({"images": 1}, tuple)
        ledger.close()
        return str(file)

    @pytest.mark.parametrize("text", ["team/old:1", "docker.io/team/old:1", an_id("old:1")[:14]])
    def test_it_says_when_by_which_rule_and_text_after_how_long_and_what_it_freed(
        self, imagectl: Imagectl, ledger: str, text: str
    ) -> None:
        said = imagectl("explain", text, "--ledger", ledger)
        assert said.code == 0
        assert said.out.splitlines() == [
            f"team/old:1  (image {an_id('old:1')[7:19]}, 2.0 MB; not on this node)",
            "  removed    2027-01-15T08:00:00+00:00 (removed) by tidy#2, text 0123456789ab",
            "  idle       for 1d 1h of observed time before its removal",
            "  freed      in the batch's figure",
            "             5.0 MB (lower bound) by all removals that were measured together",
        ]
        assert said.err == "from the history of removals: the image is not on this node\n"

    def test_json_has_the_values_of_get_removals(self, imagectl: Imagectl, ledger: str) -> None:
        (values,) = json.loads(imagectl("explain", "team/old:1", "-o", "json", "--ledger", ledger).out)
        (row,) = json.loads(imagectl("get", "removals", "-l", "outcome=removed", "-o", "json", "--ledger", ledger).out)
        assert values == row

    def test_an_image_that_was_not_removed_is_unknown(self, imagectl: Imagectl, ledger: str) -> None:
        assert imagectl("explain", "team/kept:1", "--ledger", ledger).code == 1

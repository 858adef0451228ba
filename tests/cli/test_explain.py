"""`imagectl explain`: why an image is removed or kept, as the controller's last pass decided."""

from __future__ import annotations

import json

import pytest

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
    assert values["due_in_seconds"] == pytest.approx(1_260, abs=60)


def test_an_unknown_image_is_an_error_with_the_nearest_name(imagectl: Imagectl) -> None:
    said = imagectl("explain", "acme/telemetri:1.0")
    assert said.code == 1
    assert "no image acme/telemetri:1.0 on this node (did you mean acme/telemetry:1.0?)" in said.err

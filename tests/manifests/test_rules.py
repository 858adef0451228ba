"""Alerts and recording rules: checked with promtool, and with a runbook for each alert."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.daemon.metrics.families import FAMILIES
from tests.manifests.dashboards import ROOT

FOLDER = ROOT / "manifests" / "prometheus"
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())
CASES = yaml.safe_load((FOLDER / "tests.yaml").read_text())["tests"]
ALERTS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
RECORDS: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"] if "record" in rule]


def promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    assert f"SUCCESS: {len(ALERTS) + len(RECORDS)} rules found" in promtool("check", "rules", "rules.yaml")


def test_every_alert_fires_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", "tests.yaml")


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_tested_while_it_fires_and_while_it_is_quiet(alert: dict[str, Any]) -> None:
    cases = [case for test in CASES for case in test.get("alert_rule_test", ()) if case["alertname"] == alert["alert"]]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


def test_every_record_is_tested() -> None:
    tested = " ".join(case["expr"] for test in CASES for case in test.get("promql_expr_test", ()))
    assert [rule["record"] for rule in RECORDS if rule["record"] not in tested] == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_it_means_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"ImageController[A-Z][A-Za-z]+", alert["alert"])
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert alert["for"]
    assert "{{" not in alert["annotations"]["summary"]
    assert alert["annotations"]["summary"].endswith(".")
    assert "{{ $labels.instance }}" in alert["annotations"]["description"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_the_runbook_has_it(alert: dict[str, Any]) -> None:
    file, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ `?([\w ]+)`?$", Path(ROOT / file).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDS], ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_in_a_rule_exists(rule: dict[str, Any]) -> None:
    names = set(re.findall(r"(?<![:\w])image_controller_\w+", rule["expr"]))
    assert names <= {family.full_name for family in FAMILIES.values()}


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDS], ids=lambda rule: rule.get("alert") or rule["record"])
def test_no_rule_compares_the_clocks_of_a_node_and_of_prometheus(rule: dict[str, Any]) -> None:
    """A time of a node only shows that something happened: `changes`, or whether there is one."""
    assert not re.search(r"(?<!\w)(time|timestamp)\(", rule["expr"])
    comparisons = re.sub(r"changes\(\w+\[\w+\]\)|\w+ offset \w+( > 0)?|\w+ > 0(?!\d)", "", rule["expr"])
    assert "_timestamp_seconds" not in comparisons


def test_the_scrape_configuration_is_valid(tmp_path: Path) -> None:
    promtool("check", "config", "scrape.yaml")
    assert yaml.safe_load((FOLDER / "scrape.yaml").read_text())["scrape_configs"][0]["job_name"] == "image-controller"


_OF_0_1_0 = (
    *("down", "stale", "passesfailing", "engineunreachable", "documentsinvalid", "folderlost", "removalsfailing"),
    *("ledgerreset", "clockstepped", "diskfullsoon"),
)
"""The alerts of version 0.1.0; their `runbook_url` is README.md#imagecontroller…."""


def test_the_runbook_links_of_the_first_release_still_lead_to_the_runbook() -> None:
    readme = (ROOT / "README.md").read_text()
    _, _, below = readme.partition(f'<a id="imagecontroller{_OF_0_1_0[0]}"></a>')
    assert [name for name in _OF_0_1_0 if f'<a id="imagecontroller{name}"></a>' not in readme] == []
    assert "manifests/README.md#runbook" in below[:1_000]

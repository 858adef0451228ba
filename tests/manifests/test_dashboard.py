"""The rules of grafana/dashboard-linter, as far as they can be checked without a parser of PromQL; and our own."""

from __future__ import annotations

import json
import re

import pytest

from controller.daemon.metrics.families import FAMILIES
from deploy.local.dashboard import UID, dashboard
from tests.manifests.dashboards import DASHBOARD, FILE, Query, panels, queries, variables

_UNITS = {"none", "short", "decbytes", "percentunit", "s", "reqps", "bool_yes_no", "dateTimeFromNow"}
_METRIC = re.compile(r"\b(?:image_controller|process)_[a-z_]+|\bup\b")
_SELECTOR = re.compile(r"(?:\b(?:image_controller|process)_[a-z_]+|\bup)(\{[^}]*\})?")


def test_the_file_is_what_its_source_says() -> None:
    assert FILE.read_text() == json.dumps(dashboard(), indent=2) + "\n", "run make dashboard"


def test_it_has_a_fixed_uid_and_belongs_to_no_grafana_in_particular() -> None:
    assert (DASHBOARD["uid"], DASHBOARD["id"], DASHBOARD["editable"]) == (UID, None, False)
    assert not {"__inputs", "__requires"} & DASHBOARD.keys()


def test_template_datasource_rule() -> None:
    datasource = variables()["datasource"]
    assert (datasource["label"], datasource["type"], datasource["query"]) == ("Data Source", "datasource", "prometheus")
    assert [each["type"] for each in variables().values()].count("datasource") == 1


@pytest.mark.parametrize("name", ["job", "instance"])
def test_template_job_and_instance_rules(name: str) -> None:
    variable = variables()[name]
    assert variable["datasource"]["uid"] == "${datasource}"
    assert (variable["type"], variable["label"]) == ("query", name.title())
    assert (variable["multi"], variable["allValue"]) == (True, ".+")


def test_template_on_time_change_reload_rule() -> None:
    assert {variables()[name]["refresh"] for name in ("job", "instance")} == {2}


def test_panel_datasource_rule() -> None:
    of_panels = {panel["datasource"]["uid"] for panel in panels()}
    of_targets = {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]}
    assert of_panels | of_targets == {"${datasource}"}


def test_panel_title_description_rule() -> None:
    assert all(panel["title"] and panel["description"].endswith(".") for panel in panels())


def test_panel_units_rule() -> None:
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in panels()} <= _UNITS


def test_panel_no_targets_rule() -> None:
    assert all(panel["targets"] for panel in panels())


@pytest.mark.parametrize("query", queries(), ids=str)
def test_target_job_and_instance_rules(query: Query) -> None:
    selectors = _SELECTOR.findall(query.expr)
    assert selectors
    for selector in selectors:
        assert 'job=~"$job"' in selector
        assert 'instance=~"$instance"' in selector


@pytest.mark.parametrize("query", queries(), ids=str)
def test_target_rate_interval_rule(query: Query) -> None:
    assert all(range_ == "$__rate_interval" for range_ in re.findall(r"\bi?rate\([^[]*\[([^]]+)\]", query.expr))


@pytest.mark.parametrize("query", queries(), ids=str)
def test_target_counter_agg_rule(query: Query) -> None:
    for counter in re.finditer(r"\b\w+_total\{[^}]*\}", query.expr):
        assert re.search(r"\b(i?rate|increase)\($", query.expr[: counter.start()])
        assert query.expr[counter.end()] == "["


@pytest.mark.parametrize("query", queries(), ids=str)
def test_target_histogram_rule(query: Query) -> None:
    assert "_bucket" not in query.expr or query.expr.startswith("histogram_quantile(")


@pytest.mark.parametrize("query", queries(), ids=str)
def test_every_queried_metric_exists(query: Query) -> None:
    known = {family.full_name for family in FAMILIES.values()}
    known |= {f"{family.full_name}_bucket" for family in FAMILIES.values() if family.kind == "histogram"}
    asked = {name for name in _METRIC.findall(query.expr) if name.startswith("image_controller")}
    assert asked <= known


def test_every_metric_is_shown_or_alerted_on() -> None:
    rules = (FILE.parents[1] / "prometheus" / "rules.yaml").read_text()
    text = " ".join(query.expr for query in queries()) + rules
    in_words_only = {"images", "removal_duration_seconds"}  # as references and engine_request_duration_seconds
    assert {family.name for family in FAMILIES.values() if family.full_name not in text} == in_words_only


def test_there_is_a_row_for_the_fleet_and_one_for_the_node() -> None:
    assert [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"] == ["Fleet", "Nodes"]


def test_no_panel_overlaps_another_or_the_edge() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])

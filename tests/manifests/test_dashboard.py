"""The rules of grafana/dashboard-linter, as far as they can be checked without a parser of PromQL; and our own."""

from __future__ import annotations

import re

import pytest

from controller.daemon.metrics.families import FAMILIES
from deploy.local.dashboard import FLEET_UID, NODE_UID, as_json, dashboards
from tests.manifests.dashboards import DASHBOARDS, FLEET, FOLDER, NODE, Query, panels, queries, variables
from tests.manifests.test_rules import RECORDS

_UNITS = {"none", "short", "decbytes", "percentunit", "s", "reqps", "bool_yes_no", "dateTimeFromNow"}
_METRIC = re.compile(r"(?<![:\w])(?:image_controller|process)_[a-z_]+|\bup\b")
_RECORD = re.compile(r"\b(?:job|instance):[a-z0-9_]+:[a-z0-9]+")
_SELECTOR = re.compile(r"(?:[a-z]+:image_controller_[a-z0-9_:]+|\b(?:image_controller|process)_[a-z_]+)(\{[^}]*\})?")
both = pytest.mark.parametrize("name", [FLEET, NODE])


@pytest.mark.parametrize(("name", "made"), list(dashboards()))
def test_the_file_has_the_content_of_its_source(name: str, made: object) -> None:
    assert (FOLDER / name).read_text() == as_json(made), "run make dashboard"  # type: ignore[arg-type]


def test_they_have_fixed_uids_and_belong_to_no_grafana_in_particular() -> None:
    assert [DASHBOARDS[name]["uid"] for name in (FLEET, NODE)] == [FLEET_UID, NODE_UID]
    for dashboard in DASHBOARDS.values():
        assert dashboard["editable"] is False
        assert not {"__inputs", "__requires", "id"} & dashboard.keys()


@both
def test_template_datasource_rule(name: str) -> None:
    datasource = variables(name)["datasource"]
    assert (datasource["label"], datasource["type"], datasource["query"]) == ("Data Source", "datasource", "prometheus")
    assert [each["type"] for each in variables(name).values()].count("datasource") == 1


@both
def test_template_job_rule(name: str) -> None:
    variable = variables(name)["job"]
    assert (variable["type"], variable["label"], variable["multi"], variable["allValue"]) == (
        "query",
        "Job",
        True,
        ".+",
    )


def test_the_dashboard_of_a_node_shows_one_instance() -> None:
    """All instances at once would be slow: 10,000 nodes have 2,000,000 series."""
    variable = variables(NODE)["instance"]
    assert (variable["multi"], variable["includeAll"]) == (False, False)
    assert "instance" not in variables(FLEET)


@both
def test_template_on_time_change_reload_rule(name: str) -> None:
    queried = [variable for variable in variables(name).values() if variable["type"] == "query"]
    assert {variable["refresh"] for variable in queried} == {2}
    assert {variable["datasource"]["uid"] for variable in queried} == {"${datasource}"}


def test_panel_datasource_rule() -> None:
    of_panels = {panel["datasource"]["uid"] for panel in panels()}
    of_targets = {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]}
    assert of_panels | of_targets == {"${datasource}"}


def test_panel_title_description_rule() -> None:
    assert all(panel["title"] and panel["description"].endswith(".") for panel in panels())


def test_panel_units_rule() -> None:
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in panels()} <= _UNITS


def test_panel_no_targets_rule() -> None:
    for panel in panels():
        names = [target["refId"] for target in panel["targets"]]
        assert names
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("query", queries(), ids=str)
def test_target_job_and_instance_rules(query: Query) -> None:
    selectors = _SELECTOR.findall(query.expr)
    assert selectors
    for selector in selectors:
        assert 'job=~"$job"' in selector
        assert ('instance=~"$instance"' in selector) == (query.dashboard == NODE)


@pytest.mark.parametrize("query", queries(FLEET), ids=str)
def test_the_fleet_is_read_from_recorded_series(query: Query) -> None:
    assert not _METRIC.findall(query.expr)
    assert set(_RECORD.findall(query.expr)) <= {rule["record"] for rule in RECORDS}
    assert query.expr.startswith("topk(") or "instance:" not in query.expr


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


@pytest.mark.parametrize("query", queries(NODE), ids=str)
def test_every_queried_metric_exists(query: Query) -> None:
    known = {family.full_name for family in FAMILIES.values()}
    known |= {f"{family.full_name}_bucket" for family in FAMILIES.values() if family.kind == "histogram"}
    asked = {name for name in _METRIC.findall(query.expr) if name.startswith("image_controller")}
    assert asked <= known


def test_every_metric_is_shown_or_alerted_on() -> None:
    rules = (FOLDER.parent / "prometheus" / "rules.yaml").read_text()
    text = " ".join(query.expr for query in queries()) + rules
    in_words_only = {"images", "removal_duration_seconds"}  # as references and engine_request_duration_seconds
    assert {family.name for family in FAMILIES.values() if family.full_name not in text} == in_words_only


@both
def test_no_panel_overlaps_another_or_the_edge(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels(name):
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in panels(name)}) == len(panels(name))

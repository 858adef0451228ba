"""Every query of the dashboard, answered by a real Prometheus that scrapes real controllers."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any

import pytest

from tests.manifests.dashboards import NODE, Query, queries
from tests.manifests.fleet import JOB, Prometheus, fleet
from tests.manifests.test_rules import ALERTS, FOLDER, RECORDS

SIZES = (1, 5)


@pytest.fixture(scope="module", params=SIZES, ids=lambda count: f"{count}-controllers")
def prometheus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has scraped that many controllers for some seconds."""
    with fleet(tmp_path_factory.mktemp("fleet"), request.param, FOLDER / "rules.yaml") as running:
        yield running


def answered(prometheus: Prometheus, expr: str, is_instant: bool) -> list[float]:
    """All figures of the answer that are numbers."""
    rows: list[dict[str, Any]] = prometheus.query(expr) if is_instant else prometheus.query_range(expr, 15, 1)
    values = (value for row in rows for _, value in (row.get("values") or [row["value"]]))
    return [number for number in map(float, values) if isfinite(number)]


def _needs_troubles(query: Query) -> bool:
    """The list of nodes with troubles is empty while there are none."""
    return "troubles" in query.expr


def test_every_query_of_the_dashboard_has_an_answer(prometheus: Prometheus, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [query.filled_in(JOB, ".+") for query in queries()]
    empty = [
        (query.panel, expr)
        for query, expr in zip(queries(), chosen, strict=True)
        if not _needs_troubles(query) and not answered(prometheus, expr, query.is_instant)
    ]
    assert empty == []
    up = len(prometheus.query("up == 1"))
    with capsys.disabled():
        print(f"\n  {len(chosen)} queries of the dashboard, {up} controllers: all answered, none empty")


def test_every_query_has_an_answer_for_one_chosen_node(prometheus: Prometheus) -> None:
    instance = str(prometheus.query("up")[0]["metric"]["instance"])
    empty = [
        query.panel
        for query in queries(NODE)
        if not answered(prometheus, query.filled_in(JOB, instance), query.is_instant)
    ]
    assert empty == []


def test_the_variables_offer_existing_values(prometheus: Prometheus) -> None:
    for series in ("image_controller_build_info", "job:image_controller_nodes:count"):
        assert prometheus.label_values("job", series) == [JOB]
    instances = prometheus.label_values("instance", f'image_controller_build_info{{job=~"{JOB}"}}')
    assert sorted(instances) == sorted(str(row["metric"]["instance"]) for row in prometheus.query("up"))


def test_all_rules_are_evaluated_without_error_and_none_fires(prometheus: Prometheus) -> None:
    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == {rule.get("alert") or rule["record"] for rule in (*ALERTS, *RECORDS)}
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] == "err"] == []
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def test_a_removal_has_freed_bytes(prometheus: Prometheus) -> None:
    (row,) = prometheus.query("sum(image_controller_reclaimed_bytes_total)")
    assert float(row["value"][1]) > 0

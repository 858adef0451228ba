"""Reads the dashboard files for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "manifests" / "grafana"
FLEET, NODE = "image-controller-fleet.json", "image-controller.json"
DASHBOARDS: dict[str, dict[str, Any]] = {name: json.loads((FOLDER / name).read_text()) for name in (FLEET, NODE)}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of one panel."""

    dashboard: str
    panel: str
    expr: str
    is_instant: bool

    def __str__(self) -> str:
        return self.panel

    def filled_in(self, job: str, instance: str, rate_interval: str = "10s") -> str:
        """The query that Grafana sends with these choices."""
        variables = {"$job": job, "$instance": instance, "$__rate_interval": rate_interval}
        text = self.expr
        for name, value in variables.items():
            text = text.replace(name, value)
        assert "$" not in text
        return text


def panels(*names: str) -> list[dict[str, Any]]:
    """All panels of these dashboards, or of both."""
    return [panel for name in names or DASHBOARDS for panel in DASHBOARDS[name]["panels"]]


def queries(*names: str) -> list[Query]:
    """All queries of these dashboards, or of both."""
    return [
        Query(name, panel["title"], target["expr"], target.get("instant", False))
        for name in names or DASHBOARDS
        for panel in panels(name)
        for target in panel["targets"]
    ]


def variables(name: str) -> dict[str, dict[str, Any]]:
    """Variables of a dashboard by name."""
    return {variable["name"]: variable for variable in DASHBOARDS[name]["templating"]["list"]}

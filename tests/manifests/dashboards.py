"""Reads the dashboard file for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FILE = ROOT / "manifests" / "grafana" / "image-controller.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())


@dataclass(frozen=True, slots=True)
class Query:
    """One query of one panel."""

    panel: str
    expr: str
    is_instant: bool

    def __str__(self) -> str:
        return self.panel

    def filled_in(self, job: str, instance: str) -> str:
        """The query that Grafana sends with these choices and an interval of a few seconds."""
        variables = {"$job": job, "$instance": instance, "$__rate_interval": "10s"}
        text = self.expr
        for name, value in variables.items():
            text = text.replace(name, value)
        assert "$" not in text
        return text


def panels() -> list[dict[str, Any]]:
    """All panels but the titles of rows."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[Query]:
    """All queries of all panels."""
    return [
        Query(panel["title"], target["expr"], target.get("instant", False))
        for panel in panels()
        for target in panel["targets"]
    ]


def variables() -> dict[str, dict[str, Any]]:
    """Variables by name."""
    return {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}

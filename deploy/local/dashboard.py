"""The source of the Grafana dashboard. `python -m deploy.local.dashboard` prints it, `make dashboard` writes the file.

Names of metrics come from `controller.daemon.metrics.families`, so a query cannot name a metric that does not exist.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.daemon.metrics.families import FAMILIES

UID = "image-controller"
_SELECTED = 'job=~"$job", instance=~"$instance"'
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH = 24

Values = dict[str, Any]


def metric(name: str, *matchers: str, suffix: str = "") -> str:
    """A selector for the selected nodes."""
    return f"{FAMILIES[name].full_name}{suffix}{{{', '.join((_SELECTED, *matchers))}}}"


@dataclass(frozen=True, slots=True)
class Target:
    """One query and the legend of its series."""

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure."""

    title: str
    description: str
    unit: str
    targets: tuple[Target, ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    options: Values = field(default_factory=dict)
    custom: Values = field(default_factory=dict)
    extra: Values = field(default_factory=dict)


_STAT = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "value"}
_SERIES = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
_STACKED = {"fillOpacity": 30, "lineWidth": 1, "stacking": {"mode": "normal"}}
_BARS = {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0, "stacking": {"mode": "normal"}}


def _stat(title: str, description: str, unit: str, expr: str, width: int = 4) -> Panel:
    return Panel(title, description, unit, (Target(expr, instant=True),), "stat", width, 5, _STAT)


def _quantiles(name: str, by: str = "") -> tuple[Target, ...]:
    rates = f"sum by (le{f', {by}' if by else ''}) (rate({metric(name, suffix='_bucket')}[$__rate_interval]))"
    who = f"{{{{{by}}}}} " if by else ""
    return tuple(
        Target(f"histogram_quantile({share}, {rates})", f"{who}p{share * 100:.0f}")
        for share in ((0.99,) if by else (0.5, 0.99))
    )


_NO_SUCCESS = 'code!="200"'
_TROUBLES = " + ".join(
    (
        f"max by (job, instance) (1 - {metric('engine_up')})",
        f"max by (job, instance) ({metric('folder_lost')})",
        f"""max by (job, instance) ({metric("documents", 'state="invalid"')})""",
    )
)

FLEET = (
    _stat(
        "Nodes up",
        "Controllers that Prometheus reaches.",
        "none",
        f"sum(up{{{_SELECTED}}})",
    ),
    _stat(
        "Degraded nodes",
        "Controllers that cannot reach their engine, have no policy folder, or have an invalid document.",
        "none",
        f"count(({_TROUBLES}) > 0) or vector(0)",
    ),
    _stat(
        "Freed in a day",
        "Bytes that removals freed in the last 24 hours, on the selected nodes.",
        "decbytes",
        f"sum(increase({metric('reclaimed_bytes_total')}[1d]))",
    ),
    _stat(
        "Removed in a day",
        "References removed in the last 24 hours, on the selected nodes.",
        "none",
        f"""sum(increase({metric("removals_total", 'outcome=~"removed|untagged|gone"')}[1d]))""",
    ),
    _stat(
        "Due now",
        "Bytes that the removal of everything due would free. Remains high where removals fail.",
        "decbytes",
        f"""sum({metric("reclaimable_bytes", 'verdict="due"')})""",
    ),
    _stat(
        "Due later",
        "Bytes that the removal of everything that waits would free.",
        "decbytes",
        f"""sum({metric("reclaimable_bytes", 'verdict="waiting"')})""",
    ),
    Panel(
        "Freed per day",
        "Bytes that removals freed, by day.",
        "decbytes",
        (Target(f"sum(increase({metric('reclaimed_bytes_total')}[1d]))", "freed"),),
        width=12,
        custom=_BARS,
        extra={"interval": "1d"},
    ),
    Panel(
        "Fullest disks",
        "Used share of the file system that holds the engine's data, where it can be measured.",
        "percentunit",
        (
            Target(
                f"topk(10, 1 - {metric('filesystem_avail_bytes')} / {metric('filesystem_size_bytes')})",
                "{{instance}}",
                instant=True,
            ),
        ),
        "bargauge",
        12,
        options={**_STAT, "orientation": "horizontal", "displayMode": "basic"},
        extra={"min": 0, "max": 1},
    ),
    Panel(
        "Versions",
        "Controllers by version and container engine.",
        "none",
        (
            Target(
                f"count by (version, engine, engine_version) ({metric('build_info')})",
                "{{version}} on {{engine}} {{engine_version}}",
                instant=True,
            ),
        ),
        "bargauge",
        12,
        6,
        {**_STAT, "orientation": "horizontal", "displayMode": "basic"},
    ),
    Panel(
        "Revisions of policies",
        "Nodes by commit or version of the policies that they read last.",
        "none",
        (Target(f"count by (revision) ({metric('policy_revision_info')})", "{{revision}}", instant=True),),
        "bargauge",
        12,
        6,
        {**_STAT, "orientation": "horizontal", "displayMode": "basic"},
    ),
)

NODE = (
    Panel(
        "Verdicts",
        "References by verdict: why each is removed (DUE), waits or is kept.",
        "none",
        (Target(f"sum by (verdict) ({metric('references')})", "{{verdict}}"),),
        width=12,
        custom=_STACKED,
    ),
    Panel(
        "Removals by outcome",
        "Refused: the engine reports that the image is in use. Failed: the engine returned an error.",
        "none",
        (Target(f"sum by (outcome) (increase({metric('removals_total')}[$__rate_interval]))", "{{outcome}}"),),
        width=12,
        custom=_BARS,
    ),
    Panel(
        "Freed by policy",
        "Bytes that removals freed, by policy document.",
        "decbytes",
        (Target(f"sum by (document) (increase({metric('reclaimed_bytes_total')}[$__rate_interval]))", "{{document}}"),),
        custom=_BARS,
    ),
    Panel(
        "Disk",
        "Free space of the file system that holds the engine's data, and the size of all image layers.",
        "decbytes",
        (
            Target(f"sum by (instance) ({metric('filesystem_avail_bytes')})", "{{instance}} free"),
            Target(f"sum by (instance) ({metric('image_store_bytes')})", "{{instance}} images"),
        ),
    ),
    Panel(
        "Policies",
        "Documents by state on the node.",
        "none",
        (Target(f"sum by (state) ({metric('documents')})", "{{state}}"),),
        custom=_STACKED,
    ),
    Panel(
        "Pass duration",
        "Duration of passes.",
        "s",
        _quantiles("pass_duration_seconds"),
    ),
    Panel(
        "Engine latency",
        "Response time of the engine, by operation: 99 of 100 requests are faster.",
        "s",
        _quantiles("engine_request_duration_seconds", "operation"),
    ),
    Panel(
        "Engine errors",
        "Responses of the engine other than success. 409: the removal was refused. 404: the image was already removed.",
        "reqps",
        (
            Target(
                f"sum by (operation, code) (rate({metric('engine_requests_total', _NO_SUCCESS)}[$__rate_interval]))",
                "{{operation}} {{code}}",
            ),
        ),
    ),
    Panel(
        "Passes by result",
        "Results of passes. A failed pass removed nothing: the engine or the ledger was not available.",
        "none",
        (Target(f"sum by (result) (increase({metric('passes_total')}[$__rate_interval]))", "{{result}}"),),
        custom=_BARS,
    ),
    Panel(
        "Since the last successful pass",
        "By the clock of the node: wrong where that clock is wrong.",
        "s",
        (Target(f"time() - ({metric('last_successful_pass_timestamp_seconds')} > 0)", "{{instance}}"),),
    ),
    Panel(
        "Connected",
        "1 while the engine answers, its events are read, the folder is watched, or a STOP file is there.",
        "bool_yes_no",
        (
            Target(f"min({metric('engine_up')})", "engine"),
            Target(f"min({metric('engine_event_stream_up')})", "events"),
            Target(f"min({metric('watcher_up')})", "folder watch"),
            Target(f"max({metric('removals_stopped')})", "removals stopped by a file STOP"),
        ),
        custom={"lineInterpolation": "stepAfter"},
    ),
    Panel(
        "Next deadline",
        "When the next verdict changes if nothing else happens.",
        "dateTimeFromNow",
        (Target(f"min({metric('next_deadline_timestamp_seconds')} > 0) * 1000", "next", instant=True),),
        "stat",
        6,
        5,
        _STAT,
    ),
    Panel(
        "Unknown bytes",
        "Removals, or batches of them, in the last day whose freed bytes are unknown.",
        "none",
        (Target(f"sum(increase({metric('removals_with_unknown_bytes_total')}[1d]))", instant=True),),
        "stat",
        6,
        5,
        _STAT,
    ),
    Panel(
        "Memory",
        "Resident memory of the controllers.",
        "decbytes",
        (Target(f"max(process_resident_memory_bytes{{{_SELECTED}}})", "largest", instant=True),),
        "stat",
        6,
        5,
        _STAT,
    ),
    Panel(
        "CPU",
        "Share of one core that the busiest controller uses.",
        "percentunit",
        (Target(f"max(rate(process_cpu_seconds_total{{{_SELECTED}}}[$__rate_interval]))", "busiest", instant=True),),
        "stat",
        6,
        5,
        _STAT,
    ),
)


def dashboard() -> Values:
    """The dashboard as Grafana stores it."""
    return {
        "uid": UID,
        "id": None,
        "title": "Image controller",
        "description": "Container images on edge nodes: kept, removed, bytes freed, and degraded nodes.",
        "tags": ["image-controller", "edge", "docker"],
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 38,
        "version": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timepicker": {},
        "links": [],
        "annotations": {"list": [_new_versions()]},
        "templating": {"list": list(_variables())},
        "panels": list(_laid_out((("Fleet", FLEET), ("Nodes", NODE)))),
    }


def _variables() -> Iterable[Values]:
    yield {
        "name": "datasource",
        "label": "Data Source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "refresh": 1,
        "regex": "",
        "includeAll": False,
        "multi": False,
        "options": [],
    }
    info = FAMILIES["build_info"].full_name
    yield _variable("job", f"label_values({info}, job)")
    yield _variable("instance", f'label_values({info}{{job=~"$job"}}, instance)')


def _variable(name: str, query: str) -> Values:
    return {
        "name": name,
        "label": name.title(),
        "type": "query",
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "regex": "",
        "hide": 0,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def _new_versions() -> Values:
    before = f"{metric('build_info')} offset 10m"
    return {
        "name": "New version",
        "datasource": _DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"{metric('build_info')} unless on (instance, version, engine_version) {before}",
        "titleFormat": "{{instance}} runs {{version}} with {{engine}} {{engine_version}}",
        "step": "60s",
    }


def _laid_out(rows: Iterable[tuple[str, Sequence[Panel]]]) -> Iterable[Values]:
    """Panels from left to right, line by line, each row under its title."""
    number, top = 0, 0
    for title, panels in rows:
        number += 1
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}
        left, top, height = 0, top + 1, 0
        for panel in panels:
            if left + panel.width > _WIDTH:
                left, top, height = 0, top + height, 0
            number += 1
            yield _panel(panel, number, {"x": left, "y": top, "w": panel.width, "h": panel.height})
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _panel(panel: Panel, number: int, place: Values) -> Values:
    limits = {name: value for name, value in panel.extra.items() if name in ("min", "max")}
    rest = {name: value for name, value in panel.extra.items() if name not in limits}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": panel.custom, **limits}, "overrides": []},
        "options": panel.options or _SERIES,
        "targets": [_target(target, index) for index, target in enumerate(panel.targets)],
        **rest,
    }


def _target(target: Target, index: int) -> Values:
    values: Values = {"refId": chr(ord("A") + index), "datasource": _DATASOURCE, "expr": target.expr}
    values |= {"legendFormat": target.legend} if target.legend else {}
    return values | ({"instant": True, "range": False} if target.instant else {"range": True})


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")

"""The source of the two Grafana dashboards: the fleet, and one node. `make dashboard` writes the files.

Names of metrics come from `controller.daemon.metrics.families`, so a query cannot name a metric that does not exist.
The fleet's panels read recorded series (manifests/prometheus/rules.yaml): 10,000 nodes have 1,800,000 series.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import GraphDrawStyle, LineInterpolation, StackingMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from controller.daemon.metrics.families import FAMILIES

FOLDER = Path(__file__).parents[2] / "manifests" / "grafana"
FLEET_UID, NODE_UID = "image-controller-fleet", "image-controller"
_OF_FLEET = 'job=~"$job"'
_OF_NODE = 'job=~"$job", instance=~"$instance"'
_DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_HEIGHT = 8

Target = prometheus.Dataquery
Panel = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel


def metric(name: str, *matchers: str, suffix: str = "") -> str:
    """A selector for the selected node."""
    return f"{FAMILIES[name].full_name}{suffix}{{{', '.join((_OF_NODE, *matchers))}}}"


def recorded(level: str, name: str, operation: str, *matchers: str) -> str:
    """A selector for a recorded series of the selected jobs; `level` is `job` or `instance`."""
    return f"{level}:image_controller_{name}:{operation}{{{', '.join((_OF_FLEET, *matchers))}}}"


# ── kinds of panels ──────────────────────────────────────────────────────────────────────────────────────────────────


def _range(expr: str, legend: str = "") -> Target:
    target = Target().ref_id("A").datasource(_DATASOURCE).expr(expr).range()
    return target.legend_format(legend) if legend else target


def _now(expr: str, legend: str = "") -> Target:
    target = Target().ref_id("A").datasource(_DATASOURCE).expr(expr).instant()
    return target.legend_format(legend) if legend else target


def _reduced() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _stat(title: str, description: str, unit: str, expr: str, width: int = 4) -> stat.Panel:
    panel = stat.Panel().title(title).description(description).unit(unit).datasource(_DATASOURCE)
    return panel.span(width).height(5).reduce_options(_reduced()).with_target(_now(expr))


def _series(title: str, description: str, unit: str, *targets: Target, width: int = 8) -> timeseries.Panel:
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(_DATASOURCE)
    numbered = [target.ref_id(letter) for target, letter in zip(targets, ascii_uppercase, strict=False)]
    return panel.span(width).height(_HEIGHT).targets([*numbered])


def _stacked(panel: timeseries.Panel) -> timeseries.Panel:
    return panel.fill_opacity(30).stacking(common.StackingConfig().mode(StackingMode.NORMAL))


def _bars(panel: timeseries.Panel) -> timeseries.Panel:
    return _stacked(panel).draw_style(GraphDrawStyle.BARS).fill_opacity(70).line_width(0)


def _ranking(title: str, description: str, unit: str, target: Target, width: int = 12) -> bargauge.Panel:
    panel = bargauge.Panel().title(title).description(description).unit(unit).datasource(_DATASOURCE)
    panel = panel.span(width).height(_HEIGHT).reduce_options(_reduced())
    return panel.orientation(VizOrientation.HORIZONTAL).with_target(target)


def _quantiles(name: str, by: str = "") -> list[Target]:
    rates = f"sum by (le{f', {by}' if by else ''}) (rate({metric(name, suffix='_bucket')}[$__rate_interval]))"
    who = f"{{{{{by}}}}} " if by else ""
    shares = (0.99,) if by else (0.5, 0.99)
    return [_range(f"histogram_quantile({share}, {rates})", f"{who}p{share * 100:.0f}") for share in shares]


# ── the fleet ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fleet() -> Sequence[Panel]:
    """What is wrong where, what was freed, which nodes are under pressure, how far a revision is."""
    return (
        *_fleet_now(),
        *_troubles_and_disks(),
        *_fleet_over_time(),
        *_roll_out(),
        *_fleet_sums(),
    )


def _fleet_now() -> Sequence[Panel]:
    """The figures of now."""
    return (
        _stat("Nodes", "Nodes whose metrics arrive.", "none", f"sum({recorded('job', 'nodes', 'count')})"),
        _stat(
            "Nodes with troubles",
            "Engine not reachable, no policy folder, invalid documents, failed removals, or an unexpected deletion.",
            "none",
            f"sum({recorded('job', 'nodes_degraded', 'count')})",
        ),
        _stat(
            "Under disk pressure",
            "Nodes whose disk is above --disk-pressure-start.",
            "none",
            f"sum({recorded('job', 'nodes_under_pressure', 'sum')})",
        ),
        _stat(
            "Stopped",
            "Nodes on which a file STOP in the policy folder stops all removals.",
            "none",
            f"sum({recorded('job', 'nodes_stopped', 'sum')})",
        ),
        _stat(
            "Freed in a day",
            "Bytes that removals freed in the last 24 hours.",
            "decbytes",
            f"sum({recorded('job', 'reclaimed_bytes', 'increase1d')})",
        ),
        _stat(
            "Due now",
            "Bytes that the removal of everything due would free. Remains high where removals fail.",
            "decbytes",
            f"""sum({recorded("job", "reclaimable_bytes", "sum", 'verdict="due"')})""",
        ),
    )


def _troubles_and_disks() -> Sequence[Panel]:
    """Which nodes have troubles, and the fullest disks."""
    return (
        _troubles(),
        _ranking(
            "Fullest disks",
            "Used share of the file system that holds the images, where it can be measured.",
            "percentunit",
            _now(f"topk(10, {recorded('instance', 'filesystem_used', 'ratio')})", "{{instance}}"),
        )
        .min(0)
        .max(1),
    )


def _fleet_over_time() -> Sequence[Panel]:
    """Freed bytes, and nodes with troubles."""
    return (
        _bars(
            _series(
                "Freed in a day",
                "Bytes that removals freed in 24 hours, at each moment.",
                "decbytes",
                _range(f"sum by (job) ({recorded('job', 'reclaimed_bytes', 'increase1d')})", "{{job}}"),
                width=12,
            )
        ),
        _series(
            "Nodes",
            "Nodes with troubles, under disk pressure, and stopped.",
            "none",
            _range(f"sum({recorded('job', 'nodes_degraded', 'count')})", "with troubles"),
            _range(f"sum({recorded('job', 'nodes_under_pressure', 'sum')})", "under disk pressure"),
            _range(f"sum({recorded('job', 'nodes_stopped', 'sum')})", "stopped"),
            width=12,
        ),
    )


def _roll_out() -> Sequence[Panel]:
    """How far revisions and versions are."""
    return (
        _ranking(
            "Revisions of policies",
            "Nodes by commit or version of the policies that they read last: how far a roll-out is.",
            "none",
            _now(f"sum by (revision) ({recorded('job', 'policy_revision_info', 'count')})", "{{revision}}"),
        ),
        _ranking(
            "Versions",
            "Nodes by version of the controller and of the container engine.",
            "none",
            _now(
                f"sum by (version, engine, engine_version) ({recorded('job', 'build_info', 'count')})",
                "{{version}} on {{engine}} {{engine_version}}",
            ),
        ),
    )


def _fleet_sums() -> Sequence[Panel]:
    """Verdicts and states of documents over all nodes."""
    return (
        _stacked(
            _series(
                "Verdicts",
                "References by verdict: why each is removed (DUE), waits or is kept.",
                "none",
                _range(f"sum by (verdict) ({recorded('job', 'references', 'sum')})", "{{verdict}}"),
                width=12,
            )
        ),
        _stacked(
            _series(
                "Policies",
                "Documents by state, summed over the nodes.",
                "none",
                _range(f"sum by (state) ({recorded('job', 'documents', 'sum')})", "{{state}}"),
                width=12,
            )
        ),
    )


def _troubles() -> table.Panel:
    panel = table.Panel().title("What is wrong where").datasource(_DATASOURCE).unit("none").span(12).height(_HEIGHT)
    panel = panel.description("Nodes with troubles and the number of their kinds; open the node's dashboard for them.")
    return panel.with_target(_now(f"topk(50, {recorded('instance', 'troubles', 'sum')} > 0)", "{{instance}}"))


# ── one node ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def node() -> Sequence[Panel]:
    """Everything about one node."""
    return (
        *_states(),
        *_disk(),
        *_removals(),
        *_passes(),
        *_errors(),
        *_process(),
    )


def _states() -> Sequence[Panel]:
    """Whether everything is connected, and the verdicts."""
    return (
        _series(
            "Connected",
            "1 while the engine answers, its events are read, the folder is watched; or one of the states lasts.",
            "bool_yes_no",
            _range(f"min({metric('engine_up')})", "engine"),
            _range(f"min({metric('engine_event_stream_up')})", "events"),
            _range(f"min({metric('watcher_up')})", "folder watch"),
            _range(f"max({metric('folder_lost')})", "no policy folder"),
            _range(f"max({metric('removals_stopped')})", "removals stopped by a file STOP"),
            _range(f"max({metric('disk_pressure')})", "disk pressure"),
            width=12,
        ).line_interpolation(LineInterpolation.STEP_AFTER),
        _stacked(
            _series(
                "Verdicts",
                "References by verdict: why each is removed (DUE), waits or is kept.",
                "none",
                _range(f"sum by (verdict) ({metric('references')})", "{{verdict}}"),
                width=12,
            )
        ),
    )


def _disk() -> Sequence[Panel]:
    """The disk that holds the images."""
    return (
        _series(
            "Disk",
            "Free space of the file system that holds the images, and the size of all image layers.",
            "decbytes",
            _range(f"sum({metric('filesystem_avail_bytes')})", "free"),
            _range(f"sum({metric('image_store_bytes')})", "images"),
            _range(f"sum({metric('reclaimable_bytes')})", "due or waiting"),
            width=12,
        ),
        _series(
            "Used share of the disk",
            "Of bytes and of inodes.",
            "percentunit",
            _range(f"1 - {metric('filesystem_avail_bytes')} / {metric('filesystem_size_bytes')}", "bytes"),
            _range(f"1 - {metric('filesystem_files_free')} / {metric('filesystem_files')}", "inodes"),
            width=12,
        )
        .min(0)
        .max(1),
    )


def _removals() -> Sequence[Panel]:
    """Removals, freed bytes and documents."""
    return (
        _bars(
            _series(
                "Removals by outcome",
                "Refused: the engine reports that the image is in use. Failed: the engine returned an error.",
                "none",
                _range(f"sum by (outcome) (increase({metric('removals_total')}[$__rate_interval]))", "{{outcome}}"),
            )
        ),
        _bars(
            _series(
                "Freed by policy",
                "Bytes that removals freed, by policy document.",
                "decbytes",
                _range(
                    f"sum by (document) (increase({metric('reclaimed_bytes_total')}[$__rate_interval]))", "{{document}}"
                ),
            )
        ),
        _stacked(
            _series(
                "Policies",
                "Documents by state on the node.",
                "none",
                _range(f"sum by (state) ({metric('documents')})", "{{state}}"),
            )
        ),
    )


def _passes() -> Sequence[Panel]:
    """Passes, and how fast the engine answers."""
    return (
        _bars(
            _series(
                "Passes by result",
                "Results of passes. A failed pass removed nothing: the engine or the ledger was not available.",
                "none",
                _range(f"sum by (result) (increase({metric('passes_total')}[$__rate_interval]))", "{{result}}"),
            )
        ),
        _series("Pass duration", "Duration of passes.", "s", *_quantiles("pass_duration_seconds")),
        _series(
            "Engine latency",
            "Response time of the engine, by operation: 99 of 100 requests are faster.",
            "s",
            *_quantiles("engine_request_duration_seconds", "operation"),
        ),
    )


def _errors() -> Sequence[Panel]:
    """Errors of the engine, and the time since the last successful pass."""
    return (
        _series(
            "Engine errors",
            "Responses of the engine other than success. 409: refused. 404: the image was already removed.",
            "reqps",
            _range(
                "sum by (operation, code)"
                f""" (rate({metric("engine_requests_total", 'code!="200"')}[$__rate_interval]))""",
                "{{operation}} {{code}}",
            ),
            width=12,
        ),
        _series(
            "Since the last successful pass",
            "By the clock of the node: wrong where that clock is wrong.",
            "s",
            _range(f"time() - ({metric('last_successful_pass_timestamp_seconds')} > 0)", "{{instance}}"),
            width=12,
        ),
    )


def _process() -> Sequence[Panel]:
    """The next deadline, unknown bytes, and what the controller itself uses."""
    return (
        _stat(
            "Next deadline",
            "When the next verdict changes if nothing else happens.",
            "dateTimeFromNow",
            f"min({metric('next_deadline_timestamp_seconds')} > 0) * 1000",
            6,
        ),
        _stat(
            "Unknown bytes",
            "Removals, or batches of them, in the last day whose freed bytes are unknown.",
            "none",
            f"sum(increase({metric('removals_with_unknown_bytes_total')}[1d]))",
            6,
        ),
        _stat(
            "Memory",
            "Resident memory of the controller.",
            "decbytes",
            f"max(process_resident_memory_bytes{{{_OF_NODE}}})",
            6,
        ),
        _stat(
            "CPU",
            "Share of one core that the controller uses.",
            "percentunit",
            f"max(rate(process_cpu_seconds_total{{{_OF_NODE}}}[$__rate_interval]))",
            6,
        ),
    )


# ── dashboards ───────────────────────────────────────────────────────────────────────────────────────────────────────


def dashboards() -> Iterable[tuple[str, dashboard.Dashboard]]:
    """Both, by the name of the file."""
    yield (
        "image-controller-fleet.json",
        _dashboard(FLEET_UID, "Image controllers: fleet", [_job("job:image_controller_nodes:count")], fleet),
    )
    yield (
        "image-controller.json",
        _dashboard(NODE_UID, "Image controller: node", [_job(FAMILIES["build_info"].full_name), _instance()], node),
    )


def as_json(made: dashboard.Dashboard) -> str:
    """The text of the file."""
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _dashboard(
    uid: str, title: str, variables: Iterable[dashboard.QueryVariable], panels: Callable[[], Sequence[Panel]]
) -> dashboard.Dashboard:
    made = dashboard.Dashboard(title).uid(uid).tags(["image-controller", "edge", "docker"]).readonly()
    made = made.description("Container images on edge nodes: kept, removed, bytes freed, and nodes with troubles.")
    made = made.refresh("1m").time("now-24h", "now").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    made = made.with_variable(dashboard.DatasourceVariable("datasource").label("Data Source").type("prometheus"))
    for variable in variables:
        made = made.with_variable(variable)
    for number, panel in enumerate(panels(), start=1):
        made = made.with_panel(panel.id(number))
    return made


def _job(series: str) -> dashboard.QueryVariable:
    made = _variable("job", f"label_values({series}, job)").multi(True).include_all(True).all_value(".+")
    return made.current(VariableOption(text="All", value="$__all"))


def _instance() -> dashboard.QueryVariable:
    return _variable("instance", f'label_values({FAMILIES["build_info"].full_name}{{job=~"$job"}}, instance)')


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    made = dashboard.QueryVariable(name).label(name.title()).query(query).datasource(_DATASOURCE)
    return made.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


if __name__ == "__main__":
    for name, made in dashboards():
        (FOLDER / name).write_text(as_json(made))
        sys.stdout.write(f"{FOLDER / name}\n")

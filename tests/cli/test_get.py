"""`imagectl get`: lists from the controller's ledger, selected and sorted."""

from __future__ import annotations

import gc
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.adapters.host.clock import SystemClock
from controller.adapters.ledger.ledger import Ledger
from controller.cli import main
from controller.cli.output.columns import IMAGES, PLAN, POLICIES, REMOVALS, TOTALS
from controller.cli.output.listing import ListingKind
from controller.plan.memory.memory import Memory
from controller.plan.report.rows import ShownReference
from controller.plan.verdict.removal import Mark
from tests import sample_node
from tests.cli.conftest import Imagectl


class TestImages:
    def test_every_reference_is_a_line(self, imagectl: Imagectl) -> None:
        said = imagectl("get", "images")
        assert (said.code, len(said.rows)) == (0, 60)
        assert said.rows[0][:5] == ["acme/telemetry:1.0", "180.4 MB", "18d 19h", "pulled", "BACKING_OFF"]
        assert said.rows[0][5].startswith("in ")

    def test_the_age_of_the_report_is_shown(self, imagectl: Imagectl) -> None:
        assert "from the controller's last pass, " in imagectl("get", "images").err

    def test_wide_shows_more_columns(self, imagectl: Imagectl) -> None:
        titles = imagectl("get", "images", "-o", "wide").out.splitlines()[0]
        assert "IMAGE ID" in titles
        assert "LAST USED (ABOUT)" in titles

    def test_names_alone_for_scripts(self, imagectl: Imagectl) -> None:
        said = imagectl("get", "images", "-o", "name", "-l", "verdict=DUE")
        assert len(said.out.splitlines()) == 10
        assert "openhorizon/ibm.gps_amd64:1.0" in said.out.splitlines()

    def test_json_and_yaml_have_the_same_values(self, imagectl: Imagectl) -> None:
        rows = json.loads(imagectl("get", "images", "-o", "json").out)
        again = yaml.safe_load(imagectl("get", "images", "-o", "yaml").out)
        assert [row["reference"] for row in rows] == [row["reference"] for row in again]
        assert {"reference", "image", "verdict", "due_at", "due_in_seconds", "idle_seconds"} <= rows[0].keys()

    def test_only_the_references_that_were_named(self, imagectl: Imagectl) -> None:
        assert len(imagectl("get", "images", "redis:1.1", "redis:1.2").rows) == 2

    def test_an_unknown_name_is_reported_with_the_nearest_one(self, imagectl: Imagectl) -> None:
        said = imagectl("get", "images", "redus:1.1")
        assert (said.code, said.err) == (1, "imagectl: redus:1.1: not found (did you mean redis:1.1?)\n")

    def test_a_long_name_is_not_cut(self, imagectl: Imagectl, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "20")
        assert "registry.local:5000/line/opc-bridge:1.0   161.1 MB" in imagectl("get", "images").out


class TestSelector:
    @pytest.mark.parametrize(
        ("selector", "count"),
        [
            ("verdict=DUE", 10),
            ("verdict==DUE", 10),
            ("verdict!=DUE", 50),
            ("verdict in (DUE,BACKING_OFF)", 11),
            ("verdict notin (DUE, BACKING_OFF)", 49),
            ("verdict=DUE,document=agent", 6),
            ("document=", 10),
            ("action=remove,origin=pulled", 10),
            ("document=unknown", 0),
        ],
    )
    def test_rows_are_selected_by_their_fields(self, imagectl: Imagectl, selector: str, count: int) -> None:
        assert len(imagectl("get", "images", "-l", selector).rows) == count

    @pytest.mark.parametrize(
        ("selector", "message"),
        [
            ("verdct=DUE", "unknown field verdct (did you mean verdict?)"),
            ("verdict=DEU", "unknown verdict DEU (did you mean DUE?)"),
            ("x=y", "unknown field x (fields: verdict, action, document, origin)"),
            ("verdict", "'verdict': write field=value, field!=value or field in (value, value)"),
            ("verdict in DUE", "'verdict in DUE': write field=value"),
            ("(", "'(': write field=value"),
            (",", "',': write field=value"),
            (" ", "'': write field=value"),
            ("()", "'()': write field=value"),
            ("verdict=DUE,", "'verdict=DUE,': write field=value"),
            ("verdict=DUE(", "'verdict=DUE(': write field=value"),
            ("verdict=DUE,,action=keep", "'verdict=DUE,,action=keep': write field=value"),
            ("verdict in ()", "'verdict in ()': write field=value"),
            ("document notin ( )", "'document notin ( )': write field=value"),
        ],
    )
    def test_a_mistake_is_reported_with_what_was_probably_meant(
        self, imagectl: Imagectl, selector: str, message: str
    ) -> None:
        said = imagectl("get", "images", "-l", selector)
        assert said.code == 2
        assert f"imagectl: --selector: {message}" in said.err


class TestSortBy:
    def test_large_values_come_last_or_first(self, imagectl: Imagectl) -> None:
        by_size = [
            row["size_bytes"] for row in json.loads(imagectl("get", "images", "--sort-by", "size", "-o", "json").out)
        ]
        assert by_size == sorted(by_size)
        back = json.loads(imagectl("get", "images", "--sort-by", "-size", "-o", "json").out)
        assert [row["size_bytes"] for row in back] == by_size[::-1]

    def test_unknown_values_come_last_in_both_orders(self, imagectl: Imagectl) -> None:
        for column in ("idle", "-idle"):
            rows = json.loads(imagectl("get", "images", "--sort-by", column, "-o", "json").out)
            assert [row["idle_seconds"] is None for row in rows] == [False] * 48 + [True] * 12

    @pytest.mark.parametrize("kind", [IMAGES, PLAN])
    def test_every_column_can_be_sorted_by(self, imagectl: Imagectl, kind: ListingKind[ShownReference]) -> None:
        if kind is IMAGES:
            assert {imagectl("get", "images", "--sort-by", column.name).code for column in kind.columns} == {0}

    def test_goes_is_an_alias_of_removal(self, imagectl: Imagectl) -> None:
        by_goes, by_removal = (imagectl("get", "images", "--sort-by", name).out for name in ("goes", "removal"))
        assert by_goes == by_removal
        assert by_goes != imagectl("get", "images", "--sort-by", "-removal").out

    def test_an_unknown_column_is_an_error(self, imagectl: Imagectl) -> None:
        said = imagectl("get", "images", "--sort-by", "sise")
        assert said.code == 2
        assert "unknown column sise (did you mean size?)" in said.err


class TestPolicies:
    def test_documents_are_listed_with_state_and_reason(self, imagectl: Imagectl) -> None:
        rows = {row[0]: row[1:] for row in imagectl("get", "policies").rows}
        assert rows["site-lyon"] == [
            "not_applicable",
            "1",
            "-",
            "constraint 'site == lyon' is not satisfied: the node has no property site",
        ]
        assert [rows[name][0] for name in ("agent", "services", "spring-cleaning", "toolbox")] == [
            "in_force",
            "in_force",
            "waiting",
            "disabled",
        ]

    def test_documents_are_selected_by_state(self, imagectl: Imagectl) -> None:
        assert imagectl("get", "policies", "-l", "state=disabled", "-o", "name").out == "toolbox\n"

    def test_without_a_controller_they_are_read_from_the_folder(
        self, node: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        where = ["--ledger", str(tmp_path / "ledger.db"), "--policies", str(node / "policies")]
        assert main.run(["get", "policies", *where, "-o", "name"]) == 0
        assert capsys.readouterr().out.split() == ["agent", "services", "site-lyon", "spring-cleaning", "toolbox"]

    @pytest.mark.parametrize("change", ["DELETE FROM memory", "UPDATE memory SET value = 'x'"])
    def test_a_damaged_ledger_without_a_report_shows_them_too(
        self, imagectl: Imagectl, node: Path, tmp_path: Path, change: str
    ) -> None:
        """Records of images are lost until the controller starts again."""
        ledger = Path(shutil.copy(node / "ledger.db", tmp_path))
        with closing(sqlite3.connect(ledger)) as db:
            db.execute("DELETE FROM report")
            db.execute(f"{change} WHERE part = 'records'")
            db.commit()
        said = imagectl("get", "policies", "--ledger", str(ledger), "-o", "name")
        assert (said.code, said.out.split()[0]) == (0, "agent")

    def test_live_shows_documents_that_the_controller_has_not_read_yet(
        self, imagectl: Imagectl, node: Path, tmp_path: Path
    ) -> None:
        policies = sample_node.write_policies(tmp_path, broken=sample_node.A_BROKEN_POLICY)
        here = ("--policies", str(policies))
        assert "broken" not in imagectl("get", "policies", *here, "-o", "name").out
        said = imagectl("get", "policies", *here, "--live")
        assert "invalid" in said.out
        assert "broken.yaml:5:51: error:" in said.err


class TestRemovals:
    def test_removals_are_listed_oldest_first_with_their_bytes(self, imagectl: Imagectl) -> None:
        rows = json.loads(imagectl("get", "removals", "-o", "json").out)
        assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
        assert {row["exactness"] for row in rows} == {"exact", "in the batch's figure"}

    def test_a_change_of_engine_is_shown_beside_the_list(self, imagectl: Imagectl, tmp_path: Path) -> None:
        ledger = Ledger(tmp_path / "ledger.db")
        ledger.save(Memory(), 0, Mark(1_800_000_000.0, "another engine answers"))
        ledger.close()
        said = imagectl("get", "removals", "--ledger", str(tmp_path / "ledger.db"))
        assert (said.code, said.err) == (0, "2027-01-15T08:00:00+00:00: another engine answers\n")

    def test_removals_of_the_last_day_are_selected(self, imagectl: Imagectl) -> None:
        assert len(imagectl("get", "removals", "--since", "1d").rows) == 3

    def test_failed_and_refused_removals_are_selected(self, imagectl: Imagectl) -> None:
        rows = json.loads(imagectl("get", "removals", "--failed", "-o", "json").out)
        assert {row["outcome"] for row in rows} == {"refused"}
        assert all(row["message"] for row in rows)

    def test_the_bytes_of_a_batch_are_in_parentheses(self, imagectl: Imagectl) -> None:
        assert "(311.0 MB with its batch)" in imagectl("get", "removals").out

    def test_the_summary_counts_everything(self, imagectl: Imagectl) -> None:
        every = json.loads(imagectl("get", "removals", "-o", "json").out)
        totals = json.loads(imagectl("get", "removals", "--summary", "-o", "json").out)
        assert sum(total["removals"] for total in totals) == len(every)
        batch = next(row["batch_freed_bytes"] for row in every if row["batch"])
        assert sum(t["freed_bytes"] for t in totals) == sum(row["freed_bytes"] or 0 for row in every) + batch

    def test_a_missing_ledger_cannot_be_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main.run(["get", "removals", "--ledger", str(tmp_path / "nothing.db")]) == 3
        assert "nothing.db (no controller has run here, or --ledger names another file)" in capsys.readouterr().err

    def test_an_invalid_duration_is_refused(self, imagectl: Imagectl) -> None:
        said = imagectl("get", "removals", "--since", "yesterday")
        assert (said.code, "write a duration as 90s, 5m, 2h or 1d" in said.err) == (2, True)


class TestWatch:
    @pytest.fixture
    def changing(self, node: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
        """A ledger in which, at every read, a controller has published a node with fewer images."""

        def ledger(images: int) -> Path:
            now, policies, file = SystemClock().now(), node / "policies", tmp_path / "ledger.db"
            left = [images]

            def publish(seconds: float = 0.0) -> None:
                if left[0] < images - 2:
                    raise KeyboardInterrupt
                decision = sample_node.decision_on(sample_node.memory_of(left[0], now), policies)
                sample_node.write_ledger(file, sample_node.status_of(decision, policies, now))
                left[0] -= 1

            publish()
            monkeypatch.setattr(time, "sleep", publish)
            return file

        return ledger

    def test_only_what_changes_is_printed_again(
        self, changing: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.run(["get", "images", "--ledger", str(changing(14)), "-l", "origin=pulled", "--watch"]) == 0
        lines = capsys.readouterr().out.splitlines()
        first = [line.split()[0] for line in lines[1:13]]
        assert len(set(first)) == 12
        assert 0 < len(lines[13:]) < 2 * 12

    def test_nothing_is_printed_while_nothing_changes(
        self, node: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reads = iter((None, None, KeyboardInterrupt))

        def wait(seconds: float) -> None:
            if end := next(reads):
                raise end

        monkeypatch.setattr(time, "sleep", wait)
        assert main.run(["get", "images", "--ledger", str(node / "ledger.db"), "--watch"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 61

    def test_it_searches_for_garbage_as_python_does(self, changing: Callable[[int], Path], seldom: int) -> None:
        main.run(["get", "images", "--ledger", str(changing(14)), "--watch"])
        assert gc.get_threshold()[0] < seldom

    def test_each_change_is_a_line_of_json(
        self, changing: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main.run(["get", "images", "--ledger", str(changing(14)), "-w", "-o", "json"]) == 0
        _, _, changes = capsys.readouterr().out.partition("\n]\n")
        assert all(json.loads(line)["reference"] for line in changes.splitlines())


def test_the_names_of_columns_are_stable() -> None:
    promised: dict[str, tuple[ListingKind[Any], str]] = {
        "images": (IMAGES, "REFERENCE,IMAGE ID,SIZE,IDLE,LAST USED (ABOUT),ORIGIN,VERDICT,REMOVAL"),
        "plan": (PLAN, "REFERENCE,IMAGE ID,SIZE,FREES ALONE,IDLE,VERDICT,REMOVAL,RULE,WHY"),
        "policies": (POLICIES, "NAME,STATE,RULES,IN FORCE FROM (ABOUT),FILE,TEXT,REVISION,WHY"),
        "removals": (REMOVALS, "AT,OUTCOME,REFERENCE,IMAGE ID,IDLE,FREED,RULE,TEXT,MESSAGE"),
        "totals": (TOTALS, "POLICY,OUTCOME,REMOVALS,FREED,WITH UNKNOWN BYTES"),
    }
    for kind, titles in promised.values():
        assert ",".join(column.title for column in kind.columns) == titles

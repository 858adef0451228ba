"""`--watch`, with given rows: new rows, changes, rows that disappear, and errors of a read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import yaml

from controller.cli.output.columns import IMAGES, POLICIES
from controller.cli.output.listing import Listing, Rows
from controller.cli.output.render import FORMATS
from controller.errors import ControllerError, EngineUnavailable
from controller.plan.report.rows import ListedDocument, ShownReference
from tests.rows import a_shown_row

ROW = a_shown_row(verdict="DUE", action="remove", document="all", rule=0)
OTHER = replace(ROW, reference="app:2")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def watched(form: str, *reads: list[ShownReference] | ControllerError, names: Sequence[str] = ()) -> None:
    """Watch until all reads are used; then press Ctrl-C."""
    ahead: Iterator[list[ShownReference] | ControllerError] = iter(reads)

    def read() -> Rows[ShownReference]:
        read_now = next(ahead, None)
        if read_now is None:
            raise KeyboardInterrupt
        if isinstance(read_now, ControllerError):
            raise read_now
        return Rows(read_now)

    Listing(IMAGES, form, watch=True, names=names).show(read)


def test_a_row_that_disappears_is_a_line_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    watched("wide", [ROW, OTHER], [ROW], [ROW])
    (line,) = capsys.readouterr().out.splitlines()[3:]
    assert line.split() == ["app:2", "0123456789ab", "-", "-", "-", "-", "gone", "-"]


def test_a_row_that_disappears_is_a_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    gone = {"reference": "app:2", "image": OTHER.image, "verdict": "gone"}
    watched("json", [ROW, OTHER], [ROW])
    assert json.loads(capsys.readouterr().out.partition("\n]\n")[2]) == gone
    watched("yaml", [ROW, OTHER], [ROW])
    assert list(yaml.safe_load_all(capsys.readouterr().out))[1:] == [gone]
    watched("name", [ROW, OTHER], [ROW])
    assert capsys.readouterr().out == "app:1\napp:2\napp:2 gone\n"


def test_a_named_row_may_disappear_during_watch(capsys: pytest.CaptureFixture[str]) -> None:
    changed = replace(ROW, verdict="IN_USE")
    watched("name", [ROW, OTHER], [ROW], [changed], names=("app:1", "app:2"))
    said = capsys.readouterr()
    assert (said.out, said.err) == ("app:1\napp:2\napp:2 gone\napp:1\n", "")


@pytest.mark.parametrize("form", FORMATS)
def test_a_row_that_returns_is_printed_again(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    watched(form, [ROW], [], [ROW])
    said = capsys.readouterr().out
    assert (said.count("app:1"), said.count("gone")) == (3, 1)


def test_every_kind_of_list_reports_rows_that_disappeared(capsys: pytest.CaptureFixture[str]) -> None:
    row = ListedDocument("all", "", "in_force", "", 1, None, "all.yaml", 1, "0" * 64, (), None)
    reads = iter([Rows([row]), Rows([])])

    def read() -> Rows[ListedDocument]:
        read_now = next(reads, None)
        if read_now is None:
            raise KeyboardInterrupt
        return read_now

    Listing(POLICIES, watch=True).show(read)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["all", "gone", "-", "-", "-"]


def test_an_error_is_printed_once_and_the_watch_continues(capsys: pytest.CaptureFixture[str]) -> None:
    away = EngineUnavailable("no engine")
    watched("name", [ROW], away, away, [ROW, OTHER], away, [ROW])
    said = capsys.readouterr()
    assert said.out == "app:1\napp:2\napp:2 gone\n"
    assert said.err == "imagectl: no engine\n" * 2


def test_an_error_at_the_first_read_ends_the_command() -> None:
    with pytest.raises(EngineUnavailable):
        watched("name", EngineUnavailable("no engine"))

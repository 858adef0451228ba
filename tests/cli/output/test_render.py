"""Tables and colours."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.cli.output.render import Column, table
from controller.printable import printable

COLUMNS: tuple[Column[dict[str, str]], ...] = (
    Column("NAME", lambda row: row["name"]),
    Column("STATE", lambda row: row["state"], is_wide=True),
)


def test_columns_are_as_wide_as_their_widest_text_and_lines_end_without_blanks() -> None:
    rows = [{"name": "a", "state": "short"}, {"name": "longer", "state": ""}]
    assert table(rows, COLUMNS, "wide") == "NAME     STATE\na        short\nlonger"


def test_a_plain_table_has_no_wide_columns() -> None:
    assert table([{"name": "a", "state": "x"}], COLUMNS) == "NAME\na"


def test_a_table_without_rows_has_titles() -> None:
    assert table([], COLUMNS, "wide") == "NAME   STATE"


@given(st.text())
def test_no_text_moves_the_cursor_or_adds_a_line(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    shown.encode()


def on_a_terminal(node: Path, *arguments: str, **environment: str) -> str:
    """The output of a command on a terminal."""
    ours, theirs = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "TERM": "xterm", "IMAGECTL_LEDGER": f"{node}/ledger.db", **environment}
    command = [sys.executable, "-m", "controller", *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        written = b""
        try:
            while piece := os.read(ours, 65_536):
                written += piece
        except OSError:  # The other end of the terminal is closed.
            pass
        finally:
            os.close(ours)
        process.wait()
    return written.decode()


def test_a_terminal_gets_colours(node: Path) -> None:
    assert "\x1b[33mDUE\x1b[0m" in on_a_terminal(node, "get", "images")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_a_terminal_with_no_color_gets_no_colours(node: Path, environment: dict[str, str]) -> None:
    assert "\x1b" not in on_a_terminal(node, "get", "images", **environment)


def test_a_pipe_gets_no_colours(node: Path) -> None:
    command = [sys.executable, "-m", "controller", "get", "images", "--ledger", f"{node}/ledger.db"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"DUE" in done.stdout

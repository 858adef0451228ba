"""Log lines as text and as JSON."""

from __future__ import annotations

import json
import logging
import re

import pytest

from controller.adapters.host import logs


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the handlers of the tests afterwards."""
    logger = logging.getLogger()
    monkeypatch.setattr(logger, "handlers", list(logger.handlers))
    monkeypatch.setattr(logger, "level", logger.level)


def line(form: str, message: str, capfd: pytest.CaptureFixture[str]) -> str:
    logs.set_up(form, "info")
    logging.getLogger("controller").warning("%s", message)
    return capfd.readouterr().err


def test_json_has_the_time_as_rfc_3339_in_utc(capfd: pytest.CaptureFixture[str]) -> None:
    written = json.loads(line("json", "hello", capfd))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written["time"])
    assert (written["level"], written["message"]) == ("WARNING", "hello")


def test_the_time_is_that_of_the_record() -> None:
    record = logging.makeLogRecord({"created": 1_700_000_000.25})
    assert logs.utc(record) == "2023-11-14T22:13:20.250Z"


def test_text_has_the_local_time_with_its_offset(capfd: pytest.CaptureFixture[str]) -> None:
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} WARNING hello\n", line("text", "hello", capfd))


def test_foreign_text_does_not_start_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    written = line("text", "refused: \x1b[2Jx\n2026-01-01T00:00:00+0000 INFO    all is well", capfd)
    assert written.count("\n") == 1
    assert "\\u001b[2Jx\\u000a2026" in written


def test_json_keeps_text_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    written = line("json", "a\nb\u202e", capfd)
    assert (json.loads(written)["message"], written.isascii()) == ("a\nb\u202e", True)


def test_the_problems_of_a_document_keep_their_lines(capfd: pytest.CaptureFixture[str]) -> None:
    assert line("text", "policy x: invalid\n  x.yaml:1:1: error", capfd).endswith("invalid\n  x.yaml:1:1: error\n")

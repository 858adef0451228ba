"""Every line that the program logs has an event of the enum, in the code and in the JSON that is written."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

import controller
from controller.adapters.host import logs
from controller.log_events import LogEvent
from controller.plan.scope.in_force import DocumentState

_METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_SOURCES = sorted(Path(controller.__file__).parent.rglob("*.py"))


def _calls(source: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="_log"), attr=method)) if method in _METHODS:
                yield node
            case ast.Call(func=ast.Attribute(value=ast.Name(id="logging"), attr=method)) if method in _METHODS:
                raise AssertionError(f"{source}:{node.lineno} uses the root logger")


def _event_of(call: ast.Call, tree: ast.Module) -> ast.expr | None:
    """The value of the key `event` of `extra`, which is a dict or a name that is assigned one."""
    extra = next((keyword.value for keyword in call.keywords if keyword.arg == "extra"), None)
    if isinstance(extra, ast.Name):
        name = extra.id
        assigned = (node for node in ast.walk(tree) if isinstance(node, ast.Assign))
        extra = next(node.value for node in assigned if ast.unparse(node.targets[0]) == name)
    if not isinstance(extra, ast.Dict):
        return None
    keys = (key.value if isinstance(key, ast.Constant) else None for key in extra.keys)
    return dict(zip(keys, extra.values, strict=True)).get("event")


def test_every_call_that_logs_names_an_event_of_the_enum() -> None:
    found = 0
    for source in _SOURCES:
        tree = ast.parse(source.read_text())
        for call in _calls(source):
            event = _event_of(call, tree)
            text = ast.unparse(event) if event is not None else ""
            assert text == "line.event" or text.removeprefix("LogEvent.") in LogEvent.__members__, (source, text)
            found += 1
    assert found >= 8


def test_every_event_is_used() -> None:
    texts = "\n".join(source.read_text() for source in _SOURCES if source.name != "log_events.py")
    by_state = {f"policy_{state}" for state in DocumentState}
    assert [event for event in LogEvent if event.name not in texts and event not in by_state] == []


@pytest.mark.parametrize("state", DocumentState)
def test_every_state_of_a_document_has_an_event(state: DocumentState) -> None:
    assert f"policy_{state}" in set(LogEvent)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The JSON output of the log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.set_up("json", "info")
    yield stream
    root.handlers[:], root.level = handlers, level


def test_a_json_line_has_its_event_and_its_fields(written: io.StringIO) -> None:
    extra = {"event": LogEvent.IMAGE_REMOVED, "reference": "app:1"}
    logging.getLogger("controller").info("removed", extra=extra)
    row = json.loads(written.getvalue())
    assert (row["event"], row["reference"], row["message"]) == ("image_removed", "app:1", "removed")


def test_a_line_of_a_library_has_an_event_too(written: io.StringIO) -> None:
    logging.getLogger("waitress").warning("a client sent nonsense")
    assert json.loads(written.getvalue())["event"] == "library_message"

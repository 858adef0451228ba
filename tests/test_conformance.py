from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import disagreement, main, read_rows, shipped


@pytest.mark.parametrize("path", shipped(), ids=lambda path: path.name)
def test_our_answers_equal_all_recorded_answers(path: Path) -> None:
    assert [found for row in read_rows(path) if (found := disagreement(row))] == []


def test_all_recorded_answers_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == "11969 rows, 0 disagree\n"


_WRONG = [
    {"kind": "eval/x", "in": {"constraints": ["a == 1"], "properties": []}, "out": {"ok": True, "match": True}},
    {"kind": "eval/x", "in": {"constraints": ["a"], "properties": []}, "out": {"ok": True, "match": False}},
    {"kind": "eval/x", "in": {"constraints": [""], "properties": []}, "out": {"ok": False, "panic": True}},
    {"kind": "parse/x", "in": {"constraint": "() a == 1"}, "out": {"ok": True, "rp_ok": True}},
    {"kind": "parse/x", "in": {"constraint": ""}, "out": {"ok": True, "rp_ok": True, "tree": {"and": []}}},
    {"kind": "compat/x", "in": {"node_policy": None, "node_pattern": "", "nmp": None}, "out": {"compatible": False}},
    {"kind": "version", "in": {"range": "1", "version": "2"}, "out": {"ok": True, "in": False}},
    {"kind": "vcmp", "in": {"a": "1", "b": "2"}, "out": {"ok": True, "cmp": 1}},
    {"kind": "isver", "in": {"version": "1"}, "out": {"version_string": False}},
    {"kind": "props", "in": {"properties": [{"name": "a"}]}, "out": {"ok": True}},
    {"kind": "unheard of", "in": {}, "out": {}},
]


@pytest.mark.parametrize("row", _WRONG, ids=lambda row: row["kind"])
def test_a_wrong_answer_is_found(row: Mapping[str, Any]) -> None:
    assert disagreement(row)


def test_the_command_shows_ten_of_many_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "more.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.write("\n".join(json.dumps(_WRONG[0]) for _ in range(15)))
    assert main([str(path)]) == 1
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "15 rows, 15 disagree"
    assert len(others) == 10
    assert others[0].startswith("more.jsonl.gz:1: ")

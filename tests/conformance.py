"""Compares our answers with the original's: `python -m tests.conformance [FILE.jsonl.gz ...]` (default: all files).

Each line of a file is a question with the recorded answer of anax: `kind`, `in` and `out`. Ours comes from functions
that the controller itself uses. Where the original crashes (`panic`), ours must be no, without raising.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.constraint.evaluate import evaluate
from controller.constraint.expression import And, Comparison, Or
from controller.constraint.parser import parse, validate
from controller.constraint.property import Property, property_faults, read_property
from controller.constraint.version import compare, is_plain_version, is_range, is_version, parse_range
from controller.errors import InvalidConstraint
from controller.plan.node.matching import match
from controller.plan.node.node import Node, convert_flat_policy, management_view, normalised

VECTORS = Path(__file__).parent / "data" / "vectors"
SHOWN = 10

Answer = dict[str, Any]
_SAID_NO = ("match", "compatible", "in")


@dataclass(frozen=True)
class Policy:
    """The fields of a node management policy that matching uses; the original uses no others either."""

    constraints: Sequence[str]
    properties: Sequence[Property]
    patterns: Sequence[str]


def main(arguments: Sequence[str]) -> int:
    """Compare all rows of the files; prints what differs and returns the exit code."""
    rows, disagreements = 0, []
    for path in map(Path, arguments) if arguments else shipped():
        for number, row in enumerate(read_rows(path), start=1):
            rows += 1
            if found := disagreement(row):
                disagreements.append(f"{path.name}:{number}: {json.dumps(row['in'], ensure_ascii=False)}: {found}")
    print(f"{rows} rows, {len(disagreements)} disagree")
    for line in disagreements[:SHOWN]:
        print(line)
    return 1 if disagreements else 0


def shipped() -> list[Path]:
    return sorted(VECTORS.glob("*.jsonl.gz"))


def read_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def disagreement(row: Mapping[str, Any]) -> str:
    """The difference between our answer and the original's, or an empty text."""
    theirs = row["out"]
    try:
        ours = ANSWERS[row["kind"].partition("/")[0]](row["in"])
    except Exception as error:  # a crash is a wrong answer
        return f"ours raises {error!r}"
    if theirs.get("panic") or row.get("panic"):
        return ", ".join(f"the original crashes, ours says yes to {key}" for key in _SAID_NO if ours.get(key))
    return ", ".join(
        f"{key} is {theirs[key]!r}, ours says {ours[key]!r}"
        for key in ours
        if key in theirs and _canonical(theirs[key]) != _canonical(ours[key])
    )


def _answer_eval(question: Mapping[str, Any]) -> Answer:
    constraints, properties = question["constraints"] or [], _properties(question["properties"])
    compiles = all(_is_accepted(parse, text) for text in constraints)
    return {
        "ok": compiles,
        "match": compiles and evaluate(map(parse, constraints), properties).holds,
        "props_valid": not any(map(property_faults, properties)),
    }


def _answer_parse(question: Mapping[str, Any]) -> Answer:
    text = question["constraint"]
    compiles = _is_accepted(parse, text)
    tree = {"tree": {"and": [_tree(parse(text))]}} if compiles else {}
    return {"ok": _is_accepted(validate, text), "rp_ok": compiles, **tree}


def _answer_compat(question: Mapping[str, Any]) -> Answer:
    policy, document = question["node_policy"] or {}, question["nmp"] or {}
    if question.get("node_policy_format") == "v1":
        policy = convert_flat_policy(policy)
    if question.get("normalize"):
        policy = normalised(policy)
    view = management_view(policy)
    node = Node("org", "node", question["node_pattern"], *view)
    properties = [{"name": p.name, "value": p.value} | ({"type": p.type} if p.type else {}) for p in view.properties]
    return {
        "compatible": match(_policy(document), node).applies,
        "merged": {"properties": properties or None, "constraints": list(view.constraints) or None},
    }


def _answer_version(question: Mapping[str, Any]) -> Answer:
    versions, version = parse_range(question["range"]), question["version"]
    answer = {"ok": versions is not None and is_version(version), "in": versions is not None and version in versions}
    return answer if versions is None else {**answer, "normalized": str(versions)}


def _answer_vcmp(question: Mapping[str, Any]) -> Answer:
    a, b = question["a"], question["b"]
    is_comparable = is_version(a) and is_version(b)
    return {"ok": is_comparable, "cmp": compare(a, b) if is_comparable else 0}


def _answer_isver(question: Mapping[str, Any]) -> Answer:
    text = question["version"]
    return {
        "version_string": is_version(text),
        "version_expression": is_range(text),
        "property_version_string": is_plain_version(text),
    }


def _answer_props(question: Mapping[str, Any]) -> Answer:
    return {"ok": not any(map(property_faults, _properties(question["properties"])))}


ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
    "eval": _answer_eval,
    "parse": _answer_parse,
    "compat": _answer_compat,
    "version": _answer_version,
    "vcmp": _answer_vcmp,
    "isver": _answer_isver,
    "props": _answer_props,
}


def _properties(written: Sequence[Mapping[str, Any]] | None) -> tuple[Property, ...]:
    return tuple(map(read_property, written or []))


def _policy(document: Mapping[str, Any]) -> Policy:
    return Policy(
        document.get("constraints") or (), _properties(document.get("properties")), document.get("patterns") or ()
    )


def _is_accepted(reader: Callable[[str], object], text: str) -> bool:
    try:
        reader(text)
    except InvalidConstraint:
        return False
    return True


def _tree(expression: Or | And | Comparison) -> dict[str, Any]:
    """The expression in the form of the original."""
    if isinstance(expression, Comparison):
        return {"name": expression.name, "op": expression.operator, "value": expression.value}
    return {"or" if isinstance(expression, Or) else "and": [_tree(part) for part in expression.parts]}


def _canonical(value: object) -> str:
    """Text that is equal where JSON is: 5.0 is 5 and true is not 1; an absent list is an empty one."""
    if isinstance(value, dict) and set(value) == {"properties", "constraints"}:
        value = {key: part or None for key, part in value.items()}
    return json.dumps(json.loads(json.dumps(value), parse_int=float), sort_keys=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except OSError as error:
        sys.exit(f"cannot be read: {error}")

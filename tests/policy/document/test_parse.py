from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from controller.constraint import parser
from controller.constraint.expression import Comparison, Expression
from controller.constraint.property import Property
from controller.policy.document import mapping
from controller.policy.document.findings import MOST_OF_CONSTRAINTS, MOST_PROBLEMS
from controller.policy.document.parse import State, duplicate_names, parse_documents, refuse_duplicates
from tests.policy.drafts import (
    ENVELOPE,
    RULE,
    a_draft,
    a_draft_with_rule,
    forms,
    mutated,
    problems_in,
    problems_of,
    read,
)

DATA = Path(__file__).parents[2] / "data"
GOOD = sorted((DATA / "documents" / "good").iterdir())
BAD = sorted(path for path in (DATA / "documents" / "bad").iterdir() if path.suffix != ".expected")
ROWS: list[dict[str, Any]] = json.loads((DATA / "vectors" / "nmp_validate.json").read_text(encoding="utf-8"))["rows"]

A_RULE = '{image_name: "old:*", delete_after_minutes: 1440, agent_downloaded_only: true}'
A_DOCUMENT = f"label: x\nenabled: true\nimage_policy: {{removal: [{A_RULE}]}}\n"


def an_envelope(name: str) -> str:
    spec = A_DOCUMENT.replace("\n", "\n  ").rstrip()
    head = "apiVersion: openhorizon.org/v1\nkind: NodeManagementPolicy"
    return f"{head}\nmetadata: {{name: {json.dumps(name)}}}\nspec:\n  {spec}\n"


# --- The folders of good and bad documents ---


@pytest.mark.usefixtures("each_parser")
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_good_document_has_no_problem(path: Path) -> None:
    parsed = parse_documents(path.read_bytes(), path.name)
    assert parsed.problems == ()
    assert parsed.documents
    assert len(parsed.policies) == len(parsed.documents)


@pytest.mark.usefixtures("each_parser")
@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_document_has_the_problems_of_its_list(path: Path) -> None:
    parsed = parse_documents(path.read_bytes(), path.name)
    said = [f"{document.name}: {document.state}" for document in parsed.documents]
    said += ["", *(str(problem) for problem in parsed.problems)]
    assert said == path.with_name(f"{path.name}.expected").read_text(encoding="utf-8").splitlines()


# --- Values of a document ---


def test_both_spellings_are_one_policy() -> None:
    upstream = {
        "label": "old images",
        "enabled": True,
        "agentImagePolicy": {
            "imageRemovalPolicies": [{"imageId": "old:*", "deleteAfterMinutes": 1440, "agentDownloadedOnly": True}]
        },
    }
    assert read(upstream).policy == read(a_draft()).policy


def test_defaults_replace_what_is_absent_or_null() -> None:
    policy = read(a_draft(start=None, startWindow=None, constraints=None, patterns=None, description=None)).policy
    assert policy is not None
    assert (policy.start, policy.start_window_seconds, policy.description) == (None, 0, "")
    assert (policy.constraints, policy.patterns, policy.properties) == ((), (), ())


def test_rules_keep_their_order_number_and_line() -> None:
    (policy,) = parse_documents(f"{A_DOCUMENT.rstrip()[:-2]},\n  {A_RULE}]}}\n".encode(), "a.yaml").policies
    assert policy.removal is not None
    assert [(rule.number, rule.line) for rule in policy.removal] == [(0, 3), (1, 4)]


def test_properties_keep_their_types() -> None:
    draft = a_draft(properties=[{"name": "a", "value": 1}, {"name": "b", "value": "1.0", "type": "version"}])
    policy = read(draft).policy
    assert policy is not None
    assert policy.properties == (Property("a", 1), Property("b", "1.0", "version"))


@pytest.mark.parametrize(
    ("draft", "state"),
    [
        (a_draft(), State.VALID),
        (a_draft(enabled=False), State.DISABLED),
        (a_draft(image_policy=..., upgrade={"manifest": "m"}), State.NO_IMAGE_POLICY),
        (a_draft(image_policy=..., enabled=False), State.NO_IMAGE_POLICY),
        (a_draft(enabled=...), State.INVALID),
    ],
)
def test_every_document_has_a_state(draft: dict[str, Any], state: State) -> None:
    assert read(draft).state is state


# --- Names and forms ---


def test_a_plain_document_is_called_like_its_file() -> None:
    (document,) = parse_documents(A_DOCUMENT.encode(), "team/gateways.yaml").documents
    assert document.name == "team/gateways"
    (document,) = parse_documents(A_DOCUMENT.encode(), "policies/team/gateways.yaml", "team/gateways").documents
    assert (document.name, document.file) == ("team/gateways", "policies/team/gateways.yaml")


def test_the_second_plain_document_of_a_file_has_a_number() -> None:
    text = f"{A_DOCUMENT}---\nlabel: *\n---\n{A_DOCUMENT}"
    assert [document.name for document in parse_documents(text.encode(), "a.yaml").documents] == ["a", "a#2", "a#3"]


def test_an_envelope_has_its_own_name() -> None:
    (policy,) = parse_documents(an_envelope("paris/images").encode(), "a.yaml").policies
    assert policy.name == "paris/images"


def test_each_entry_of_an_answer_is_a_document() -> None:
    answer = {"managementPolicy": {"org/a": a_draft(), "org/b": a_draft(enabled="x"), "org/c": None}, "lastIndex": 0}
    parsed = parse_documents(json.dumps(answer).encode(), "answer.json")
    assert [(document.name, document.state) for document in parsed.documents] == [
        ("org/a", State.VALID),
        ("org/b", State.INVALID),
    ]
    assert [problem.field for problem in parsed.problems] == ['managementPolicy["org/b"].enabled']


def test_an_empty_answer_is_no_problem() -> None:
    parsed = parse_documents(b'{"managementPolicy": {}, "lastIndex": 0}', "a.json")
    assert (parsed.documents, parsed.problems) == ((), ())


def test_the_name_of_a_file_cannot_colour_the_screen() -> None:
    (document,) = parse_documents(A_DOCUMENT.encode(), "a\x1b[31m\udcff.yaml").documents
    assert document.name == r"a\u001b[31m\udcff"


def test_the_same_name_twice_in_one_file_is_an_error_of_the_second() -> None:
    parsed = parse_documents(f"{an_envelope('x')}---\n{an_envelope('x')}".encode(), "a.yaml")
    assert [document.state for document in parsed.documents] == [State.VALID, State.INVALID]
    assert [str(problem) for problem in parsed.problems] == [
        'a.yaml:9:1: error: duplicate name "x", first in a.yaml:1 (rename one of them)'
    ]


def test_the_same_name_in_two_files_is_an_error_of_the_second() -> None:
    files = [parse_documents(an_envelope("x").encode(), file) for file in ("a.yaml", "b.yaml")]
    first, second = refuse_duplicates(files)
    assert (first, [document.state for document in second.documents]) == (files[0], [State.INVALID])
    (problem,) = duplicate_names(files)
    assert second.problems == (problem,)
    assert str(problem) == 'b.yaml:1:1: error: duplicate name "x", first in a.yaml:1 (rename one of them)'


def test_an_invalid_document_keeps_its_name_too() -> None:
    files = [parse_documents(text.encode(), "a.yaml", "x") for text in ("label: *", A_DOCUMENT)]
    assert [parsed.policies for parsed in refuse_duplicates(files)] == [(), ()]


def test_duplicates_are_reported_once() -> None:
    twice = parse_documents(f"{an_envelope('x')}---\n{an_envelope('x')}".encode(), "a.yaml")
    assert duplicate_names([twice]) == ()
    assert refuse_duplicates(refuse_duplicates([twice])) == (twice,)


# --- Rules between fields ---


@pytest.mark.parametrize("upgrade", ["upgrade", "agentUpgradePolicy"])
@pytest.mark.parametrize("empty", [None, {}, {"manifest": ""}, {"manifest": None, "allowDowngrade": True}])
def test_an_upgrade_policy_without_a_manifest_counts_as_absent(upgrade: str, empty: object) -> None:
    assert problems_of(a_draft(**{upgrade: empty})) == ()


def test_image_policy_and_upgrade_policy_exclude_each_other() -> None:
    (problem,) = problems_of(a_draft(upgrade={"manifest": "m"}))
    assert (problem.severity, problem.field) == ("error", "upgrade")


def test_constraints_and_patterns_exclude_each_other_if_both_have_content() -> None:
    (problem,) = problems_of(a_draft(constraints=["a == b"], patterns=["p"]))
    assert (problem.severity, problem.field) == ("error", "patterns")
    assert problems_of(a_draft(constraints=["a == b"], patterns=[])) == ()
    assert problems_of(a_draft(constraints=[], patterns=["p"])) == ()


def test_what_does_nothing_is_a_warning() -> None:
    (nothing,) = problems_of(a_draft(image_policy=...))
    assert (nothing.severity, nothing.message) == (
        "warning",
        "has no image policy and no upgrade policy, so it does nothing",
    )
    (no_rule,) = problems_of(a_draft(image_policy={"removal": []}))
    assert (no_rule.severity, no_rule.field) == ("warning", "image_policy.removal")


@pytest.mark.parametrize("field", ["constraints", "patterns", "start", "startWindow"])
def test_a_restricting_field_with_wrong_indentation_is_an_error(field: str) -> None:
    in_the_policy = a_draft(image_policy={"removal": [RULE], field: None})
    beside_the_spec = {**ENVELOPE, "spec": a_draft(), field: None}
    in_the_metadata = {**ENVELOPE, "spec": a_draft(), "metadata": {"name": "x", field: None}}
    in_a_property = a_draft(properties=[{"name": "purpose", "value": "cleaning", field: None}])
    in_the_upgrade = a_draft(image_policy=..., upgrade={"manifest": "m", field: None})
    beside_the_answer = {"managementPolicy": {"org/a": a_draft(), "org/b": a_draft()}, field: None}
    inner = (in_the_policy, in_a_property, in_the_upgrade)
    for draft in (*inner, beside_the_spec, in_the_metadata, beside_the_answer):
        (problem,) = problems_of(draft)
        assert (problem.severity, problem.field.split(".")[-1]) == ("error", field)


def test_a_restricting_field_beside_an_answer_makes_all_its_documents_invalid() -> None:
    answer = {"managementPolicy": {"org/a": a_draft(), "org/b": a_draft()}, "constraints": ["a == b"]}
    parsed = parse_documents(json.dumps(answer).encode(), "a.json")
    assert [(document.name, document.policy) for document in parsed.documents] == [("org/a", None), ("org/b", None)]


@pytest.mark.parametrize(
    "constraints",
    [
        [f"{'(' * 30_000}a == b{number}{')' * 30_000}" for number in range(15)],
        [f"a == b{number} || " * 90 for number in range(900)],
        [f"{'( ' * 15_000}a == b{number}{')' * 15_000} && " for number in range(19)],
    ],
    ids=["parentheses", "doubts", "blanks"],
)
def test_the_constraints_of_a_file_are_read_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, constraints: list[str]
) -> None:
    parse_whole, read = parser.parse_whole, list[int]()

    def counted(text: str) -> tuple[Expression, int]:
        read.append(len(text))
        return parse_whole(text)

    monkeypatch.setattr(parser, "parse_whole", counted)
    found = problems_of(a_draft(constraints=constraints))
    assert 0 < sum(read) <= MOST_OF_CONSTRAINTS < sum(map(len, constraints))
    assert sum("has more than 65536 characters of constraints" in problem.message for problem in found) == 1


def test_each_document_that_a_full_file_leaves_unread_is_invalid() -> None:
    long = a_draft(constraints=["a == b || " * 4_000 + "c == d"])
    text = "\n---\n".join(json.dumps(draft) for draft in (long, long, a_draft(), a_draft(constraints=["a == b"])))
    states = [document.state for document in parse_documents(text.encode(), "a.yaml").documents]
    assert states == [State.VALID, State.INVALID, State.VALID, State.INVALID]


def test_a_constraint_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read_comparison, places = parser._read_comparison, list[int]()

    def counted(text: str, position: int) -> tuple[Comparison | None, int]:
        places.append(position)
        return read_comparison(text, position)

    monkeypatch.setattr(parser, "_read_comparison", counted)
    read(a_draft(constraints=["taken == apart"]))
    assert places == [0, 0]  # once to check it, as upstream does, and once to build it


@pytest.mark.parametrize("field", ["image_name", "delete_after_minutes", "agent_downloaded_only"])
def test_no_field_of_a_rule_has_a_default(field: str) -> None:
    for draft in (a_draft_with_rule(**{field: ...}), a_draft_with_rule(**{field: None})):
        (problem,) = problems_of(draft)
        assert (problem.severity, problem.field) == ("error", f"image_policy.removal[0].{field}")


def test_a_rule_that_is_a_text_makes_the_document_invalid_and_is_reported_by_its_number() -> None:
    draft = a_draft(image_policy={"removal": [RULE, "old:*"]})
    (problem,) = problems_of(draft)
    assert (problem.severity, problem.field) == ("error", "image_policy.removal[1]")
    assert read(draft).policy is None


def test_all_problems_of_all_documents_are_reported_at_once_in_the_order_of_the_text() -> None:
    text = "label: no\nenabled: 1\n---\nenabled: true\nconstraints: [a]\nstart: x\n"
    assert [line.split(" ")[0] + line.split(" ")[2] for line in problems_in(text)] == [
        "a.yaml:1:8:label:",
        "a.yaml:2:10:enabled:",
        "a.yaml:4:1:label:",
        "a.yaml:5:16:constraints[0]:",
        "a.yaml:6:8:start:",
    ]


# --- Upstream's own decoder and Validate() ---

STRICTER = {
    "missing": ("enabled",),
    "enabled": ("enabled",),
    "startWindow": ("startWindow",),
    "constraints": ("constraints",),
    "patterns": ("patterns",),
    "agentImagePolicy": ("agentImagePolicy",),
    "both-jobs": ("agentImagePolicy", "agentUpgradePolicy"),
    "key-case": ("START", "enabled", "Enabled"),
    "base": ("enabled",),
    "constraints-and-patterns": ("patterns",),
}
"""Fields that are wrong here in documents that upstream accepts, by topic.

`enabled` has no default here (upstream: false). A window is not negative, and neither it nor `deleteAfterMinutes` is
beyond 2^53. Constraints are neither blank nor always true. `patterns: [""]` applies to too much. The fields of a rule
have no defaults, and names of images are complete. Image and upgrade policy, constraints and patterns exclude each
other. Names of fields are exact: upstream accepts `START`; here it is an error, because it resembles `start`.
"""

LAXER = {"0009": "start is missing: now", "0029": "start is null: now"}
"""Rows that upstream finds invalid and we do not. `hzn exchange nmp add` writes `now` for a missing start as well."""


@pytest.mark.parametrize("row", ROWS, ids=[row["id"][-4:] for row in ROWS])
def test_what_upstream_refuses_is_refused_and_stricter_checks_are_listed(row: dict[str, Any]) -> None:
    errors = [problem for problem in problems_of(row["nmp"]) if problem.is_error]
    if row["expect"] != "valid":
        assert bool(errors) != (row["id"][-4:] in LAXER)
    for problem in errors if row["expect"] == "valid" else ():
        assert problem.field.startswith(STRICTER.get(row["topic"], ())), str(problem)


def test_the_exceptions_from_upstream_are_needed() -> None:
    stricter = {row["topic"] for row in ROWS if row["expect"] == "valid" and read(row["nmp"]).state is State.INVALID}
    assert stricter == set(STRICTER)


# --- Any input ---


@given(st.binary(max_size=200))
@example(b"[" * 50_000)
@example(b"\xff\xfe")
@example(b"a: &a [*a]")
@example(b"---\n" * 2_000)
def test_no_bytes_raise_anything(data: bytes) -> None:
    for file in ("a.yaml", "a.json"):
        parsed = parse_documents(data, file)
        assert parsed.problems or parsed.policies


_pieces = st.sampled_from(
    (
        *(
            "{",
            "}",
            "[",
            "]",
            ": ",
            ",",
            "- ",
            "#",
            "*",
            "&",
            "!",
            "|",
            "'",
            '"',
            "\n",
            "\n  ",
            "\n---\n",
            "\t",
            "?",
            "<<",
        ),
        *(
            "label",
            "enabled",
            "true",
            "no",
            "017",
            "image_policy",
            "removal",
            "constraints",
            "a == b",
            "spec",
            "manifest",
        ),
        *("managementPolicy", "kind", "\\ud800", "\ud7ff"),
    )
)


@given(st.lists(_pieces, max_size=60).map("".join))
def test_no_text_like_a_document_raises_anything(text: str) -> None:
    parsed = parse_documents(text.encode(), "a.yaml")
    assert all(document.policy or document.problems for document in parsed.documents)


class _Quoting(yaml.SafeDumper):
    """Quotes the text 08, which PyYAML writes without quotes and we read as ambiguous."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@example({"label": "08", "enabled": False})
@given(forms | mutated())
def test_yaml_and_json_of_the_same_values_have_the_same_outcome(draft: dict[str, Any]) -> None:
    as_json = parse_documents(json.dumps(draft).encode(), "a.json")
    as_yaml = parse_documents(yaml.dump(draft, Dumper=_Quoting, sort_keys=False).encode(), "a.yaml")
    assert [document.state for document in as_json.documents] == [document.state for document in as_yaml.documents]
    assert {(one.field, one.message) for one in as_json.problems} == {
        (one.field, one.message) for one in as_yaml.problems
    }


# ── many problems ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[int]:
    """Counts the calls of a function of the module that reads mappings."""
    real, calls = getattr(mapping, name), [0]

    def counted(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        return real(*arguments, **named)

    monkeypatch.setattr(mapping, name, counted)
    return calls


@pytest.mark.parametrize("is_json", [True, False])
def test_of_many_unknown_keys_only_the_first_hundred_cost_a_hint(
    monkeypatch: pytest.MonkeyPatch, is_json: bool
) -> None:
    hints = _counted(monkeypatch, "nearest")
    keys = {f"key{number}": 1 for number in range(4_500)}
    text = json.dumps(keys) if is_json else "".join(f"{key}: 1\n" for key in keys)
    parsed = parse_documents(text.encode(), "x.yaml")
    assert parsed.policies == ()
    assert hints[0] <= MOST_PROBLEMS
    assert len(parsed.problems) == MOST_PROBLEMS + 1
    assert any("more problems from here on; only 100 of a file" in problem.message for problem in parsed.problems)


def test_of_many_repeated_keys_only_the_first_hundred_are_described(monkeypatch: pytest.MonkeyPatch) -> None:
    described = _counted(monkeypatch, "joined")
    parsed = parse_documents(("label: x\n" * 4_500).encode(), "x.yaml")
    assert len(parsed.problems) <= MOST_PROBLEMS + 1
    assert described[0] < 3 * 4_500


def test_the_limit_is_shared_by_the_documents_of_a_file() -> None:
    documents = "---\n".join(f"key{number}: 1\n" * 30 for number in range(20))
    parsed = parse_documents(documents.encode(), "x.yaml")
    in_full = [problem for problem in parsed.problems if "from here on" not in problem.message]
    assert len(in_full) == MOST_PROBLEMS
    assert all(document.problems for document in parsed.documents)
    assert parsed.policies == ()


def test_a_file_of_very_many_lines_is_not_read() -> None:
    (problem,) = parse_documents(b"\n" * 200_000, "x.yaml").problems
    assert problem.message == "more than 100000 lines"

"""Which rows a text means; the same images as the text would mean to the engine."""

from __future__ import annotations

import pytest

from controller.plan.report.meaning import explained_rows, matching_rows

DIGEST = "sha256:" + "ab" * 32
ROWS = [
    {"reference": "nginx:latest", "image": "sha256:" + "1234" * 16, "names": ["nginx:latest", f"nginx@{DIGEST}"]},
    {"reference": "nginx:1", "image": "sha256:" + "1234" * 16, "names": ["nginx:latest", "nginx:1"]},
    {
        "reference": "team.example/app:1",
        "image": "sha256:" + "beef" * 16,
        "names": ["team.example/app:1"],
    },
    {"reference": "sha256:" + "0" * 64, "image": "sha256:" + "0" * 64, "names": []},
]


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("nginx", ["nginx:latest", "nginx:1"]),
        ("docker.io/library/nginx:latest", ["nginx:latest", "nginx:1"]),
        ("nginx:1", ["nginx:1"]),
        (f"nginx@{DIGEST}", ["nginx:latest"]),
        ("1234", ["nginx:latest", "nginx:1"]),
        ("sha256:beefbeef", ["team.example/app:1"]),
        ("team.example/app:1", ["team.example/app:1"]),
        ("0" * 64, ["sha256:" + "0" * 64]),
        ("123", []),
        ("app:1", []),
        ("", []),
        ("<script>", []),
    ],
)
def test_a_name_a_digest_an_id_or_the_beginning_of_one(text: str, references: list[str]) -> None:
    assert [row["reference"] for row in matching_rows(ROWS, text)] == references


def test_an_explanation_is_joined_with_the_row_of_its_reference() -> None:
    references = [{"reference": row["reference"], "image": row["image"], "verdict": "DUE"} for row in ROWS]
    (found,) = explained_rows(references, ROWS, "beef")
    assert (found["verdict"], found["names"]) == ("DUE", ["team.example/app:1"])

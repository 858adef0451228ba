"""The rows that a text matches: the same images that the engine would find."""

from __future__ import annotations

import pytest

from controller.plan.report.meaning import matching_rows
from tests.rows import an_explanation

DIGEST = "sha256:" + "ab" * 32
ROWS = [
    an_explanation("nginx:latest", "sha256:" + "1234" * 16, "nginx:latest", f"nginx@{DIGEST}"),
    an_explanation("nginx:1", "sha256:" + "1234" * 16, "nginx:latest", "nginx:1"),
    an_explanation("team.example/app:1", "sha256:" + "beef" * 16, "team.example/app:1"),
    an_explanation("sha256:" + "0" * 64, "sha256:" + "0" * 64),
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
def test_a_row_is_found_by_name_digest_id_or_start_of_an_id(text: str, references: list[str]) -> None:
    assert [row.reference for row in matching_rows(ROWS, text)] == references

"""The rows that a text matches: the same images that the engine would find."""

from __future__ import annotations

import pytest

from controller.plan.report.meaning import matching_rows, rows_without_a_tag
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


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("pinned:1.2", [f"pinned@{DIGEST}"]),
        ("docker.io/library/pinned:1.2", [f"pinned@{DIGEST}"]),
        ("other:1.2", []),
        ("nginx:9", []),
        (f"pinned@{DIGEST}", []),
    ],
)
def test_of_a_name_that_no_image_has_the_images_without_a_tag_are_found(text: str, references: list[str]) -> None:
    pinned = an_explanation(f"pinned@{DIGEST}", "sha256:" + "77" * 32, f"pinned@{DIGEST}")
    assert [row.reference for row in rows_without_a_tag([*ROWS, pinned], text)] == references

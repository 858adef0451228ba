"""The check of words, `python -m deploy.local.words`: which texts it reads, and what it reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.words import findings

WORD = "what" + "ever"
"""A word of the list, written so that the check does not find it in this file."""


def found(root: Path, file: str, text: str) -> list[tuple[int, str]]:
    """Line and word of each finding in a file of a tree."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return [(each.line, each.word) for each in findings(root)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("controller/a.py", f'"""A {WORD} text."""\n'),
        ("controller/a.py", f"# A {WORD} text.\n"),
        ("controller/a.py", f'TEXT = "a {WORD} text"\n'),
        ("controller/a.py", f'TEXT = f"{{name}}: a {WORD} text"\n'),
        ("tests/test_a.py", f"def test_a_{WORD}_text() -> None: ...\n"),
        ("README.md", f"A {WORD} text.\n"),
        ("Makefile", f"# A {WORD} text.\n"),
        ("deploy/a.sh", f"# A {WORD} text.\n"),
        ("manifests/rules.yaml", f"summary: a {WORD} text\n"),
    ],
)
def test_texts_that_people_read_are_checked(tmp_path: Path, file: str, text: str) -> None:
    assert found(tmp_path, file, text) == [(1, WORD)]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("controller/a.py", f"{WORD} = 1\n"),
        ("tests/a.py", f"def test_a_{WORD}_text() -> None: ...\n"),
        ("tests/data/a.md", f"A {WORD} text.\n"),
        ("CHANGELOG.md", f"| `{WORD}` | `any` | `event` |\n"),
        ("README.md", f"{WORD}s\n"),
    ],
)
def test_names_quotations_and_other_words_are_not_checked(tmp_path: Path, file: str, text: str) -> None:
    assert found(tmp_path, file, text) == []


def test_a_phrase_over_the_end_of_a_line_has_its_first_line(tmp_path: Path) -> None:
    phrase = "came to\n" + "nothing"
    assert found(tmp_path, "controller/a.py", f'"""A title.\n\nA removal {phrase}.\n"""\n') == [
        (3, phrase.replace("\n", " "))
    ]

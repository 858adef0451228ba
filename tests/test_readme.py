"""The README is true: its tables are those of the code, and every command, link and file in it exists."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

import controller
from controller.cli.main import imagectl
from controller.plan.verdict.verdict import Reason
from deploy.local import readme

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *(
        page
        for folder in ("controller", "deploy", "manifests", "policies", "tests")
        for page in (ROOT / folder).rglob("*.md")
    ),
]
ALL_TEXT = "\n".join(page.read_text() for page in PAGES)
_INSIDE = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([\w-]+))?\)")


@pytest.mark.parametrize("page", readme.PAGES)
def test_generated_tables_are_up_to_date(page: str) -> None:
    text = (ROOT / page).read_text()
    assert readme.regenerated(page, text) == text, "make readme"


@pytest.mark.parametrize("folder", ["controller", "deploy", "manifests", "policies", "tests"])
def test_every_top_level_folder_has_a_page_that_the_readme_links_to(folder: str) -> None:
    assert f"]({folder}/README.md)" in TEXT


def test_every_file_and_folder_in_the_map_exists() -> None:
    named = re.findall(r"[\w/]+\.py", controller.__doc__ or "")
    assert [path for path in named if not (ROOT / "controller" / path).exists()] == []


def test_it_has_every_verdict_in_the_order_of_the_checks() -> None:
    assert re.findall(r"^\| `([A-Z_]+)` \|", TEXT, re.MULTILINE) == [reason.value for reason in Reason]


def test_it_has_every_command() -> None:
    assert [path for path, _ in _all(imagectl, "imagectl") if not _is_told(path)] == []


def test_every_option_in_it_exists() -> None:
    documented = {
        option for line in re.findall(r"imagectl [^`\n]*", ALL_TEXT) for option in re.findall(r"--[a-z-]+", line)
    }
    commands = (imagectl, *(command for _, command in _all(imagectl, "")))
    options = {option for command in commands for each in command.params for option in each.opts}
    assert documented - options == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_exists(page: Path) -> None:
    for path, anchor in _INSIDE.findall(page.read_text()):
        target = (page.parent / path) if path else page
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target.read_text()), anchor


def test_every_make_target_in_it_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|    )make ([a-z-]+)", ALL_TEXT)) <= targets


def test_every_file_of_this_project_that_it_names_exists() -> None:
    named = re.findall(r"`((?:controller|deploy|manifests|tests)/[\w./-]+)`", ALL_TEXT)
    assert [path for path in named if not (ROOT / path).exists()] == []


def _all(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    """Every command with its words."""
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    children = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [each for name, child in children if child and not child.hidden for each in _all(child, f"{path} {name}")]


def _is_told(path: str) -> bool:
    """True if the command is in the README, alone or in a group, as in `imagectl get images`, `policies`."""
    group, _, name = path.rpartition(" ")
    return f"`{path}" in TEXT or re.search(rf"`{group} \w+`[^|]*`{name}`", TEXT) is not None


def _anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

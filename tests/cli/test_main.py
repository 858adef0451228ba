"""The command table: help, mistakes, exit codes, and what is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from controller.cli import main
from controller.cli.main import COMMANDS, imagectl
from tests.cli.conftest import Imagectl

_SLOW = ("docker", "requests", "urllib3", "prometheus_client", "watchdog", "tenacity", "yaml", "waitress", "ssl")


def commands() -> list[tuple[str, ...]]:
    """Every command and every command of a group."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = imagectl.get_command(click.Context(imagectl), name)
        inner = list(command.commands) if isinstance(command, click.Group) else []
        found += [(name,), *((name, each) for each in inner)]
    return found


@pytest.mark.parametrize("command", [(), *commands()], ids=" ".join)
def test_every_command_has_a_page_of_help(imagectl: Imagectl, command: tuple[str, ...]) -> None:
    said = imagectl(*command, "--help")
    assert said.code == 0
    assert said.out.startswith("Usage: imagectl")
    assert "-h, --help" in said.out


_WITH_EXAMPLES = ("run", "plan", "explain", "get", "get images", "get policies", "get removals", "health", "completion")


@pytest.mark.parametrize("command", [each.split() for each in _WITH_EXAMPLES], ids=" ".join)
def test_help_shows_by_examples(imagectl: Imagectl, command: list[str]) -> None:
    said = imagectl(*command, "--help")
    assert "Examples:" in said.out
    assert f"imagectl {' '.join(command)}" in said.out


def test_help_tells_where_each_setting_may_stand(imagectl: Imagectl) -> None:
    page = " ".join(imagectl("run", "--help").out.split())
    assert "--settle TIME Nothing goes so soon after a sign of life. [default: 10m] [env: IMAGECTL_SETTLE]" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exlain", "x"), "there is no command exlain (did you mean explain?)"),
        (("get", "image"), "Did you mean 'images'?"),
        (("get", "images", "--selecter", "x"), "'--selector'"),
        (("plan", "--exitcode"), "'--exit-code'"),
    ],
)
def test_a_misspelt_command_or_option_is_told_with_the_nearest_one(
    imagectl: Imagectl, arguments: tuple[str, ...], message: str
) -> None:
    said = imagectl(*arguments)
    assert said.code == 2
    assert message in said.err


def test_a_mistake_in_a_setting_is_one_line_and_no_traceback(imagectl: Imagectl) -> None:
    said = imagectl("get", "images", "--resync", "soon")
    assert said.code == 2
    assert said.err == "imagectl: --resync: 'soon': write a duration as 90s, 5m, 2h or 1d\n"


def test_an_engine_that_is_not_there_is_exit_code_3(imagectl: Imagectl, tmp_path: Path) -> None:
    said = imagectl("plan", "--docker-host", f"unix://{tmp_path}/nothing.sock")
    assert said.code == 3
    assert said.err.startswith("imagectl: ")
    assert len(said.err.splitlines()) == 1


def run_apart(node: Path, *arguments: str, after: str = "") -> str:
    """A command in a process of its own, and what is printed after it."""
    script = f"from controller.cli import main\nmain.run({list(arguments)!r})\n{after}"
    environment = {"IMAGECTL_LEDGER": str(node / "ledger.db"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("get", "images"),
        ("get", "images", "-l", "verdict=DUE"),
        ("get", "policies"),
        ("get", "removals"),
        ("get", "removals", "--summary"),
        ("explain", "redis:1.1"),
        ("version",),
        ("--help",),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_who_only_reads_need_not_wait_for_slow_libraries(node: Path, command: tuple[str, ...]) -> None:
    after = f"import sys\nprint('imported:', *(name for name in {_SLOW!r} if name in sys.modules))"
    assert run_apart(node, *command, after=after).splitlines()[-1].strip() == "imported:"


@pytest.mark.parametrize("command", [("get", "images"), ("explain", "redis:1.1")], ids=" ".join)
def test_who_only_reads_needs_no_planner(node: Path, command: tuple[str, ...]) -> None:
    after = "import sys\nprint('imported:', *(n for n in sys.modules if n.startswith('controller.plan.planner')))"
    assert run_apart(node, *command, after=after).splitlines()[-1].strip() == "imported:"


def test_who_has_read_enough_of_our_output_is_no_error(node: Path) -> None:
    command = f"{sys.executable} -m controller get images --ledger {node}/ledger.db 2>&1 | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("REFERENCE")
    assert "Traceback" not in done.stdout + done.stderr


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "controller", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("imagectl ")


def test_a_command_that_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise click.Abort

    monkeypatch.setattr(main.imagectl, "main", interrupted)
    assert main.run(["version"]) == 1
    assert capsys.readouterr().err == "imagectl: interrupted\n"

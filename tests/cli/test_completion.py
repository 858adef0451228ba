"""Completion, in the shells themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.completion import SHELLS
from controller.cli.main import COMMANDS


@pytest.fixture
def environment(node: Path, tmp_path: Path) -> dict[str, str]:
    """With `imagectl` in the path, and the ledger of the sample node."""
    program = tmp_path / "imagectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m controller "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}:/usr/bin:/bin", "IMAGECTL_LEDGER": f"{node}/ledger.db", "HOME": str(tmp_path)}


def in_shell(environment: dict[str, str], shell: str, script: str) -> list[str]:
    done = subprocess.run(
        [shell, "-c", script], env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def completed_by_bash(environment: dict[str, str], line: str) -> list[str]:
    """The completions that bash offers for its last word."""
    script = f"""
        source <(imagectl completion bash)
        COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}} COMPREPLY=()
        COMP_LINE={line!r}; COMP_POINT=${{#COMP_LINE}}
        $(complete -p imagectl | sed 's/.*-F \\([^ ]*\\).*/\\1/') imagectl
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return in_shell(environment, "bash", script)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("imagectl ex", ["explain"]),
        ("imagectl get po", ["policies"]),
        ("imagectl get images --sel", ["--selector"]),
        ("imagectl plan -o ", ["table", "wide", "json", "yaml", "name"]),
        ("imagectl explain acme/tele", [f"acme/telemetry:1.{n}" for n in range(5)]),
        ("imagectl explain acme/telemetry:1.", [f"1.{n}" for n in range(5)]),
        ("imagectl get policies s", ["services", "site-lyon", "spring-cleaning"]),
        ("imagectl get images -l verdict=NO_", ["NO_RULE"]),
        ("imagectl get images -l document=s", ["services", "site-lyon", "spring-cleaning"]),
        ("imagectl plan -l document=ag", ["agent"]),
        ("imagectl get images -l verdict=DUE,document=to", ["toolbox"]),
        ("imagectl get images -l verdict=DUE,ori", ["DUE,origin="]),
        ("imagectl get images --sort-by s", ["size"]),
        ("imagectl get removals --sort-by o", ["outcome"]),
        ("imagectl plan --usage a", ["any", "agent"]),
        ("imagectl run --log-level ", ["debug", "info", "warning", "error"]),
        ("imagectl explain nonsense", [""]),
    ],
)
def test_bash_completes_commands_options_references_and_documents(
    environment: dict[str, str], line: str, offered: list[str]
) -> None:
    assert completed_by_bash(environment, line) == offered


@pytest.mark.needs_tools
def test_fish_completes_references_and_commands_with_their_help(environment: dict[str, str]) -> None:
    source = "imagectl completion fish | source; "
    assert in_shell(environment, "fish", source + 'complete -C "imagectl explain acme/telemetry:1."') == [
        f"acme/telemetry:1.{n}" for n in range(5)
    ]
    commands = in_shell(environment, "fish", source + 'complete -C "imagectl ex"')
    assert commands == [f"explain\t{COMMANDS['explain'][1]}"]


@pytest.mark.needs_tools
def test_zsh_takes_the_script_and_gets_references(environment: dict[str, str]) -> None:
    script = """
        autoload -Uz compinit && compinit -u -D
        source <(imagectl completion zsh)
        (( $+functions[_imagectl_completion] )) && print loaded
        COMP_WORDS='imagectl explain acme/telemetry:1.4' COMP_CWORD=2 _IMAGECTL_COMPLETE=zsh_complete imagectl
    """
    assert in_shell(environment, "zsh", script)[:3] == ["loaded", "plain", "acme/telemetry:1.4"]


@pytest.mark.parametrize("shell", SHELLS)
def test_without_a_ledger_nothing_is_completed_and_nothing_is_printed(
    environment: dict[str, str], shell: str, tmp_path: Path
) -> None:
    nothing = environment | {"IMAGECTL_LEDGER": f"{tmp_path}/nothing.db", "IMAGECTL_LEDGR": "x"}
    ask = f"COMP_WORDS='imagectl explain ' COMP_CWORD=2 _IMAGECTL_COMPLETE={shell}_complete imagectl"
    assert "".join(in_shell(nothing, "bash", ask)) == ""

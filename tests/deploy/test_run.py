"""deploy/local/run.sh (`make run`), with stand-ins for the environment and the controller."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.deploy.conftest import SOURCE
from tests.deploy.waiting import eventually

_HANDLES_SIGNALS = """import signal
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("stopped", file=sys.stderr)))"""
_IMAGECTL = """#!/usr/bin/env python3
import sys, time
open("calls", "a").write(" ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "run":
    {handles}
    open("started", "w").close()
    time.sleep(60)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The scripts, and programs that do nothing."""
    for folder in ("deploy/local", "policies"):
        shutil.copytree(SOURCE / folder, tmp_path / folder)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").write_text("#!/bin/sh\n")
    (tmp_path / ".venv/bin/python").chmod(0o755)
    return tmp_path


def run(tree: Path, handles: str, *, at_work: str) -> int:
    """The exit code after Ctrl-C."""
    program = tree / ".venv/bin/imagectl"
    program.write_text(_IMAGECTL.format(handles=handles))
    program.chmod(0o755)
    environment = os.environ | {"DOCKER_HOST": "unix:///nowhere"}
    # A shell in the background ignores SIGINT, and what it starts inherits that.
    command = ["env", "--default-signal=INT", str(tree / "deploy/local/run.sh")]
    running = subprocess.Popen(command, cwd=tree, env=environment, start_new_session=True, stderr=subprocess.PIPE)
    try:
        eventually(lambda: (tree / "started").exists())
        subprocess.run(["bash", "-c", at_work], cwd=tree, check=True)
        os.killpg(running.pid, signal.SIGINT)
        running.communicate(timeout=60)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    return running.returncode


@pytest.mark.parametrize("handles", [_HANDLES_SIGNALS, "pass"], ids=["runs", "starts"])
def test_ctrl_c_is_a_good_end_also_while_the_controller_starts(tree: Path, handles: str) -> None:
    assert run(tree, handles, at_work="true") == 0
    assert not (tree / ".trial").exists()


def test_only_the_policy_of_the_samples_is_in_force(tree: Path) -> None:
    """The README has a reader write policies of their own into the same folder."""
    shutil.copy(tree / "policies/samples.yaml", tree / "policies/own.yaml")
    run(tree, _HANDLES_SIGNALS, at_work="ls .trial/policies >in-force")
    assert (tree / "in-force").read_text() == "samples.yaml\n"
    calls = (tree / "calls").read_text().splitlines()
    assert [call for call in calls if f"--policies {tree}/.trial/policies" not in call and "get" not in call] == []

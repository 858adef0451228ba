"""The memory of a running controller. `make bench` measures it against its limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.bench import fast_engine
from tests.bench.memory import running

_KIB_AN_IMAGE = 6.0
_IMPORTS = """
import sys, controller.cli.run, controller.daemon.wiring, controller.daemon.http.app, controller.daemon.http.server
print(*sys.modules)
"""


def test_an_image_takes_little_memory_also_while_all_images_are_shown(tmp_path: Path) -> None:
    few, many = (_peak_mib(tmp_path, images) for images in (10, 1_010))
    assert (many - few) * 1_024 / 1_000 < _KIB_AN_IMAGE


def _peak_mib(folder: Path, images: int) -> float:
    with fast_engine.running(folder, images) as host, running(host) as controller:
        for path in ("/metrics", "/", "/api/status"):
            assert controller.get(path) == 200
        return controller.mib("VmHWM")


def test_a_controller_does_not_import_what_only_commands_and_messages_need() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "docker" in loaded
    assert not {"tenacity", "asyncio", "difflib", "click.shell_completion"} & loaded
    assert not {
        module
        for module in loaded
        if module.startswith(("controller.adapters.exchange", "controller.daemon.page.page"))
    }

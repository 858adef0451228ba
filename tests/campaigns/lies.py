"""`imagectl run` with all lies of the lying engine in random order: `python -m tests.campaigns.lies [ROUNDS]`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.adapters.engine.unix_server import serving
from tests.fakes import a_document, a_removal
from tests.lying_engine import APP, LIES, USED, LyingEngine, an_image

_EACH_SECONDS = 3.0


def run(rounds: int, folder: Path) -> tuple[int, int, str]:
    """Number of lies, whether the image in use was removed, and the first failure."""
    liar, count = LyingEngine(), 0
    policies = folder / "policies"
    policies.mkdir()
    (policies / "all.json").write_text(json.dumps(a_document(a_removal())))
    places = ["--docker-host", f"unix://{folder}/s", "--ledger", f"{folder}/ledger.db", "--policies", str(policies)]
    command = [sys.executable, "-m", "controller", "run", *places, "--settle", "0", "--resync", "1s"]
    with serving(folder / "s", liar), (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "--listen", "127.0.0.1:0"], stderr=log)
        try:
            lies = [lie for lie in LIES if not lie.is_limited] * rounds
            random.shuffle(lies)
            for lie in lies:
                liar.images.setdefault(APP, an_image(APP, "app:1"))
                liar.lie, count = lie, count + 1
                time.sleep(_EACH_SECONDS)
                if process.poll() is not None:
                    return count, USED not in liar.images, f"ended with {process.returncode} during: {lie}"
                if "Traceback" in (folder / "log").read_text():
                    return count, USED not in liar.images, f"a traceback during: {lie}"
                liar.lie = None
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
            return count, USED not in liar.images, f"ended with {code} after SIGTERM" if code else ""
        finally:
            liar.ended.set()
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


def main() -> int:
    """Run, and print one closing line; returns an exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with TemporaryDirectory() as folder:
        count, lost, trouble = run(rounds, Path(folder))
    print(f"lies: {count} to one process, {int(lost)} images in use removed; {trouble or 'it survived all'}")
    return int(bool(trouble or lost))


if __name__ == "__main__":
    sys.exit(main())

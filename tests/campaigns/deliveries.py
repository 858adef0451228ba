"""A delivery from git that is killed at any moment, and then runs once more: `python -m tests.campaigns.deliveries
[KILLS] [SEED]`.

After each kill the folder has a whole tree, and the next run delivers the last commit.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deploy.git import ALONE, DELIVER, Delivery, Repository

_LONGEST_SECONDS = 0.5


def killed(delivery: Delivery, seconds: float) -> bool:
    """Run the delivery and all its processes for that long, then kill them; False if it had ended."""
    process = subprocess.Popen(
        [DELIVER, delivery.folder],
        env={**ALONE, **delivery.settings},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(seconds)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    with (delivery.folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # The last of its processes has ended.
    return was_running


def run(kills: int, seed: int, folder: Path) -> tuple[int, list[str]]:
    """How often a delivery was killed, and what went wrong."""
    chance, count, troubles = random.Random(seed), 0, list[str]()
    repository = Repository.made(folder / "repository", {"common/first.yaml": "label: first\n"})
    (folder / "delivered").mkdir()
    delivery = Delivery(folder / "delivered", {"POLICIES_REPOSITORY": f"file://{repository.folder}"})
    delivery.run()
    while count < kills:
        files = {f"common/{number}.yaml": f"label: {chance.random()}\n" for number in range(20)}
        commit = repository.commit(files)
        count += killed(delivery, chance.uniform(0.0, _LONGEST_SECONDS))
        if len(delivery.files) not in (1, 21):
            troubles.append(f"kill {count}: a tree with {len(delivery.files)} files is in force")
        done = delivery.run()
        if done.returncode != 0 or delivery.commit != commit:
            troubles.append(f"kill {count}: the next run does not deliver ({done.returncode}): {done.stderr.strip()}")
            (delivery.folder / "trouble").unlink(missing_ok=True)
    return count, troubles


def main() -> int:
    """Run, and print one closing line; returns an exit code."""
    kills, seed = (int(text) for text in (*sys.argv[1:], *("500", "1")[len(sys.argv) - 1 :]))
    with TemporaryDirectory() as folder:
        count, troubles = run(kills, seed, Path(folder))
    for trouble in troubles:
        print(trouble, file=sys.stderr)
    print(f"deliveries: {count} killed (seed {seed}), {len(troubles)} that the next run did not mend")
    return int(bool(troubles))


if __name__ == "__main__":
    sys.exit(main())

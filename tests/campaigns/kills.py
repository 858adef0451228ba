"""`python -m tests.campaigns.kills --kills N --engine KIND`: kills a controller at random moments of its removals.

After the last kill one pass runs to its end. Then the history, the totals and the engine must agree: every image that
is gone was counted once as removed, with any number of names, and nothing else is gone.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import docker

from controller.adapters.ledger.history import HistoryReader
from controller.image.reference import image_id
from controller.plan.verdict.removal import Outcome
from tests.with_docker import images
from tests.with_docker.private_engine import free_address, start_engine

_POLICY = """\
label: campaign
enabled: true
image_policy:
  removal:
    - {image_name: "kill.local/*:*", delete_after_minutes: 0, agent_downloaded_only: false}
"""
_IMAGES_A_KILL = 6
_LONGEST_LIFE_SECONDS = 6.0
_PATIENCE_SECONDS = 600


class Campaign:
    """One engine, one ledger, and a controller that is killed repeatedly."""

    def __init__(self, host: str, api: docker.APIClient, folder: Path, seed: int) -> None:
        self._host = host
        self._api = api
        self._folder = folder
        self._random = random.Random(seed)
        self._loaded: set[str] = set()
        self._kept = images.load_image(api, "kept.local/app:1", variant="kept", layers=())
        (folder / "policies").mkdir()
        (folder / "policies" / "campaign.yaml").write_text(_POLICY)

    def kill_once(self, number: int) -> bool:
        """Load some images, every other one with two names, and kill a controller that removes them. Was it alive?"""
        for each in range(_IMAGES_A_KILL):
            name = f"kill.local/app:{number}-{each}"
            loaded = images.load_image(self._api, name, variant=name, layers=())
            self._loaded.add(str(image_id(loaded)))
            if each % 2:
                images.tag(self._api, name, f"kill.local/again:{number}-{each}")
        process = self._start()
        try:
            process.wait(self._random.uniform(0.5, _LONGEST_LIFE_SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return True
        return False

    def faults(self) -> Iterator[str]:
        """What does not agree after a last run to the end."""
        for _ in range(2):  # The second one writes the figures of the first.
            self._start().wait(_PATIENCE_SECONDS)
        there = {str(image_id(row["Id"])) for row in self._api.images(all=True)}
        if str(image_id(self._kept)) not in there:
            yield "the image that no rule covers is gone"
        reader = HistoryReader(self._folder / "ledger.db")
        try:
            history, totals = reader.removals(), reader.totals()
        finally:
            reader.close()
        removed = Counter(str(each.intent.image) for each in history if each.outcome is Outcome.REMOVED)
        gone = self._loaded - there
        yield from (f"{image} was removed {times} times" for image, times in removed.items() if times > 1)
        yield from (f"{image} is gone and not in the history" for image in gone - removed.keys())
        yield from (f"{image} is in the history and still there" for image in removed.keys() & there)
        yield from (f"an unexpected deletion: {each.message}" for each in history if each.outcome is Outcome.UNEXPECTED)
        counted = Counter(each.outcome for each in history)
        for total in totals:
            if counted[total.outcome] != total.removals:
                yield f"{total.outcome}: {counted[total.outcome]} in the history, {total.removals} in the totals"

    def _start(self) -> subprocess.Popen[bytes]:
        folder = self._folder
        options = ["--policies", folder / "policies", "--ledger", folder / "ledger.db", "--docker-host", self._host]
        command = [sys.executable, "-m", "controller", "run", "--once", "--settle", "0s", *map(str, options)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--engine", default="debian", help="a kind of deploy/local/engine.sh")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    engine = start_engine(wanted.engine, free_address())
    try:
        with TemporaryDirectory() as folder:
            campaign = Campaign(engine.host, engine.client(), Path(folder), wanted.seed)
            killed = sum(campaign.kill_once(number) for number in range(wanted.kills))
            faults = list(campaign.faults())
    finally:
        engine.drop()
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{wanted.engine}: {wanted.kills} runs, {killed} killed, {len(faults)} faults (seed {wanted.seed})")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

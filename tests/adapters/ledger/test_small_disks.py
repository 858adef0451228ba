"""A sample of the campaign on small and full disks, `python -m tests.campaigns.disks`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.disks import Lives, faults_with_full_writes, lives_on, on_tmpfs, writes_of_a_life

_SAMPLES = 24


@pytest.mark.needs_root
@pytest.mark.parametrize("kib", [200, 300, 700, 2_500, 3_000, 3_500, 4_000])
def test_on_a_disk_of_any_size_all_due_images_are_removed_at_both_starts(kib: int) -> None:
    (lives,) = on_tmpfs([kib])
    assert lives.is_good, lives


def test_a_size_is_good_only_if_every_removal_is_made_and_recorded(tmp_path: Path) -> None:
    assert lives_on(tmp_path, 0).is_good
    assert not Lives(200, 39, 0, 39).is_good
    assert not Lives(200, 39, 39, 39).is_good


@pytest.mark.parametrize("writes", [1, 1_000_000])
def test_a_write_that_finds_no_space_loses_nothing(writes: int) -> None:
    total = writes_of_a_life()
    for first in range(1, total, total // _SAMPLES):
        assert list(faults_with_full_writes(first, writes)) == [], f"write {first} of {total}"

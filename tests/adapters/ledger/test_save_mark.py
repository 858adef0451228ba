"""The mark of the last save: by it an older copy of the ledger that is put back shows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.ledger.ledger import Ledger
from controller.adapters.ledger.save_mark import SaveMark, run_folder
from controller.plan.memory.engines import memory_of_engine
from controller.plan.memory.idleness import Usage, idle_since
from controller.plan.memory.ledger_clock import LedgerClock
from controller.plan.memory.memory import AwayEngine, Memory
from tests.builders import DAY, a_memory, a_record, an_engine, an_image, an_instant, an_observation

APP, BASE = an_image("app:1"), an_image("base:1")


def memory_at(uptime: float, boot: str = "boot 1") -> Memory:
    """One image is idle for a day, one is in use."""
    seen = an_observation([APP, BASE], at=an_instant(uptime, boot=boot))
    now = 2 * DAY + uptime
    records = {APP.id: a_record(5.0, last_used=now - DAY), BASE.id: a_record(5.0, last_used=0.0)}
    return replace(a_memory(seen, records), clock=LedgerClock(now, seen.at))


def opened(file: Path) -> Ledger:
    return Ledger(file, mark=SaveMark(file.parent / "run", file))


def saved(file: Path, *memories: Memory) -> None:
    (file.parent / "run").mkdir(exist_ok=True)
    ledger = opened(file)
    for memory in memories:
        ledger.save(memory)
    ledger.close()


def copied(file: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for each in file.parent.glob("ledger.db*"):
        shutil.copy(each, to / each.name)


@pytest.mark.parametrize("later", [memory_at(1_060.0), memory_at(20.0, "boot 2")])
def test_after_an_older_copy_was_put_back_all_images_count_as_used_now(tmp_path: Path, later: Memory) -> None:
    file = tmp_path / "ledger.db"
    saved(file, memory_at(1_000.0))
    copied(file, tmp_path / "backup")
    saved(file, later)
    copied(tmp_path / "backup" / "ledger.db", tmp_path)
    ledger = opened(file)
    memory = ledger.load()
    ledger.close()
    assert [idle_since(memory.records[APP.id], usage) for usage in Usage] == [memory.clock.seconds] * 2
    assert memory.records[BASE.id].last_used == 0.0
    assert memory.gap == "an older copy of the ledger was put back"
    again = opened(file)
    assert again.load().records == memory.records
    again.close()


def test_images_of_an_engine_that_was_away_then_count_as_used_at_its_return(tmp_path: Path) -> None:
    """Since the copy it may have been back, and its images used."""
    file, other = tmp_path / "ledger.db", replace(an_engine(), identity="another engine")
    away = AwayEngine(DAY, an_observation([APP], engine=other), {APP.id: a_record(5.0, last_used=6.0)})
    saved(file, replace(memory_at(1_000.0), away={other.identity: away}))
    copied(file, tmp_path / "backup")
    saved(file, memory_at(1_060.0))
    copied(tmp_path / "backup" / "ledger.db", tmp_path)
    ledger = opened(file)
    back = memory_of_engine(ledger.load(), an_observation([APP], engine=other), 3 * DAY)
    ledger.close()
    assert idle_since(back.records[APP.id], Usage.ANY) == 3 * DAY


def test_the_last_ledger_is_none(tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    saved(file, memory_at(1_000.0), memory_at(1_060.0))
    ledger = opened(file)
    assert ledger.load() == memory_at(1_060.0)
    ledger.close()


def test_without_a_folder_or_with_a_damaged_mark_nothing_is_claimed(tmp_path: Path) -> None:
    last = an_instant()
    assert not SaveMark(None, tmp_path / "ledger.db").is_later_than(last)
    mark = SaveMark(tmp_path, tmp_path / "ledger.db")
    mark.write(last)
    (file,) = tmp_path.iterdir()
    for text in ("", "[]", '{"boot": 1}', "\xff"):
        file.write_text(text)
        assert not mark.is_later_than(last)


def test_marks_of_two_ledgers_are_apart_and_links_are_not_followed(tmp_path: Path) -> None:
    first, second = (SaveMark(tmp_path, tmp_path / name) for name in ("a.db", "b.db"))
    first.write(an_instant(2_000.0))
    assert not second.is_later_than(an_instant())
    (file,) = tmp_path.iterdir()
    target = tmp_path / "target"
    file.with_suffix(".new").symlink_to(target)
    first.write(an_instant(3_000.0))
    assert not target.exists()
    assert first.is_later_than(an_instant(2_999.0))


def test_the_folder_is_that_of_systemd_or_of_the_user(tmp_path: Path) -> None:
    named, user = tmp_path / "named", tmp_path / "user"
    user.mkdir()
    assert run_folder({"RUNTIME_DIRECTORY": f"{named}:{tmp_path}"}) == named
    assert run_folder({"RUNTIME_DIRECTORY": str(tmp_path / "missing" / "folder")}) is None
    link = tmp_path / "link"  # as systemd makes it for a dynamic user
    link.symlink_to(named)
    assert run_folder({"RUNTIME_DIRECTORY": str(link)}) == link

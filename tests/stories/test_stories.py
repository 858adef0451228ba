"""Every story, run on the fake engine of every kind that it applies to."""

from __future__ import annotations

import json
import re

import pytest

from tests.fake_engine import Kind
from tests.host import a_host
from tests.stories.runner import StoryRunner
from tests.stories.story import FOLDER, Story, stories

ROOT = FOLDER.parents[1]
STORIES = list(stories())
TELLINGS = [pytest.param(story, kind, id=f"{story.name}-{kind}") for story in STORIES for kind in story.kinds]
_TABLES = (FOLDER / "DIFFERENCES.md").read_text()
DIFFERENT = re.findall(r"^\| ([A-Z]+-?\d+) \| ([^|]+) \| ([^|]+) \|$", _TABLES, re.MULTILINE)
SHOWN = re.findall(r"^\| ([A-Z]+-?\d+) \| (`[^|]+`) \|$", _TABLES, re.MULTILINE)


@pytest.mark.parametrize(("story", "kind"), TELLINGS)
def test_a_story_of_a_node(story: Story, kind: Kind) -> None:
    with a_host(kind, story.conditions) as host:
        StoryRunner(host, story).run_story()


def test_each_behaviour_of_other_tools_has_a_story_or_a_test_or_is_a_difference() -> None:
    behaviours = [behaviour["id"] for behaviour in json.loads((ROOT / "tests/data/peers.json").read_text())]
    covered = [source for story in STORIES for source in story.sources]
    covered += [number for number, _, _ in DIFFERENT] + [number for number, _ in SHOWN]
    assert len(set(behaviours)) == 165
    assert sorted(covered) == sorted(behaviours)


def test_every_test_that_shows_a_behaviour_exists() -> None:
    for test in (test for _, tests in SHOWN for test in tests.split(", ")):
        file, _, name = test.strip("`").partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(), test


def test_every_story_says_what_it_shows() -> None:
    assert all(story.sentence.endswith(".") for story in STORIES)

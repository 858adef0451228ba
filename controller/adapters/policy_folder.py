"""The policy folder: all its documents, read anew each time; only content that has changed is parsed again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from controller.adapters.policy_files import FileContent, Listing, policy_files_below, read_policy_file
from controller.adapters.policy_watch import PolicyWatch
from controller.policy.parse import Parsed, parse_documents, refuse_duplicates
from controller.policy.reading import Reading

_SCANS = 5
"""A folder that changes while it is read is read again, so often; what is missing then is believed to be gone."""


class PolicyFolder:
    """Reads the folder of that name, wherever it leads at the moment."""

    def __init__(self, folder: Path, ring: Callable[[], None] | None = None) -> None:
        """`ring` is called on changes; without it nothing is watched."""
        self._folder = folder
        self._watch = PolicyWatch(folder, ring) if ring else None
        self._parsed: dict[tuple[str, str], Parsed] = {}

    @property
    def is_watched(self) -> bool:
        """Do changes ring, or does only the clock?"""
        return self._watch is not None and self._watch.is_up

    def read(self) -> Reading:
        """Everything in the folder as it is now; never raises."""
        if self._watch:
            self._watch.follow()  # Before the scan: what changes after it rings.
        try:
            listing, contents = self._scan()
        except OSError as error:
            self._parsed = {}
            return Reading(str(self._folder), lost=f"{self._folder} cannot be read: {error.strerror}")
        parsed = [self._parse(content) for content in contents if content.data is not None]
        self._parsed = {(each.file, sha): each for each, sha in parsed}
        files = refuse_duplicates([each for each, _ in parsed])
        problems = (
            *listing.problems,
            *(content.problem for content in contents if content.problem),
            *(problem for file in files for problem in file.problems),
        )
        lost = "" if contents else f"{self._folder} holds no policy documents"
        documents = tuple(document for file in files for document in file.documents)
        return Reading(str(self._folder), documents, tuple(sorted(problems)), lost, _revision(self._folder))

    def stop(self) -> None:
        """Watch no longer."""
        if self._watch:
            self._watch.stop()

    def _scan(self) -> tuple[Listing, list[FileContent]]:
        """A listing and the contents that go with it: if something went away in between, both are made again."""
        for left in reversed(range(_SCANS)):
            listing = policy_files_below(self._folder)
            contents = [read_policy_file(file) for file in listing.files]
            if left == 0 or not (listing.has_changed_meanwhile or any(content.is_gone for content in contents)):
                break
        return listing, contents

    def _parse(self, content: FileContent) -> tuple[Parsed, str]:
        key = (content.file.shown, content.sha256)
        known = self._parsed.get(key)
        return known or parse_documents(content.data or b"", content.file.shown, content.file.name), content.sha256


def _revision(folder: Path) -> str:
    """What was delivered, by the name of what a swapped symlink points to: a commit with git-sync, a time in a
    volume.
    """
    for link in (folder, folder / "..data"):
        if link.is_symlink():
            return link.readlink().name.lstrip(".")
    return ""

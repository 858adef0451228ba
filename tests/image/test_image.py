"""The names by which an image can be removed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controller.image.image import Image
from controller.image.reference import image_id, reference_from_engine

A, B = ("sha256:" + digit * 64 for digit in "ab")


def an_image(tags: list[str], digests: list[str], named_digests: Sequence[str] = ()) -> Image:
    return Image(
        id=image_id(A),
        tags=tuple(map(reference_from_engine, tags)),
        digests=tuple(map(reference_from_engine, digests)),
        parent=None,
        size_bytes=1,
        keep=False,
        named_digests=tuple(map(reference_from_engine, named_digests)),
    )


@pytest.mark.parametrize(
    ("tags", "digests", "removable"),
    [
        (["a:1", "a:2", "b:1"], [], ["a:1", "a:2", "b:1"]),
        (["a:1"], [f"a@{A}"], ["a:1"]),
        (["a:1"], [f"a@{A}", f"b@{B}"], ["a:1", f"b@{B}"]),
        (["a:1"], [f"docker.io/library/a@{A}"], ["a:1"]),
        ([], [f"a@{A}", f"a@{B}"], [f"a@{A}", f"a@{B}"]),
        ([], [], []),
    ],
)
def test_an_image_is_removed_by_its_tags_and_by_digests_of_repositories_without_one(
    tags: list[str], digests: list[str], removable: list[str]
) -> None:
    assert [reference.text for reference in an_image(tags, digests).removable_references] == removable


@pytest.mark.parametrize(
    ("tags", "digests", "named", "removable"),
    [
        ([], [f"a@{A}", f"a@{B}"], [f"a@{B}"], [f"a@{B}"]),
        ([], [f"a@{A}", f"a@{B}", f"b@{A}"], [f"a@{B}"], [f"a@{B}", f"b@{A}"]),
        (["a:1"], [f"a@{A}", f"a@{B}"], [f"a@{B}"], ["a:1"]),
    ],
)
def test_a_digest_beside_one_that_is_a_name_is_no_name(
    tags: list[str], digests: list[str], named: list[str], removable: list[str]
) -> None:
    """Podman shows an image of a manifest list with the digest of the list and with its own."""
    assert [reference.text for reference in an_image(tags, digests, named).removable_references] == removable

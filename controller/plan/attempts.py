"""Removals that came to nothing: whether one still counts against another try, and whether it is worth telling."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from controller.image.image import Image
from controller.plan.memory import Attempt, AttemptKey
from controller.plan.observation import Observation
from controller.plan.removal import Removal


def situation_of(image: Image, seen: Observation) -> str:
    """Fingerprint of all that an engine may hold against a removal: the image, its names, its containers, its children.

    A setback counts only while this stays the same; an event alone changes nothing (Podman sends one for a refused
    delete).
    """
    names = sorted(name.canonical for name in (*image.tags, *image.digests))
    users = sorted(container.id for container in seen.users.get(image.id, ()))
    parts = (image.id, *names, "|", *users, "|", *sorted(seen.children.get(image.id, ())))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def is_news(removal: Removal, before: Mapping[AttemptKey, Attempt]) -> bool:
    """Is the outcome another one than last time, and so worth a line in the log and the history?"""
    last = before.get((removal.intent.image, removal.intent.reference))
    return removal.outcome.is_success or last is None or last.setback.value != removal.outcome.value

"""A fake Docker engine on a socket, with a few images, controlled by a test."""

from __future__ import annotations

import threading
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlparse

from tests.adapters.engine.unix_server import Handler

_LAYER = "sha256:" + "a" * 64
_INFO = {"ID": "fake", "Driver": "overlay2", "DockerRootDir": "/data", "DriverStatus": []}


class FakeDocker:
    """Images that no container uses; a test may keep any request waiting."""

    def __init__(self, *tags: str) -> None:
        self.tags = list(tags)
        self.requests: list[str] = []
        self.ended = threading.Event()
        self.refuses_events = False
        self._held: dict[str, tuple[threading.Event, threading.Event]] = {}

    def hold(self, request: str) -> tuple[threading.Event, threading.Event]:
        """Keep such a request waiting. Returns two events: it has arrived, and it may continue."""
        self._held[request] = came, go_on = threading.Event(), threading.Event()
        return came, go_on

    def __call__(self, handler: Handler) -> None:
        path = unquote(urlparse(handler.path).path)
        path = path if path == "/version" else path.partition("/v1.41")[2] or path
        request = f"{handler.command} {path}"
        self.requests.append(request)
        if held := self._held.get(request):
            held[0].set()
            held[1].wait()
        if path == "/events" and self.refuses_events:
            handler.answer({"message": "Forbidden"}, 403)
        elif path == "/events" and "until=" in handler.path:
            handler.answer([], 200)
        elif path == "/events":
            handler.begin_stream()
            self.ended.wait()
            handler.hang_up()
        else:
            handler.answer(*self._answer(handler.command, path))

    def _answer(self, command: str, path: str) -> tuple[Any, int]:
        if command == "DELETE":
            return self._delete(path.removeprefix("/images/"))
        if path.endswith("/history"):
            return [{"Size": 10}], 200
        if path.startswith("/images/") and path != "/images/json":
            return {"RootFS": {"Layers": [_LAYER]}}, 200
        answers: dict[str, Any] = {
            "/version": {"Version": "20.10.24", "ApiVersion": "1.41"},
            "/info": _INFO,
            "/images/json": [_row(tag) for tag in self.tags],
            "/containers/json": [],
            "/system/df": {"LayersSize": 10, "BuildCache": []},
        }
        return answers[path], 200

    def _delete(self, target: str) -> tuple[Any, int]:
        """Remove the image with this name or ID."""
        tag = next((tag for tag in self.tags if target in (tag, id_of(tag))), "")
        if not tag:
            return {"message": f"No such image: {target}"}, 404
        self.tags.remove(tag)
        layers = [] if self.tags else [{"Deleted": _LAYER}]  # All images share it.
        return [{"Untagged": tag}, {"Deleted": id_of(tag)}, *layers], 200


def _row(tag: str) -> dict[str, Any]:
    return {"Id": id_of(tag), "RepoTags": [tag], "RepoDigests": [], "ParentId": "", "Size": 10, "Labels": None}


def id_of(tag: str) -> str:
    """The ID of the image with this tag."""
    return f"sha256:{sha256(tag.encode()).hexdigest()}"

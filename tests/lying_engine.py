"""A fake container engine that gives false answers: a server on a Unix socket, and a table of lies.

Without a lie it has an image that is due (`app:1`) and one that a container uses (`used:1`), as Docker 20.10 has.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Any
from urllib.parse import unquote, urlparse

from tests.adapters.engine.unix_server import Handler


def an_id(word: str) -> str:
    return f"sha256:{sha256(word.encode()).hexdigest()}"


APP, USED, LAYER = an_id("app"), an_id("used"), an_id("layer")
CONTAINER = an_id("container").removeprefix("sha256:")
HEX = "a" * 64
TRAVERSAL = "sha256:../../../containers/abc?force=1"
DEEP = "[" * 200_000
HALF = "\ud800"


class Effect(Enum):
    """The possible effect of a lie."""

    FAILS = "the pass fails and says why; nothing is removed"
    NOTHING = "the pass succeeds: app:1 is removed"
    UNKNOWN = "the result of the removal is in doubt; the next honest pass finds out"
    KEEPS = "no name of app:1 is removed; the next honest pass removes them"
    WAITS = "events may be missing, so nothing is removed while the settle time runs"


class LyingEngine:
    """Answers truthfully, except requests of the current lie."""

    def __init__(self) -> None:
        self.images: dict[str, dict[str, Any]] = {
            APP: an_image(APP, "app:1"),
            USED: an_image(USED, "used:1"),
        }
        self.container = a_container()
        self.info: dict[str, Any] = {"ID": "liar", "Driver": "overlay2", "DockerRootDir": "/data", "DriverStatus": []}
        self.lie: Lie | None = None
        self.ended = threading.Event()
        self.requests: list[str] = []

    @property
    def deletes(self) -> list[str]:
        """The paths of all removal requests."""
        return [request.split()[1] for request in self.requests if not request.startswith("GET ")]

    def __call__(self, handler: Handler) -> None:
        self.requests.append(f"{handler.command} {handler.path}")
        path = unquote(urlparse(handler.path).path)
        path = path if path == "/version" else "/" + path.removeprefix("/v").partition("/")[2]
        operation = f"{handler.command} {path}"
        if self.lie and self.lie.is_about(operation):
            self.lie.reply(handler, self)
        elif path == "/events" and "until=" in handler.path:
            says("")(handler, self)
        elif path == "/events":
            handler.begin_stream()
            self.ended.wait()
            handler.hang_up()
        else:
            handler.answer(*self.honest(operation))

    def honest(self, operation: str) -> tuple[Any, int]:
        """The true answer, with its status."""
        command, _, path = operation.partition(" ")
        if command == "DELETE":
            return self._delete(path.removeprefix("/images/"))
        if path.endswith("/history"):
            return [{"Size": 10}], 200
        if path in ("/services", "/containers/json", "/images/json"):
            lists = {"/containers/json": [self.container], "/images/json": list(self.images.values())}
            return lists.get(path, []), 200
        answers: dict[str, Any] = {
            "/version": {"Version": "20.10.24", "ApiVersion": "1.41"},
            "/info": self.info,
            "/system/df": {"LayersSize": 20},
        }
        return answers.get(path) or {"Id": self._bearer(path), "RootFS": {"Layers": [LAYER]}}, 200

    def _bearer(self, path: str) -> str:
        """The ID of the image in `/images/NAME/json`."""
        name = path.removeprefix("/images/").removesuffix("/json")
        return next((key for key, row in self.images.items() if name in (key, *row["RepoTags"])), "")

    def _delete(self, target: str) -> tuple[Any, int]:
        for key, row in list(self.images.items()):
            if target in (key, *row["RepoTags"]):
                if key == USED:
                    return {"message": "conflict: container is using it"}, 409
                if target != key and len(row["RepoTags"]) > 1:
                    row["RepoTags"].remove(target)
                    return [{"Untagged": target}], 200
                del self.images[key]
                return [{"Untagged": target}, {"Deleted": key}], 200
        return {"message": f"No such image: {target}"}, 404


def an_image(key: str, *tags: str, **fields: Any) -> dict[str, Any]:
    row = {"Id": key, "RepoTags": list(tags), "RepoDigests": [], "ParentId": "", "Size": 10, "Labels": None}
    return {**row, **fields}


def a_container(**fields: Any) -> dict[str, Any]:
    row = {"Id": CONTAINER, "Names": ["/c"], "Image": "used:1", "ImageID": USED, "State": "running", "Labels": {}}
    return {**row, "Mounts": [], **fields}


Reply = Callable[[Handler, LyingEngine], None]


@dataclass(frozen=True)
class Lie:
    """A false answer to one kind of request."""

    name: str
    about: str
    """The operation, as `GET /images/json`; the path may end with `*`."""
    reply: Reply
    effect: Effect = Effect.FAILS
    is_swarm: bool = False
    is_containerd: bool = False
    is_named_twice: bool = False
    """The image that is due has two names: before one of them is removed, it is inspected."""
    is_limited: bool = False
    """The test lowers the limits of size and time."""

    def is_about(self, operation: str) -> bool:
        if self.about.endswith("*"):
            return operation.startswith(self.about[:-1])
        if self.about.startswith("*"):
            return operation.endswith(self.about[1:])
        return operation == self.about

    def __str__(self) -> str:
        return f"{self.about.partition(' ')[2]}: {self.name}"


# ── ways to answer ────────────────────────────────────────────────────────────────────────────────────────────────────


def says(body: str | bytes, status: int = 200, **headers: str) -> Reply:
    """These bytes, for any request."""
    data = body if isinstance(body, bytes) else body.encode(errors="surrogatepass")

    def reply(handler: Handler, engine: LyingEngine) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return reply


def row_with(honest: dict[str, Any], **fields: Any) -> Reply:
    """A list whose first row has these fields."""
    return says(json.dumps([{**honest, **fields}]))


def image_with(**fields: Any) -> Reply:
    return says(json.dumps([an_image(USED, "used:1"), an_image(APP, "app:1", **fields)]))


def image_written(field: str, text: str) -> Reply:
    """A field in JSON that Python would not write."""
    rows = json.dumps([an_image(USED, "used:1"), an_image(APP, "app:1", **{field: 424242})])
    return says(rows.replace("424242", text))


def without(field: str) -> Reply:
    row = an_image(APP, "app:1")
    del row[field]
    return says(json.dumps([an_image(USED, "used:1"), row]))


def cut(body: str) -> Reply:
    """The connection ends before the length that was announced."""

    def reply(handler: Handler, engine: LyingEngine) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) + 100))
        handler.end_headers()
        handler.wfile.write(body.encode())
        handler.hang_up()

    return reply


def endless(piece: bytes, begin: bytes = b"") -> Reply:
    """Bytes without end."""

    def reply(handler: Handler, engine: LyingEngine) -> None:
        handler.begin_stream()
        handler.send_chunk(begin) if begin else None
        while True:  # Until the client disconnects.
            handler.send_chunk(piece)

    return reply


def dripping(handler: Handler, engine: LyingEngine) -> None:
    """Single bytes with pauses."""
    handler.begin_stream()
    while not engine.ended.wait(0.02):
        handler.send_chunk(b" ")


def dripping_header(handler: Handler, engine: LyingEngine) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not engine.ended.wait(0.02):
        handler.wfile.write(b"x")


def endless_header(handler: Handler, engine: LyingEngine) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        handler.wfile.write(b"X: " + b"x" * 1_000 + b"\r\n")


def silent(handler: Handler, engine: LyingEngine) -> None:
    engine.ended.wait()
    handler.hang_up()


def hangs_up(handler: Handler, engine: LyingEngine) -> None:
    handler.hang_up()


def done_and(reply: Reply) -> Reply:
    """The engine removes the image, and then gives this answer."""

    def tell_all(handler: Handler, engine: LyingEngine) -> None:
        engine.images.pop(APP, None)
        reply(handler, engine)

    return tell_all


def streams(*lines: str | bytes) -> Reply:
    """Events, and then nothing."""

    def reply(handler: Handler, engine: LyingEngine) -> None:
        handler.begin_stream()
        for line in lines:
            handler.send_chunk((line if isinstance(line, bytes) else line.encode(errors="surrogatepass")) + b"\n")
        engine.ended.wait()
        handler.hang_up()

    return reply


def an_event(**fields: Any) -> str:
    actor = {"ID": CONTAINER, "Attributes": {"image": "used:1"}}
    return json.dumps({"Type": "container", "Action": "die", "Actor": actor, "timeNano": 5, **fields})


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_LIST = json.dumps([an_image(USED, "used:1")])
_NOT_LISTS: dict[str, Reply] = {
    "an empty body": says(""),
    "null": says("null"),
    "an object": says("{}"),
    "a text": says('"[]"'),
    "a number": says("5"),
    "a bracket": says("["),
    "a list that is cut": says(_LIST[:-20]),
    "a list without its end": says(_LIST[:-1]),
    "a body that is shorter than announced": cut(_LIST[:50]),
    "text after the closing bracket": says(_LIST + "x"),
    "two lists": says("[][]"),
    "a list and a comma": says("[],"),
    "a comma without an element": says(_LIST[:-1] + ",]"),
    "302 with a list": says("[]", 302, Location="/elsewhere"),
    "301 to another path": says("[]", 301, Location="http://localhost/v1.41/containers/json"),
    "201 with a list": says("[]", 201),
    "206 with a list": says("[]", 206),
    "HTML": says("<html><body>Welcome</body></html>"),
    "404": says('{"message": "page not found"}', 404),
    "500 of HTML": says("<html>Internal error</html>", 500),
    "503 whose message is a list": says('{"message": ["x"]}', 503),
    "bytes that are not UTF-8": says(b'[{"Id": "\xff"}]'),
    "UTF-16": says("[]".encode("utf-16")),
    "a compressed body": says(gzip.compress(b"[]"), Content_Encoding="gzip"),
    "nesting of 200,000": says(DEEP),
    "a row with nesting of 200,000": says('[{"Id": ' + DEEP),
    "a row that is null": says("[null]"),
    "a row that is a number": says("[5]"),
    "a row that is a list": says("[[]]"),
    "a row that is a text": says('["app:1"]'),
}
_IDS: dict[str, Any] = {
    "null": None,
    "a number": 5,
    "an empty text": "",
    "a short ID": "sha256:abc",
    "a path": TRAVERSAL,
    "upper case": "sha256:" + HEX.upper(),
    "a line break at the end": "sha256:" + HEX + "\n",
    "another algorithm": "sha512:" + HEX,
    "a list": [APP],
}
_NAMES: dict[str, Any] = {
    "a text": "app:1",
    "a number": 5,
    "an object": {"app:1": 1},
    "a list of null": [None],
    "a list of numbers": [5],
    "an empty name": [""],
    "a colon": [":"],
    "a path": ["../../containers/abc?force=1"],
    "a question mark": ["app:1?force=1"],
    "a line break": ["app:1\n"],
    "half a character": [f"app:1{HALF}"],
    "a name of 10,000 characters": ["a" * 10_000],
    "upper case": ["APP:1"],
    "characters that reverse the text": ["app:1\u202e"],
    "an escape sequence": ["app:1\x1b[2J"],
    "the name of another image": ["used:1"],
}
_SIZES = {
    "10^30": str(10**30),
    "a text": '"12"',
    "not a number": "NaN",
    "negative": "-5",
    "null": "null",
    "true": "true",
    "a fraction": "1.5",
    "infinite": "1e400",
    "of 5,000 digits": "1" * 5_000,
    "a list": "[]",
    "an object": "{}",
}
_IMAGES = "GET /images/json"
_CONTAINERS = "GET /containers/json"
_PARENTS = [an_image(APP, "app:1", ParentId=an_id("other")), an_image(an_id("other"), ParentId=APP)]

LIES: tuple[Lie, ...] = (
    *(Lie(name, _IMAGES, reply) for name, reply in _NOT_LISTS.items()),
    *(Lie(name, _CONTAINERS, reply) for name, reply in _NOT_LISTS.items()),
    Lie("no Id", _IMAGES, without("Id")),
    *(Lie(f"Id is {name}", _IMAGES, image_with(Id=value)) for name, value in _IDS.items()),
    *(Lie(f"RepoTags is {name}", _IMAGES, image_with(RepoTags=value)) for name, value in _NAMES.items()),
    Lie("RepoDigests is a text", _IMAGES, image_with(RepoDigests="app@sha256:" + HEX)),
    Lie("RepoDigests has no digest", _IMAGES, image_with(RepoDigests=["app@sha256:xyz"])),
    Lie("RepoDigests is a path", _IMAGES, image_with(RepoDigests=["../x@sha256:" + HEX])),
    Lie("ParentId is a number", _IMAGES, image_with(ParentId=5)),
    Lie("ParentId is a path", _IMAGES, image_with(ParentId=TRAVERSAL)),
    Lie("ParentId is the image itself", _IMAGES, image_with(ParentId=APP)),
    Lie("a cycle of ParentId", _IMAGES, says(json.dumps(_PARENTS))),
    Lie("Labels is a list", _IMAGES, image_with(Labels=["image-controller.keep=true"])),
    Lie("Labels is a text", _IMAGES, image_with(Labels="image-controller.keep")),
    *(Lie(f"Size is {name}", _IMAGES, image_written("Size", text), Effect.NOTHING) for name, text in _SIZES.items()),
    Lie("no Size", _IMAGES, without("Size"), Effect.NOTHING),
    *(Lie(f"Id is {name}", _CONTAINERS, row_with(a_container(), Id=value)) for name, value in _IDS.items()),
    *(
        Lie(f"ImageID is {name}", _CONTAINERS, row_with(a_container(), ImageID=value))
        for name, value in _IDS.items()
        if value
    ),
    Lie("ImageID and Image are null", _CONTAINERS, row_with(a_container(), ImageID=None, Image=None)),
    Lie("ImageID and Image are empty", _CONTAINERS, row_with(a_container(), ImageID="", Image="")),
    Lie("ImageID is empty", _CONTAINERS, row_with(a_container(), ImageID=""), Effect.NOTHING),
    Lie(
        "a container without an image, as of podman run --rootfs",
        _CONTAINERS,
        says(json.dumps([a_container(), a_container(Id="e" * 64, ImageID="sha256:", Image="")])),
        Effect.NOTHING,
    ),
    Lie("Image is null", _CONTAINERS, row_with(a_container(), Image=None), Effect.NOTHING),
    Lie("Image is a number", _CONTAINERS, row_with(a_container(), Image=5)),
    Lie("Image has half a character", _CONTAINERS, row_with(a_container(), Image=HALF)),
    Lie("Names is a text", _CONTAINERS, row_with(a_container(), Names="/c")),
    Lie("Names has a number", _CONTAINERS, row_with(a_container(), Names=[5])),
    Lie("Names controls the terminal", _CONTAINERS, row_with(a_container(), Names=["/\x1b[2J\u202e"]), Effect.NOTHING),
    Lie("State is a number", _CONTAINERS, row_with(a_container(), State=5)),
    Lie("State has half a character", _CONTAINERS, row_with(a_container(), State=HALF)),
    Lie("Labels is a list", _CONTAINERS, row_with(a_container(), Labels=[])),
    Lie("Mounts is a text", _CONTAINERS, row_with(a_container(), Mounts="image")),
    Lie("Mounts has a number", _CONTAINERS, row_with(a_container(), Mounts=[5])),
    Lie(
        "a mount of an image has a number",
        _CONTAINERS,
        row_with(a_container(), Mounts=[{"Type": "image", "Source": 5}]),
    ),
    Lie("a list", "GET /info", says("[]")),
    Lie("302", "GET /info", says("{}", 302, Location="/elsewhere")),
    Lie("HTML", "GET /info", says("<html>")),
    Lie("ID is a number", "GET /info", says('{"ID": 5}')),
    Lie("ID has half a character", "GET /info", says('{"ID": "\\ud800"}')),
    Lie("DriverStatus is a number", "GET /info", says('{"DriverStatus": 5}')),
    Lie("DockerRootDir is a number", "GET /info", says('{"DockerRootDir": 5}')),
    Lie("DockerRootDir is not a path", "GET /info", says('{"DockerRootDir": "data"}')),
    Lie("DockerRootDir has a NUL", "GET /info", says('{"DockerRootDir": "/\\u0000"}')),
    Lie("Swarm is a list", "GET /info", says('{"Swarm": [true]}')),
    Lie("null", "GET /version", says("null")),
    Lie("404", "GET /version", says("{}", 404)),
    Lie("nesting of 200,000", "GET /version", says(DEEP)),
    Lie("no ApiVersion", "GET /version", says("{}")),
    Lie("ApiVersion is a number", "GET /version", says('{"ApiVersion": 1.41}')),
    Lie("ApiVersion is a path", "GET /version", says('{"ApiVersion": "1.41/../.."}')),
    Lie("Version is a number", "GET /version", says('{"ApiVersion": "1.41", "Version": 20}')),
    Lie("Components is a text", "GET /version", says('{"ApiVersion": "1.41", "Components": "Podman Engine"}')),
    Lie("Components has a number", "GET /version", says('{"ApiVersion": "1.41", "Components": [5]}')),
    Lie("null", f"GET /images/{APP}/json", says("null"), Effect.NOTHING),
    Lie("RootFS is a list", f"GET /images/{APP}/json", says('{"RootFS": []}'), Effect.NOTHING),
    Lie("Layers is a text", f"GET /images/{APP}/json", says('{"RootFS": {"Layers": "x"}}'), Effect.NOTHING),
    Lie("Layers has a path", f"GET /images/{APP}/json", says('{"RootFS": {"Layers": ["../x"]}}'), Effect.NOTHING),
    Lie("404", f"GET /images/{APP}/json", says("{}", 404), Effect.NOTHING),
    Lie("500", f"GET /images/{APP}/json", says("{}", 500), Effect.NOTHING),
    Lie("null", "*/history", says("null"), Effect.NOTHING),
    Lie("rows of numbers", "*/history", says("[5]"), Effect.NOTHING),
    Lie("Size is a text", "*/history", says('[{"Size": "12"}]'), Effect.NOTHING),
    Lie("Size is infinite", "*/history", says('[{"Size": 1e400}]'), Effect.NOTHING),
    Lie("nesting of 200,000", "*/history", says(DEEP), Effect.NOTHING),
    Lie("Deleted is a number", "DELETE *", done_and(says('[{"Deleted": 5}]')), Effect.UNKNOWN),
    Lie("Deleted is a path", "DELETE *", done_and(says('[{"Deleted": "../x"}]')), Effect.UNKNOWN),
    Lie("rows of numbers", "DELETE *", done_and(says("[5]")), Effect.UNKNOWN),
    Lie("HTML", "DELETE *", done_and(says("<html>")), Effect.UNKNOWN),
    Lie("302", "DELETE *", done_and(says("[]", 302, Location="/")), Effect.UNKNOWN),
    Lie("an empty body", "DELETE *", done_and(says("")), Effect.UNKNOWN),
    Lie("nesting of 200,000", "DELETE *", done_and(says(DEEP)), Effect.UNKNOWN),
    Lie("no answer", "DELETE *", done_and(hangs_up), Effect.UNKNOWN),
    Lie("success, and nothing was done", "DELETE *", says(json.dumps([{"Deleted": APP}])), Effect.UNKNOWN),
    Lie("404, and nothing was done", "DELETE *", says('{"message": "No such image"}', 404), Effect.UNKNOWN),
    Lie("another image was deleted", "DELETE *", says(json.dumps([{"Deleted": USED}])), Effect.UNKNOWN),
    Lie("a message with half a character", "DELETE *", says('{"message": "\\ud800\\u001b[2J"}', 500), Effect.UNKNOWN),
    Lie("a message of 10 MB", "DELETE *", says(json.dumps({"message": "x" * 10**7}), 500), Effect.UNKNOWN),
    Lie("garbage", "GET /events", streams("garbage"), Effect.WAITS),
    Lie("bytes that are not UTF-8", "GET /events", streams(b"\xff\xfe"), Effect.WAITS),
    Lie("a list", "GET /events", streams("[]"), Effect.WAITS),
    Lie("nesting of 200,000", "GET /events", streams(DEEP), Effect.WAITS),
    Lie("Actor is a number", "GET /events", streams(an_event(Actor=5)), Effect.WAITS),
    Lie(
        "image is a number",
        "GET /events",
        streams(an_event(Actor={"ID": "c", "Attributes": {"image": 5}})),
        Effect.WAITS,
    ),
    Lie("Actor has half a character", "GET /events", streams(an_event(Actor={"ID": HALF})), Effect.WAITS),
    Lie("timeNano is infinite", "GET /events", streams(an_event().replace("5", "1e400")), Effect.WAITS),
    Lie("timeNano is a text", "GET /events", streams(an_event(timeNano="x")), Effect.WAITS),
    Lie("HTML", "GET /events", says("<html>"), Effect.WAITS),
    Lie("302", "GET /events", says("", 302, Location="/"), Effect.WAITS),
    Lie("null", "GET /services", says("null"), is_swarm=True),
    Lie("Spec is a list", "GET /services", says('[{"Spec": []}]'), is_swarm=True),
    Lie(
        "Image is a number",
        "GET /services",
        says('[{"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": 5}}}}]'),
        is_swarm=True,
    ),
    Lie("LayersSize is a text", "GET /system/df", says('{"LayersSize": "x"}'), Effect.NOTHING, is_containerd=True),
    Lie("LayersSize is infinite", "GET /system/df", says('{"LayersSize": 1e400}'), Effect.NOTHING, is_containerd=True),
    Lie("LayersSize is negative", "GET /system/df", says('{"LayersSize": -1}'), Effect.NOTHING, is_containerd=True),
    Lie("null", "GET /system/df", says("null"), Effect.NOTHING, is_containerd=True),
    Lie("BuildCache is a number", "GET /system/df", says('{"BuildCache": 5}'), Effect.NOTHING),
    Lie("BuildCacheUsage is a list", "GET /system/df", says('{"BuildCacheUsage": []}'), Effect.NOTHING),
    Lie("HTML", "GET /system/df", says("<html>"), Effect.NOTHING),
    *(
        Lie(f"{name}, asked by name", "GET /images/app:1/json", reply, Effect.KEEPS, is_named_twice=True)
        for name, reply in {
            "null": says("null"),
            "a list": says("[]"),
            "Id is a number": says('{"Id": 5}'),
            "Id is a path": says(json.dumps({"Id": TRAVERSAL})),
            "another image": says(json.dumps({"Id": USED})),
            "HTML": says("<html>"),
            "500": says("{}", 500),
            "302": says(json.dumps({"Id": APP}), 302, Location="/"),
            "nesting of 200,000": says(DEEP),
            "no answer": hangs_up,
        }.items()
    ),
    Lie("blanks without end", _IMAGES, endless(b" " * 10_000), is_limited=True),
    Lie("rows without end", _IMAGES, endless(b"{}," * 1_000, b"["), is_limited=True),
    Lie("a text without end", _IMAGES, endless(b"x" * 10_000, b'[{"Id": "'), is_limited=True),
    Lie("blanks without end", _CONTAINERS, endless(b" " * 10_000), is_limited=True),
    Lie("one byte now and then", _IMAGES, dripping, is_limited=True),
    Lie("one byte of a header now and then", _IMAGES, dripping_header, is_limited=True),
    Lie("headers without end", _IMAGES, endless_header, is_limited=True),
    Lie("no answer", _IMAGES, silent, is_limited=True),
)

"""A real Chromium, driven through Debian's chromedriver by plain HTTP (W3C WebDriver, and DevTools where it ends)."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 30.0
_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # The tests run as root.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--lang=en-GB",
]
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class BrowserError(Exception):
    """An error of the driver."""


@dataclass(frozen=True, slots=True)
class Browser:
    """One window."""

    port: int
    session: str

    def open(self, address: str) -> None:
        """Load a page and wait for it."""
        self._ask("POST", "/url", {"url": address})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page: the body of a function, which may return something."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def click(self, selector: str) -> None:
        """Click an element, if it is visible."""
        self._ask("POST", f"/element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Press keys in an element."""
        self._ask("POST", f"/element/{self._find(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Press keys wherever the focus is."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """Wait until the value is true, and return it."""
        return _until(what)

    def devtools(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width: int, height: int, scale: float = 1.0, is_phone: bool = False) -> None:
        """The size of the window in CSS pixels."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_phone
        )

    def prefer(self, **media: str) -> None:
        """`color_scheme="dark"`, `reduced_motion="reduce"`"""
        features = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in media.items()]
        self.devtools("Emulation.setEmulatedMedia", features=features)

    def without_scripts(self, off: bool = True) -> None:
        """Disable scripts on pages that are loaded from now on."""
        self.devtools("Emulation.setScriptExecutionDisabled", value=off)

    def picture(self, file: Path, whole: bool = False) -> Path:
        """The visible part, or the whole page, as PNG."""
        shot = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(shot["data"]))
        return file

    def complaints(self) -> list[str]:
        """All messages of the browser's console since the last call."""
        rows = self._ask("POST", "/se/log", {"type": "browser"})
        return [row["message"] for row in rows]

    def _find(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return _asked(self.port, method, f"/session/{self.session}{path}", body)


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a temporary profile."""
    with tempfile.TemporaryDirectory() as profile, _driver() as port:
        options = {"binary": "/usr/bin/chromium", "args": [*_ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = _asked(port, "POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        try:
            yield Browser(port, answer["sessionId"])
        finally:
            _asked(port, "DELETE", f"/session/{answer['sessionId']}")


@contextmanager
def _driver() -> Iterator[int]:
    """The port of a chromedriver."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    process = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _is_ready(port))
        yield port
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int) -> bool:
    try:
        return bool(_asked(port, "GET", "/status")["ready"])
    except OSError:
        return False


def _until(what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (value := what()):
        if time.monotonic() > deadline:
            raise BrowserError(f"this never came to be: {what}")
        time.sleep(0.02)
    return value


def _asked(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS * 2)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        value = json.loads(connection.getresponse().read())["value"]
    finally:
        connection.close()
    if isinstance(value, dict) and "error" in value:
        raise BrowserError(f"{value['error']}: {value['message']}")
    return value

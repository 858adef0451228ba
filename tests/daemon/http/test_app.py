"""Responses of the HTTP application, without a socket."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64encode
from dataclasses import dataclass, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from controller.daemon.http.access import Access
from controller.daemon.status import PassResult
from controller.plan.memory.idleness import Usage
from controller.plan.report.history import removal_in_words, removed_image_in_words
from controller.plan.report.meaning import last_removals_of
from controller.plan.report.report import plan_frame, shown_references
from controller.plan.report.rows import as_values
from tests.page.site import Site, busy_status


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> Answer:
    """The response for a client; headers in WSGI names without HTTP_."""
    started: list[Any] = []
    where, _, query = path.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": where, "QUERY_STRING": query, "HTTP_HOST": "localhost:9847"}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    body = b"".join(site.app(environ, lambda status, given: started.append((status, dict(given)))))
    status, given = started[0]
    return Answer(int(status.split()[0]), given, body)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A controller after one pass on a node with 60 images."""
    site = Site()
    site.publish(busy_status(60, tmp_path_factory.mktemp("policies")))
    return site


@pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/healthz", "/readyz", "/page.css", "/page.js"])
def test_every_path_is_answered(site: Site, path: str) -> None:
    answer = ask(site, path)
    assert answer.status == 200
    assert int(answer.headers.get("Content-Length", len(answer.body))) == len(answer.body) > 0


def test_the_status_is_made_while_it_is_sent(tmp_path: Path) -> None:
    site = Site()
    site.publish(busy_status(1_000, tmp_path))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/api/status", "HTTP_HOST": "localhost"}
    pieces = [len(piece) for piece in site.app(environ, lambda *_: None)]
    assert max(pieces) < sum(pieces) / 10
    assert len(json.loads(ask(site, "/api/status").body)["references"]) >= 1_000


def test_the_status_before_the_first_pass_has_no_references() -> None:
    assert json.loads(ask(Site(), "/api/status").body)["references"] == []


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/../etc/passwd", "//", "/page.css/..", "/API/status"])
def test_an_unknown_path_is_404_in_plain_text(site: Site, path: str) -> None:
    answer = ask(site, path)
    assert (answer.status, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
    assert "available: / /api/status /metrics" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_all_paths_are_read_only(site: Site, method: str) -> None:
    answer = ask(site, "/api/status", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_head_returns_the_headers_without_the_body(site: Site) -> None:
    assert ask(site, "/metrics", "HEAD").body == b""
    assert int(ask(site, "/metrics", "HEAD").headers["Content-Length"]) > 1_000


@pytest.mark.parametrize("path", ["/", "/explain", "/api/status", "/metrics", "/healthz", "/nothing", "/page.js"])
def test_every_answer_has_the_security_headers(site: Site, path: str) -> None:
    headers = ask(site, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_a_request_with_a_foreign_host_name_is_refused_with_a_hint(site: Site) -> None:
    answer = ask(site, "/", host="evil.example:9847")
    assert (answer.status, b"--allow-host" in answer.body) == (421, True)


@pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/healthz", "/nothing"])
def test_no_path_is_answered_for_a_foreign_host_name(site: Site, path: str) -> None:
    assert ask(site, path, host="evil.example").status == 421


class TestWithPasswords:
    @pytest.fixture
    def guarded(self, site: Site) -> Site:
        guarded = Site(clock=site.clock)
        guarded.access = Access(any_name=True, passwords={"sre": "secret"})
        return guarded

    @pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/explain", "/page.css", "/nothing"])
    def test_without_a_password_no_path_is_answered(self, guarded: Site, path: str) -> None:
        answer = ask(guarded, path)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")

    def test_a_request_with_the_password_is_answered(self, guarded: Site) -> None:
        header = f"Basic {b64encode(b'sre:secret').decode()}"
        assert ask(guarded, "/metrics", authorization=header).status == 200

    def test_health_needs_no_password(self, guarded: Site) -> None:
        assert ask(guarded, "/healthz").status == 200


class TestHealth:
    def test_a_controller_that_has_just_started_is_healthy_and_not_ready(self) -> None:
        site = Site()
        assert ask(site, "/healthz").status == 200
        assert ask(site, "/readyz").status == 503

    def test_a_loop_that_is_silent_for_more_than_a_minute_is_not_healthy(self) -> None:
        site = Site()
        site.clock.later_by += 61
        answer = ask(site, "/healthz")
        assert (answer.status, "61 s" in answer.text) == (503, True)

    def test_a_dead_thread_is_not_healthy(self) -> None:
        site = Site()
        site.vitals.threads_alive = lambda: False
        assert ask(site, "/healthz").text == "the thread that reads engine events has ended\n"

    def test_a_socket_that_only_a_restart_can_mend_is_not_healthy(self) -> None:
        site = Site()
        site.vitals.needs_restart = lambda: "engine: connection refused"
        assert (ask(site, "/healthz").status, ask(site, "/healthz").text) == (503, "engine: connection refused\n")

    def test_a_slow_engine_call_is_not_a_dead_loop(self) -> None:
        site = Site()
        site.clock.later_by += 500
        site.vitals.engine_waits_seconds = lambda: 490.0
        assert (ask(site, "/healthz").status, ask(site, "/healthz").text) == (
            200,
            "ok, waiting for the engine for 8m 10s\n",
        )
        assert (ask(site, "/readyz").status, ask(site, "/readyz").text) == (503, "waiting for the engine for 8m 10s\n")

    def test_an_engine_call_that_exceeds_its_limit_is_not_healthy(self) -> None:
        site = Site()
        site.clock.later_by += 700
        site.vitals.engine_waits_seconds = lambda: 700.0
        assert ask(site, "/healthz").status == 503

    def test_a_loop_that_hangs_outside_the_engine_is_not_healthy(self) -> None:
        site = Site()
        site.clock.later_by += 500
        site.vitals.engine_waits_seconds = lambda: 5.0
        assert ask(site, "/healthz").status == 503

    def test_without_an_engine_it_is_healthy_and_not_ready_with_the_reason(self, tmp_path: Path) -> None:
        site = Site()
        lost = "cannot connect to the engine: connection refused"
        site.publish(replace(busy_status(3, tmp_path), result=PassResult.FAILED, trouble=lost))
        assert ask(site, "/healthz").status == 200
        assert (ask(site, "/readyz").status, ask(site, "/readyz").text.strip()) == (503, lost)

    def test_without_engine_events_it_is_not_ready_with_the_engines_answer(self, tmp_path: Path) -> None:
        site = Site()
        site.publish(replace(busy_status(3, tmp_path), event_stream_is_up=False, event_refusal="403: Forbidden"))
        assert ask(site, "/healthz").status == 200
        answer = ask(site, "/readyz")
        assert (answer.status, "engine events not available: 403: Forbidden" in answer.text) == (503, True)


class TestStatus:
    def test_it_has_the_same_values_as_the_plan_of_the_command_line(self, tmp_path: Path) -> None:
        site, status = Site(), busy_status(24, tmp_path)
        site.clock.later_by = 0.0
        site.publish(status)
        api = json.loads(ask(site, "/api/status").body)
        frame = as_values(plan_frame(status.decision, status.reading)) | {"at": api["at"]}
        values = {"references": shown_references(status.decision, Usage.ANY), **frame}
        plan = json.loads(json.dumps(values, default=as_values))
        assert {name: api[name] for name in plan} == plan

    def test_it_has_the_health_and_the_freed_bytes(self, site: Site) -> None:
        api = json.loads(ask(site, "/api/status").body)
        assert (api["health"], api["troubles"], api["result"]) == ("healthy", [], "nothing_due")
        assert api["freed"]["last_7_days_bytes"] >= api["freed"]["today_bytes"] > 0
        assert len(api["freed"]["days"]) == 14
        assert api["disk"] == {
            "path": "/var/lib/docker",
            "size_bytes": 62_000_000_000,
            "available_bytes": 21_300_000_000,
            "files": 4_000_000,
            "files_free": 3_000_000,
            "why_unknown": "",
            "pressure_start": None,
            "pressure_stop": None,
            "pressure_since": None,
        }

    def test_before_the_first_pass_it_says_starting(self) -> None:
        assert json.loads(ask(Site(), "/api/status").body)["health"] == "starting"

    def test_large_answers_are_compressed_on_request(self, site: Site) -> None:
        whole, small = ask(site, "/api/status"), ask(site, "/api/status", accept_encoding="gzip, br")
        assert gzip.decompress(small.body) == whole.body
        assert len(small.body) < len(whole.body) / 3


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {value for name, value in attrs if name in ("href", "src", "action") and value}


def text_of(page: str) -> str:
    """The text without markup."""
    return unescape(re.sub(r"<[^>]*>", "", page))


def links_of(page: str) -> set[str]:
    parser = _Links()
    parser.feed(page)
    return parser.found


class TestPage:
    def test_the_page_has_no_external_resource(self, site: Site) -> None:
        assert all(link.startswith("/") and not link.startswith("//") for link in links_of(ask(site, "/").text))
        assert "http" not in ask(site, "/page.css").text
        assert "http" not in ask(site, "/page.js").text

    def test_every_link_of_the_page_works(self, site: Site) -> None:
        links = links_of(ask(site, "/").text)
        assert len(links) > 60
        assert {ask(site, link.partition("#")[0]).status for link in links} == {200}

    def test_page_files_are_cached_because_their_url_changes_with_the_content(self, site: Site) -> None:
        address = next(link for link in links_of(ask(site, "/").text) if link.startswith("/page.css?"))
        assert "immutable" in ask(site, address).headers["Cache-Control"]
        assert ask(site, "/").headers["Cache-Control"] == "no-store"

    def test_a_removed_image_has_the_explanation_of_the_command(self, site: Site) -> None:
        removal = next(each for each in site.history.removals if each.outcome.is_success)
        answer = ask(site, f"/explain?image={removal.intent.image}")
        assert answer.status == 200
        (*_, row) = last_removals_of(removal.intent.image, site.history.removals, site.history.batches)
        shown = text_of(answer.text)
        assert removed_image_in_words(row) in shown
        assert all(said in shown for _, said in removal_in_words(row))
        assert answer.text.count("<article>") == len(
            last_removals_of(removal.intent.image, site.history.removals, site.history.batches)
        )

    def test_an_image_that_never_was_here_has_no_explanation(self, site: Site) -> None:
        assert ask(site, "/explain?image=sha256:" + "0" * 64).status == 404
        assert ask(site, "/explain").status == 404

    @pytest.mark.parametrize(
        "query",
        [
            "sort=nonsense",
            "page=-1",
            "page=" + "9" * 400,
            "page=٣",
            "q=" + quote("<script>alert(1)</script>"),
            "q=%00%ff%fe",
            "verdict=" + quote('"><img src=x>'),
            "&&&===;;;",
            "q=" + "a" * 5_000,
            "unknown=1&q=redis&q=acme",
        ],
    )
    def test_no_query_breaks_it(self, site: Site, query: str) -> None:
        answer = ask(site, f"/?{query}")
        assert answer.status == 200
        assert b"<script>alert" not in answer.body
        assert b"<img" not in answer.body

"""Plays the recorded requests, in their order, against the fake Exchange: it answers like the real one."""

from __future__ import annotations

import http.client
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Any

from tests.exchange_rules import Database, Role
from tests.fake_exchange import FakeExchange
from tests.openhorizon import exchange_calls

Call = Mapping[str, Any]
Compared = tuple[int, Mapping[str, str], object]
"""Status, headers and body of an answer."""

_PASSWORD = "(left out)"
_IDENTITIES = {
    Role.ROOT: ("root/root",),
    Role.HUB_ADMIN: ("root/hub1",),
    Role.ADMIN: ("myorg/admin", "myorg/owner1", "other/admin", "big5000/admin", "doomed/admin", "doomed2/admin"),
    Role.USER: ("myorg/alice", "myorg/bob", "myorg/temp", "myorg/temp2", "empty/user"),
    Role.NODE: ("myorg/node1", "other/node9", "doomed/n1", "doomed2/n1"),
    Role.AGBOT: ("myorg/agbot1", "IBM/mtagbot"),
}
_CHAPTERS = (
    ("02-nmp-forms", "03-list"),
    ("04-names", "05-properties"),
    ("06-auth",),
    ("07-lifecycle", "08-outages"),
    ("19-hzn-on-the-wire",),
    ("22-image-policy-property",),
    ("30-database-trouble",),
    ("34-empty-that-is-not-empty",),
    ("37-limits-and-connection",),
    ("38-is-the-org-there",),
    ("40-who-may-read-an-organisation",),
    ("41-order-of-checks",),
)
_THERE_BEFORE = {
    "19-hzn-on-the-wire": ("staged",),
    "34-empty-that-is-not-empty": ("w13",),
    "37-limits-and-connection": ("vis",),
}
"""Policies of earlier requests that were not recorded."""
_OF_OTHER_PARTS = re.compile(r"/v1/admin/status|/v1/orgs/\w+/(users|nodes|agbots)/|.*\?attribute=")
"""Made the identities; or the controller never sends them."""
_DATABASE_SINCE = {
    "PostgreSQL down: GET as myorg/admin": Database.STOPPED,
    "PostgreSQL back: GET": Database.UP,
    "pg down, pool time-out 2 s: GET as myorg/admin": Database.DOWN_WITH_A_SHORT_POOL_TIMEOUT,
    "pg back: GET as admin": Database.UP,
    "after killed backends 0": Database.STOPPED,
    "after killed backends 1": Database.UP,
    "table locked": Database.LOCKED,
    "statement_timeout 1 ms": Database.UP,
    "one row holds broken JSON": Database.WITH_A_BROKEN_ROW,
    "table gone": Database.WITHOUT_THE_TABLE,
}
_COMPARED_HEADERS = ("Content-Type", "Allow")
_WORDS_OF_A_LIBRARY = ("invalid-input", "internal_error", "database-connection-error")


def played() -> Iterator[tuple[str, Compared, Compared]]:
    """What was asked, the answer of the fake, and the recorded one."""
    for chapters in _CHAPTERS:
        with FakeExchange() as exchange:
            _populate(exchange, chapters[0])
            for chapter in chapters:
                for number, call in enumerate(exchange_calls(chapter)):
                    _before(exchange, call)
                    if _can_be_played(call):
                        yield f"{chapter} {number}", _answered(exchange, call), _recorded(call)


def _populate(exchange: FakeExchange, chapter: str) -> None:
    for role, names in _IDENTITIES.items():
        for name in names:
            exchange.rules.add(name, _PASSWORD, role)
    for name in _THERE_BEFORE.get(chapter, ()):
        exchange.put(name, {"label": "m", "enabled": True})
    if chapter == "37-limits-and-connection":
        exchange.policies.update({f"big5000/p{number}": {} for number in range(5001)})


def _before(exchange: FakeExchange, call: Call) -> None:
    """What happened before this request without a request that the fake answers."""
    rules, note, path = exchange.rules, call.get("note") or "", call["path"]
    if call["method"] == "DELETE" and path.count("/") == 3:
        rules.delete_organisation(path.rpartition("/")[2])
    elif call["method"] == "DELETE" and "/users/" in path:
        rules.delete_identity(path.removeprefix("/v1/orgs/").replace("/users/", "/"))
    elif note.startswith("rows gone"):
        exchange.policies.clear()
    rules.database = _DATABASE_SINCE.get(note, rules.database)


def _can_be_played(call: Call) -> bool:
    path, method = call["path"], call["method"]
    is_of_organisations = path.count("/") == 3 and method != "GET"
    is_about_a_cut_one = _is_cut(call, "request") or (_is_cut(call, "body") and not path.endswith("policies"))
    is_other = _OF_OTHER_PARTS.match(path) or is_of_organisations or is_about_a_cut_one
    return "status" in call and not is_other


def _is_cut(call: Call, part: str) -> bool:
    """Long texts were cut in the recording."""
    text = str(call.get(part) or "")
    return text.endswith("all]") or " … " in text


def _answered(exchange: FakeExchange, call: Call) -> Compared:
    connection = http.client.HTTPConnection(exchange.url.removeprefix("http://").removesuffix("/v1"))
    body = (call.get("request") or "").encode()
    connection.request(call["method"], call["path"], body, {**_request_headers(call), "Content-Length": str(len(body))})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, _compared(dict(response.headers)), _shape(text, call)


def _request_headers(call: Call) -> dict[str, str]:
    note, headers = call.get("note") or "", {"Content-Type": "application/json"}
    name, _, value = note.partition(" ")
    if name in ("Accept", "Content-Type"):
        headers = {name: value} if value != "None" else {}
    credentials = f"{call.get('as') or 'myorg/admin'}:{_PASSWORD}"
    if note.startswith(f"GET as {call.get('as')}"):
        credentials = note.removeprefix("GET as ")
    usual = f"Basic {b64encode(credentials.encode()).decode()}"
    strange = {"GET without credentials": "", "GET Bearer": "Bearer abc", "GET Basic not base64": "Basic %%%"}
    return {**headers, "Authorization": strange.get(note, usual)}


def _recorded(call: Call) -> Compared:
    return call["status"], _compared(call.get("headers") or {}), _shape(call.get("body") or "", call)


def _compared(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in _COMPARED_HEADERS if name in headers}


def _shape(text: str, call: Call) -> object:
    """The body without moments, names of organisations and texts of the real one's libraries."""
    if _is_cut(call, "body"):
        return "cut in the recording"
    try:
        body = json.loads(text)
    except ValueError:
        return text
    if body.get("code") in _WORDS_OF_A_LIBRARY:
        return sorted(body), body["code"]
    for policy in body.get("managementPolicy", {}).values():
        policy.update({moment: _moment(policy[moment]) for moment in ("created", "lastUpdated")})
    for organisation in body.get("orgs", {}).values():
        organisation.update(label="", description="", orgType="", lastUpdated=_moment(organisation["lastUpdated"]))
    return body


def _moment(text: str) -> str:
    """Its form. The real one leaves out zeros at the end, three at a time."""
    return re.sub(r"\d", "0", re.sub(r"\.(\d{3}){1,3}Z", ".9Z", text))

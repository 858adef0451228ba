"""What a real Exchange keeps and answers, without HTTP; compared with the recorded answers in `test_fake_exchange.py`.

Upstream: exchange-api, route/managementpolicy, route/organization and auth.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.openhorizon import exchange_calls

_JSON = "application/json"
_TEXT = "text/plain; charset=UTF-8"
_MOST = 5000
_MOST_SECONDS = (1 << 63) - 1
_ACCEPTED = {
    "label",
    "description",
    "properties",
    "constraints",
    "patterns",
    "enabled",
    "start",
    "startWindow",
    "agentUpgradePolicy",
}


class Role(Enum):
    """What an identity is."""

    ROOT = auto()
    HUB_ADMIN = auto()
    ADMIN = auto()
    USER = auto()
    NODE = auto()
    AGBOT = auto()


class Database(Enum):
    """The state of the database below the Exchange."""

    UP = auto()
    STOPPED = auto()
    """Since the last request: that one still has a connection."""
    DOWN = auto()
    DOWN_WITH_A_SHORT_POOL_TIMEOUT = auto()
    LOCKED = auto()
    WITH_A_BROKEN_ROW = auto()
    WITHOUT_THE_TABLE = auto()


_TROUBLES = {
    Database.STOPPED: ("08-outages", "PostgreSQL down: GET as myorg/admin"),
    Database.DOWN: ("08-outages", "PostgreSQL down: GET as myorg/alice"),
    Database.DOWN_WITH_A_SHORT_POOL_TIMEOUT: ("30-database-trouble", "pg down, pool time-out 2 s: GET as myorg/admin"),
    Database.LOCKED: ("30-database-trouble", "table locked"),
    Database.WITH_A_BROKEN_ROW: ("30-database-trouble", "one row holds broken JSON"),
    Database.WITHOUT_THE_TABLE: ("30-database-trouble", "table gone"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request; header names are in small letters."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer."""

    code: int
    body: bytes
    content_type: str = _JSON
    allow: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, node or agreement bot."""

    name: str
    password: str
    role: Role

    @property
    def organisation(self) -> str:
        return self.name.partition("/")[0]

    @property
    def is_agbot_of_all(self) -> bool:
        return self.role is Role.AGBOT and self.organisation == "IBM"


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


def recorded_answer(chapter: str, note: str) -> Answer:
    """The first recorded answer with this note."""
    call = next(call for call in exchange_calls(chapter) if call.get("note") == note)
    return Answer(call["status"], call["body"].encode(), call["headers"]["Content-Type"])


@dataclass
class Rules:
    """The organisations, identities and policies of an Exchange."""

    identities: dict[str, Identity] = field(default_factory=dict)
    organisations: set[str] = field(default_factory=lambda: {"root", "IBM"})
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By organisation and name, as `myorg/sweep`."""
    database: Database = Database.UP
    writes: int = 0

    def add(self, name: str, password: str, role: Role) -> None:
        self.identities[name] = Identity(name, password, role)
        self.organisations.add(name.partition("/")[0])

    def delete_organisation(self, organisation: str) -> None:
        """Its identities are still known for a while."""
        self.organisations.discard(organisation)
        for name in [name for name in self.policies if name.startswith(f"{organisation}/")]:
            del self.policies[name]

    def delete_identity(self, name: str) -> None:
        """A user takes the policies that are its own along."""
        del self.identities[name]
        for policy in [policy for policy, document in self.policies.items() if document["owner"] == name]:
            del self.policies[policy]

    def store(self, name: str, body: Mapping[str, Any], owner: str) -> None:
        """Keep the body of a POST or a PUT."""
        self.writes += 1
        moment = f"2026-11-23T08:{self.writes // 60:02d}:{self.writes % 60:02d}"
        kept = accepted(body, owner)
        kept["created"] = self.policies.get(name, {"created": f"{moment}.318438978Z"})["created"]
        self.policies[name] = {**kept, "lastUpdated": f"{moment}.318465002Z"}

    def answer(self, request: Request) -> Answer:
        try:
            return self._routed(request)
        except Refused as refused:
            return refused.answer

    # ── routes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _routed(self, request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path != "/v1" and not path.startswith("/v1/"):
            return recorded_answer("06-auth", "without /v1")
        if path == "/v1/admin/version":
            return recorded_answer("06-auth", "version")
        if not (route := re.fullmatch(r"/v1/orgs/([^/]+)(/managementpolicies(?:/([^/]+))?)?", path)):
            return recorded_answer("06-auth", "trailing slash")
        organisation, name = unquote(route[1]), unquote(route[3] or "")
        if name in (".", ".."):
            return recorded_answer("06-auth", "trailing slash")
        answer = self._authorised(request, organisation, name, is_of_policies=bool(route[2]))
        return (
            recorded_answer("06-auth", "Accept text/html")
            if answer.code in (200, 204) and _wants_no_json(request)
            else answer
        )

    def _authorised(self, request: Request, organisation: str, name: str, *, is_of_policies: bool) -> Answer:
        if self.database in _TROUBLES:
            trouble = recorded_answer(*_TROUBLES[self.database])
            self.database = Database.DOWN if self.database is Database.STOPPED else self.database
            return trouble
        identity = self._identity(request.headers.get("authorization", ""))
        _check_method(request, ("DELETE", "PUT", "GET", "POST") if name else ("GET",))
        if not is_of_policies:
            return self._organisation(identity, organisation)
        if name and request.method == "GET":
            self._require(identity, organisation, name)
        _check_permission(identity, request.method, organisation, name)
        match request.method:
            case "GET":
                return self._read(identity, organisation, name, urlsplit(request.path).query)
            case "DELETE":
                return self._delete(f"{organisation}/{name}")
            case _:
                return self._write(identity, request, organisation, name)

    def _identity(self, header: str) -> Identity:
        scheme, _, encoded = header.partition(" ")
        try:
            said = b64decode(encoded, validate=True).decode() if scheme == "Basic" else ""
        except ValueError:
            said = ""
        name, _, password = said.partition(":")
        if "/" not in name or name != name.strip():
            raise Refused(recorded_answer("06-auth", "GET without credentials"))
        if not (identity := self.identities.get(name)):
            raise Refused(recorded_answer("06-auth", "GET as myorg/nosuch:x"))
        if password != identity.password:
            raise Refused(recorded_answer("06-auth", "GET as myorg/alice:wrong"))
        return identity

    def _organisation(self, identity: Identity, organisation: str) -> Answer:
        is_own = organisation == identity.organisation or (organisation == "IBM" and identity.role is Role.NODE)
        if not (is_own or identity.role in (Role.ROOT, Role.HUB_ADMIN) or identity.is_agbot_of_all):
            raise _denied(identity, "READ_OTHER_ORGS", f"org={organisation}")
        if organisation not in self.organisations:
            return recorded_answer("38-is-the-org-there", "unknown org as root")
        known = recorded_answer("38-is-the-org-there", "own org as node")
        (values,) = json.loads(known.body)["orgs"].values()
        return Answer(known.code, _as_json({"orgs": {organisation: values}, "lastIndex": 0}))

    # ── policies ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _require(self, identity: Identity, organisation: str, name: str) -> None:
        """One policy of another organisation is looked up before the permission is."""
        full = f"{organisation}/{name}"
        is_own = organisation == identity.organisation or identity.is_agbot_of_all
        if (not is_own or "\n" in name) and full not in self.policies:
            raise Refused(_error(404, "not-found", f"resource '{full}' not found"))

    def _read(self, identity: Identity, organisation: str, name: str, query: str) -> Answer:
        one, wanted = f"{organisation}/{name}", parse_qs(query, keep_blank_values=True).get("idfilter", ["%"])[0]
        is_shown = identity.role is Role.ROOT or identity.organisation in (organisation, "IBM")
        found = {
            each: self.policies[each]
            for each in sorted(self.policies, key=_place)
            if is_shown and (each == one if name else each.startswith(one) and _is_like(each, wanted))
        }
        return Answer(200 if found else 404, _as_json({"managementPolicy": found, "lastIndex": 0}))

    def _write(self, identity: Identity, request: Request, organisation: str, name: str) -> Answer:
        _check_content_type(request)
        if not request.body:
            return recorded_answer("02-nmp-forms", "POST raw-empty")
        full = f"{organisation}/{name}"
        try:
            body = json_object(request.body.decode(errors="replace"))
            accepted(body)
        except ValueError as error:
            code, _, said = str(error).partition(": ")
            kind = {"400": "invalid-input", "500": "internal_error", "502": "database-connection-error"}
            if code != "500" or request.method == "POST" or full in self.policies:
                return _error(int(code), kind[code], said)
        if request.method == "PUT":
            if full in self.policies:
                self.store(full, body, identity.name)
            return recorded_answer("06-auth", "admin PUT of none")
        if organisation not in self.organisations:
            return _error(500, "internal_error", "violates foreign key constraint")
        if full in self.policies:
            said = f"management policy '{full}' already exists: ERROR: duplicate key value violates unique constraint"
            detail = f'"managementpolicies_pkey"\n  Detail: Key (managementpolicy)=({full}) already exists.'
            return _error(403, "already-exists", f"{said} {detail}")
        if sum(each.startswith(f"{organisation}/") for each in self.policies) > _MOST:
            return recorded_answer("37-limits-and-connection", "policy number 5002")
        self.store(full, body, identity.name)
        return _error(201, "ok", f"management policy '{full}' created")

    def _delete(self, full: str) -> Answer:
        deleted = [name for name in self.policies if _is_like(name, full)]
        for name in deleted:
            del self.policies[name]
        return Answer(204, b"", "") if deleted else _error(404, "not-found", f"management policy '{full}' not found")


def _is_like(name: str, pattern: str) -> bool:
    """`%` in a name stands for any text."""
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("%"))), name, re.DOTALL))


def _check_method(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        said = ", ".join(methods)
        raise Refused(Answer(405, f"HTTP method not allowed, supported methods: {said}".encode(), _TEXT, said))


def _wants_no_json(request: Request) -> bool:
    return not re.search(r"(\*/\*|application/json)(?!;q=0)", request.headers.get("accept", "*/*"))


def _check_content_type(request: Request) -> None:
    sent = request.headers.get("content-type", "application/octet-stream")
    if request.body and not sent.startswith(_JSON):
        body = f"The request's Content-Type [{sent}] is not supported. Expected:\n{_JSON}"
        raise Refused(Answer(415, body.encode(), _TEXT))


def _check_permission(identity: Identity, method: str, organisation: str, name: str) -> None:
    what = f"management policy={organisation}/{name or '*'}"
    if identity.role is Role.ROOT:
        return
    is_own = identity.organisation == organisation and "\n" not in name
    if identity.role is Role.HUB_ADMIN:
        raise _denied(identity, {"GET": "READ", "POST": "CREATE"}.get(method, "WRITE"), what)
    if method == "GET":
        may_ask = organisation == "IBM" and identity.role is Role.NODE
        if not (is_own or may_ask or identity.is_agbot_of_all):
            raise _denied(identity, "READ_OTHER_ORGS", what)
    elif not is_own and not identity.is_agbot_of_all:
        raise _denied(identity, "CREATE_IN_OTHER_ORGS" if method == "POST" else "WRITE_OTHER_ORGS", what)
    elif identity.role is not Role.ADMIN:
        may = "CREATE_MANAGEMENT_POLICY" if method == "POST" else "WRITE_ALL_MANAGEMENT_POLICY"
        raise _denied(identity, may, what)


def _denied(identity: Identity, permission: str, what: str) -> Refused:
    said = f"Access denied: '{identity.name}' does not have authorization: {permission} {what}"
    return Refused(_error(403, "access-denied", said))


def _error(code: int, kind: str, said: str) -> Answer:
    return Answer(code, _as_json({"code": kind, "msg": said}))


def _as_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _place(name: str) -> bytes:
    """The real order is that of a hash table, too."""
    return sha256(name.encode()).digest()


# ── what is kept ──────────────────────────────────────────────────────────────────────────────────────────────────────


def json_object(text: str) -> dict[str, Any]:
    """The JSON object at the beginning of the text. Raises ValueError with the status of the real answer."""
    try:
        value, _ = json.JSONDecoder(parse_constant=_not_a_number).raw_decode(text)
    except ValueError as error:
        raise ValueError(f"400: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("400: not an object")
    return value


def _not_a_number(text: str) -> float:
    raise ValueError(text)


def accepted(body: Mapping[str, Any], owner: str = "myorg/admin") -> dict[str, Any]:
    """What the Exchange keeps of the body of a POST, and answers later. Raises ValueError where its answer is an error.

    As recorded (`python -m tests.campaigns.recorded`): its reader converts numbers, booleans and texts to each other.
    """
    if unknown := body.keys() - _ACCEPTED:
        raise ValueError(f"400: unrecognised field {min(unknown)}")
    if body.get("constraints") is not None and body.get("patterns") is not None:
        raise ValueError("400: you can not specify both constraints and patterns")
    if (label := _text(body.get("label"))) is None:
        raise ValueError("500: no label")
    if "\0" in label or "\0" in str(body.get("description")):
        raise ValueError('500: invalid byte sequence for encoding "UTF8": 0x00')
    upgrade = {"manifest": ""} if body.get("agentUpgradePolicy") is None else body["agentUpgradePolicy"]
    if unknown := upgrade.keys() - {"manifest", "allowDowngrade"}:
        raise ValueError(f"400: unrecognised field {min(unknown)}")
    if (manifest := _text(upgrade.get("manifest"))) is None:
        raise ValueError("500: no manifest")
    return {
        "agentUpgradePolicy": {
            "allowDowngrade": _boolean(upgrade.get("allowDowngrade")),
            "manifest": manifest,
        },
        "constraints": [_text(each) for each in _list(body.get("constraints"))],
        "created": "",
        "description": label if body.get("description") is None else _text(body["description"]),
        "enabled": _boolean(body.get("enabled")),
        "label": label,
        "lastUpdated": "",
        "owner": owner,
        "patterns": [_text(each) for each in _list(body.get("patterns"))],
        "properties": [_property(each) for each in _list(body.get("properties"))],
        "start": "now" if body.get("start") is None else _text(body["start"]),
        "startWindow": _window(body.get("startWindow")),
    }


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise ValueError("400: not a list")
    return value or []


def _text(value: object) -> str | None:
    if isinstance(value, dict | list):
        raise ValueError("400: not a text")
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return None if value is None else json.dumps(value)


def _boolean(value: object) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false", ""):
            raise ValueError("400: not a boolean")
        return value.lower() == "true"
    if isinstance(value, float):
        raise ValueError("400: not a boolean")
    return bool(value)


def _window(value: object) -> int:
    try:
        window = 0 if value in (None, "") else int(value if isinstance(value, int) else float(str(value)))
    except ValueError:
        window = _MOST_SECONDS + 1
    if isinstance(value, bool) or window > _MOST_SECONDS:
        raise ValueError("400: not a number of 64 bits")
    return max(0, window)


def _property(value: object) -> object:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() - {"name", "type", "value"}:
        raise ValueError("400: not a property")
    held = value.get("value")
    if isinstance(held, int) and not -(1 << 63) <= held < 1 << 63:
        raise ValueError("502: not a primitive class java.math.BigInteger")
    kept = "Infinity" if held == float("inf") else held
    return {"name": _text(value.get("name")), "type": _text(value.get("type")), "value": kept}

"""Documents for tests: a valid one to change, and strategies for valid and mutated ones as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from controller.policy.document.parse import Document, parse_documents
from controller.policy.problem import Problem

Plain = dict[str, Any]

ENVELOPE: Plain = {
    "apiVersion": "openhorizon.org/v1",
    "kind": "NodeManagementPolicy",
    "metadata": {"name": "a name"},
}
RULE: Plain = {"image_name": "old:*", "delete_after_minutes": 1440, "agent_downloaded_only": True}


def a_draft(**changes: object) -> Plain:
    """A valid document as plain values; a change to `...` takes a field out."""
    draft = {"label": "old images", "enabled": True, "image_policy": {"removal": [RULE]}, **changes}
    return {name: value for name, value in draft.items() if value is not ...}


def a_draft_with_rule(**changes: object) -> Plain:
    rule = {name: value for name, value in {**RULE, **changes}.items() if value is not ...}
    return a_draft(image_policy={"removal": [rule]})


def posted_forms(document: Mapping[str, object]) -> list[bytes]:
    """The document as exported, as a saved answer of the Exchange, and as `hzn exchange nmp list` prints it."""
    values = (document, {"managementPolicy": {"myorg/x": document}, "lastIndex": 0}, {"myorg/x": document})
    return [json.dumps(value).encode() for value in values]


def read(draft: Mapping[str, object]) -> Document:
    """The one document in JSON text of the draft."""
    (document,) = parse_documents(json.dumps(draft).encode(), "a.json").documents
    return document


def problems_of(draft: Mapping[str, object]) -> tuple[Problem, ...]:
    return parse_documents(json.dumps(draft).encode(), "a.json").problems


def problems_in(text: str | bytes, file: str = "a.yaml") -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [str(problem) for problem in parse_documents(data, file).problems]


# --- Valid documents, and mutated ones ---

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(
    ["nginx:*", "nginx:1.27", "registry.local:5000/team/*:1.*", "*", "*:*", f"a/b@sha256:{'0' * 64}"]
)
starts = st.sampled_from(["now", "2027-01-31T22:00:00Z", "2027-01-31T2:00:00,5+24:00", "0000-02-29T00:00:00-01:00"])
whole = st.integers(0, 2**53)
some_constraints = st.lists(st.sampled_from(["site == paris", 'a in "x,y"', "v in [1.0.0,2.0.0)"]), max_size=2)
some_patterns = st.lists(st.sampled_from(["org/p", "p"]), max_size=2)

_values_by_type: dict[str, st.SearchStrategy[object]] = {
    "string": texts,
    "version": st.sampled_from(["1", "1.10.0", "INFINITY"]),
    "boolean": st.booleans(),
    "int": st.integers(-(2**60), 2**60),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    "list of strings": st.just("a,b"),
}
properties = st.sampled_from(sorted(_values_by_type)).flatmap(
    lambda word: st.fixed_dictionaries(
        {"name": st.sampled_from(["a", "b c"]), "value": _values_by_type[word]}, optional={"type": st.just(word)}
    )
)


def _optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def _rules(name: str, minutes: str, only: str) -> st.SearchStrategy[list[Plain]]:
    return st.lists(st.fixed_dictionaries({name: names, minutes: whole, only: st.booleans()}), max_size=3)


_upgrades = st.fixed_dictionaries({}, optional={"manifest": texts, "allowDowngrade": st.booleans()})
_purposes: st.SearchStrategy[Plain] = st.one_of(
    st.just({}),
    st.builds(
        lambda rules: {"image_policy": {"removal": rules}},
        _rules("image_name", "delete_after_minutes", "agent_downloaded_only"),
    ),
    st.builds(
        lambda rules, empty: {"agentImagePolicy": {"imageRemovalPolicies": rules}, **empty},
        _rules("imageId", "deleteAfterMinutes", "agentDownloadedOnly"),
        st.sampled_from([{}, {"agentUpgradePolicy": {"manifest": "", "allowDowngrade": False}}]),
    ),
    st.builds(lambda name, upgrade: {name: upgrade}, st.sampled_from(["upgrade", "agentUpgradePolicy"]), _upgrades),
)
_choices: st.SearchStrategy[Plain] = st.one_of(
    st.just({}),
    st.builds(lambda constraints: {"constraints": constraints, "patterns": []}, some_constraints),
    st.builds(lambda patterns: {"constraints": None, "patterns": patterns}, some_patterns),
)
_frames = st.fixed_dictionaries(
    {"enabled": st.booleans()},
    optional={
        "label": _optional(texts),
        "description": _optional(texts),
        "properties": _optional(st.lists(properties, max_size=2)),
        "start": _optional(starts),
        "startWindow": _optional(whole),
        "owner": _optional(texts),
    },
)
drafts: st.SearchStrategy[Plain] = st.builds(
    lambda *parts: {k: v for p in parts for k, v in p.items()}, _frames, _choices, _purposes
)


forms: st.SearchStrategy[Plain] = st.one_of(
    drafts,
    drafts.map(lambda draft: {**ENVELOPE, "spec": draft}),
    st.dictionaries(st.sampled_from(["org/a", "org/b"]), drafts).map(
        lambda some: {"managementPolicy": some, "lastIndex": 0}
    ),
)

_wrong: st.SearchStrategy[object] = st.one_of(
    st.sampled_from(["", " ", "x", "now", "nginx", "nginx:1", "a == b", "boolean", "int", "manifest"]),
    st.sampled_from([True, False, None, 0, -1, 1, 1.5, 2**53 + 1]),
    st.sampled_from([[], [""], ["x"], [None], {}, {"manifest": "m"}, {"name": "a"}, {"removal": []}]),
)
_names = st.sampled_from(
    (
        *(
            "label",
            "constraints",
            "patterns",
            "start",
            "upgrade",
            "agentUpgradePolicy",
            "image_policy",
            "type",
            "value",
        ),
        *("agentImagePolicy", "removal", "imageRemovalPolicies", "image_name", "imageId", "deleteAfterMinutes", "spec"),
    )
)


@st.composite
def mutated(draw: st.DrawFn) -> Plain:
    """A document with one to three mutations: a value added, removed or renamed, anywhere in it."""
    draft: Plain = json.loads(json.dumps(draw(forms)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(_containers(draft))))
        if isinstance(place, list):
            place.append(deepcopy(draw(_wrong)))
            continue
        match draw(st.sampled_from(["set", "take", "rename"])) if place else "set":
            case "take":
                place.pop(draw(st.sampled_from(sorted(place))))
            case "rename":
                value = place.pop(draw(st.sampled_from(sorted(place))))
                place[draw(_names)] = value
            case _:
                place[draw(st.sampled_from(sorted(place)) | _names if place else _names)] = deepcopy(draw(_wrong))
    return draft


def _containers(value: object) -> list[Any]:
    if isinstance(value, dict):
        return [value] + [found for child in value.values() for found in _containers(child)]
    if isinstance(value, list):
        return [value] + [found for child in value for found in _containers(child)]
    return []

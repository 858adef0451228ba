"""Mutated policy documents against two other readers: `python -m tests.campaigns.documents [COUNT] [SEED]`.

A wrong accept is a policy that we accept and that a reader of YAML 1.1 or of YAML 1.2 understands otherwise. A document
that cannot be read does not affect the others of its file, so the readers then get the documents one by one.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from controller.policy.document.document import NodeManagementPolicy
from controller.policy.document.parse import parse_documents

_GOOD = sorted((Path(__file__).parents[1] / "data" / "documents" / "good").iterdir())
_PIECES = (
    *"\n\t :-#,[]{}\"'&*!|>%@`?0123456789eE.xoXyYnN~\\/\u00e9",
    "\n---\n",
    "\n...\n",
    "<<: ",
    "&a ",
    "*a",
    "!!str ",
    "yes",
    "no",
    "on",
    "off",
    "null",
    "0x10",
    "0o17",
    "017",
    "1_000",
    "1:30",
    "1e3",
    ".inf",
    "2027-01-31",
    "enabled: true\n",
    "delete_after_minutes: 5",
    "agent_downloaded_only: false",
    "  ",
    "\r\n",
    "\ufeff",
    "\u2028",
    "\\u0041",
)


_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError)
_marker = re.compile(r"^(?:---|\.\.\.)(?=\s|$)", re.MULTILINE)
"""Where a document begins or ends; no value may contain such a line (YAML 1.2, 9.1.2)."""


class _Core(yaml.SafeLoader):
    """The core schema of YAML 1.2."""


_Core.yaml_implicit_resolvers = {}
for _tag, _form, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Core.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), list(_first))
_Core.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(node.value))


def mutated(text: str, chance: random.Random) -> str:
    """The text with a few random changes."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        cut = chance.choice((0, 0, 1, 1, 3, 20))
        text = text[:at] + chance.choice((*_PIECES, "")) + text[at + cut :]
    return text


def wrong_accept(text: str, file: str) -> str:
    """Which reader disagrees with what we accepted; empty if none does."""
    policies = [policy for policy in parse_documents(text.encode(errors="replace"), file).policies if policy.removal]
    if not policies:
        return ""
    for name, loader in (("YAML 1.1", yaml.SafeLoader), ("YAML 1.2", _Core)):
        read = [rules for root in _documents(text, loader) for rules in _rules(root)]
        if any(_own(policy) not in read for policy in policies):
            return f"{name}: {read}"
    return ""


def _documents(text: str, loader: type[yaml.SafeLoader]) -> list[Any]:
    """All documents; of a text that cannot be read as a whole, those that can be read alone."""
    with suppress(*_UNREADABLE):
        return list(yaml.load_all(text, loader))
    with suppress(*_UNREADABLE):
        return [json.loads(text)]  # PyYAML refuses tabs before values.
    documents: list[Any] = []
    for alone in _marker.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        with suppress(*_UNREADABLE):
            documents += yaml.load_all(alone, loader)
    return documents


def _own(policy: NodeManagementPolicy) -> list[tuple[object, ...]]:
    return [
        (rule.selector.text, rule.delete_after_minutes, rule.agent_downloaded_only) for rule in policy.removal or ()
    ]


def _rules(node: Any) -> Iterator[list[tuple[object, ...]]]:
    """The rules of every enabled policy below a node, in either spelling."""
    if not isinstance(node, dict):
        return
    image_policy = node.get("image_policy") or node.get("agentImagePolicy")
    if isinstance(image_policy, dict) and isinstance(node.get("enabled"), bool):
        rules = image_policy.get("removal") or image_policy.get("imageRemovalPolicies")
        rules = rules if isinstance(rules, list) else []
        yield [
            (
                rule.get("image_name", rule.get("imageId")),
                rule.get("delete_after_minutes", rule.get("deleteAfterMinutes")),
                rule.get("agent_downloaded_only", rule.get("agentDownloadedOnly")),
            )
            for rule in rules
            if isinstance(rule, dict)
        ]
    for child in node.values():
        yield from _rules(child)


def run(count: int, seed: int) -> Counter[str]:
    """Counts of accepted, refused and wrongly accepted documents."""
    chance, counts = random.Random(seed), Counter[str]()
    texts = {file.name: file.read_text(encoding="utf-8") for file in _GOOD if file.suffix != ".expected"}
    for _ in range(count):
        file = chance.choice(sorted(texts))
        text = mutated(texts[file], chance)
        if trouble := wrong_accept(text, file):
            counts["wrong"] += 1
            print(f"wrong accept ({trouble}):\n{text!r}", file=sys.stderr)
        counts["accepted" if parse_documents(text.encode(errors="replace"), file).policies else "refused"] += 1
    return counts


def main() -> int:
    """Run, and print one closing line; returns an exit code."""
    count, seed = (int(text) for text in (*sys.argv[1:], *("1000000", "1")[len(sys.argv) - 1 :]))
    counts = run(count, seed)
    print(
        f"documents: {count} mutated (seed {seed}), {counts['accepted']} accepted, {counts['refused']} refused,"
        f" {counts['wrong']} wrong accepts"
    )
    return int(counts["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())

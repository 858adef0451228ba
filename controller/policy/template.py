"""A template document: commented, disabled, and invalid exactly where a person must choose a value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from controller.policy.document import fields
from controller.policy.document.mapping import Field
from controller.printable import printable

_HEAD = """\
# yaml-language-server: $schema=nmp.schema.json
#
# Which container images a node removes, and when. Save this as {file} in the folder of policies: the name of
# the file is the name of the policy. The comment above each line explains it; lines after a # are optional.
#
#   imagectl nmp schema > nmp.schema.json     editors complete and check the file with it
#   imagectl nmp validate {file}
#   imagectl plan                             what would be removed, what is kept and why; removes nothing
"""


def new_document(name: str = "") -> str:
    """YAML text. `name` becomes the label; without a name the label is an example."""
    name = printable(name)
    lines = [_HEAD.format(file=f"{name or 'policy'}.yaml")]
    for field in fields.DOCUMENT.fields:
        if field is fields.LABEL:
            label = json.dumps(name or field.examples[0], ensure_ascii=False)
            lines += [f"# {_sentence(field)}", f"{field.name}: {label}", ""]
        elif field is fields.IMAGE_POLICY:
            lines += _image_policy()
        elif field.examples:
            lines += [f"# {_sentence(field)}", *_example(field), ""]
    return "\n".join(lines)


def _example(field: Field[Any]) -> Iterator[str]:
    """The field with its first example; after a `#` if the field is optional."""
    text = yaml.safe_dump({field.name: field.examples[0]}, sort_keys=False, allow_unicode=True)
    for number, line in enumerate(text.splitlines()):
        yield ("" if field.if_missing else "# ") + ("  " if number else "") + line


def _image_policy() -> Iterator[str]:
    """One rule without values."""
    yield f"# {_sentence(fields.IMAGE_POLICY)}"
    yield f"{fields.IMAGE_POLICY.name}:"
    yield f"  # {_sentence(fields.REMOVAL)}"
    yield f"  {fields.REMOVAL.name}:"
    for number, field in enumerate(fields.RULE.fields):
        yield f"    {' ' if number else '-'} # {_sentence(field)}"
        if field.if_missing:
            yield f"      # Choose: {', '.join(json.dumps(example) for example in field.examples)}"
            yield f"      {field.name}:"
        else:
            yield f"      # {field.name}: {json.dumps(field.examples[0])}"
    yield ""


def _sentence(field: Field[Any]) -> str:
    return f"{field.about[:1].upper()}{field.about[1:]}."

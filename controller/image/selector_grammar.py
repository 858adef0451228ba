"""Parse the parts of a selector; raises InvalidSelector with a hint at what was probably meant.

Shell patterns and regular expressions are recognised and refused with an explanation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from controller.errors import InvalidReference, InvalidSelector
from controller.image.reference import (
    DOCKER_HUB,
    DOCKER_HUB_OF_OLD,
    check_digest,
    check_tag,
    is_image_id,
    looks_like_registry,
    parse_repository,
    quoted,
)
from controller.image.wildcard import Wildcard

T = TypeVar("T")

LONGEST_TEXT = 1024
"""Characters besides `*`; no image name is longer."""

_IPV6 = r"\[(?=[A-Fa-f0-9]*:)[A-Fa-f0-9:]+\]"
_leading_ipv6 = re.compile(rf"^{_IPV6}")
_foreign_character = re.compile(r"[^A-Za-z0-9._*:/@-]")
_is_registry = re.compile(rf"(?:[A-Za-z0-9*](?:[A-Za-z0-9.*-]*[A-Za-z0-9*])?|{_IPV6})(?::[0-9*]+)?").fullmatch
_is_component = re.compile(r"[a-z0-9*](?:[a-z0-9._*-]*[a-z0-9*])?").fullmatch
_is_tag = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]*").fullmatch

_ONLY_WILDCARD = '"*" is the only wildcard; it matches any characters'
_LIKE_A_REGULAR_EXPRESSION = f"is this a regular expression? {_ONLY_WILDCARD}"
_HINTS = {
    **dict.fromkeys("?[]{}()|^$+\\", _ONLY_WILDCARD),
    **dict.fromkeys("<>", 'only "*" covers images without a name'),
    **dict.fromkeys(",;", "write one pattern for each rule"),
    **dict.fromkeys("\"'`", "remove the quotation marks"),
    "!": "a pattern cannot exclude images; use --protect for images to keep",
}


def check_characters(text: str) -> None:
    """Raises InvalidSelector if the text has characters that no image name has."""
    if not text.strip():
        raise InvalidSelector("the pattern is empty", 'write a name such as "nginx:1.27"')
    if len(text) - text.count("*") > LONGEST_TEXT:
        raise InvalidSelector(f"{quoted(text)} is longer than the name of any image")
    if text != text.strip():
        raise InvalidSelector(f"{quoted(text)} starts or ends with a blank", f"did you mean {quoted(text.strip())}?")
    if "://" in text:
        raise InvalidSelector(f"{quoted(text)} is a URL", f"did you mean {quoted(text.partition('://')[2])}?")
    foreign = _foreign_character.search(_leading_ipv6.sub("", text))
    if foreign:
        hint = _HINTS.get(foreign[0], "image names contain only letters, digits and . _ - / : @")
        raise InvalidSelector(f"{quoted(text)} contains {quoted(foreign[0])}", hint)
    if is_image_id(text):
        raise InvalidSelector(f"{quoted(text)} is an image ID", "write its name, with a tag or a digest")


def parse_repository_pattern(name: str) -> tuple[Wildcard, bool]:
    """repository = [registry "/"] component *("/" component), with "*" for any part of it

    The pattern, and whether it is for canonical or for familiar names. A repository without a `*` is read as Docker
    does (`docker.io/nginx` is `docker.io/library/nginx`), one with a `*` literally.
    """
    if "*" not in name:
        return Wildcard(_canonical(name)), True
    registry, slash, path = name.partition("/")
    for component in path.split("/") if slash and _is_registry(registry) else name.split("/"):
        if not _is_component(component):
            raise InvalidSelector(f"{quoted(name)} is not a repository pattern", _repository_hint(name, component))
    if not slash or "*" in registry or not looks_like_registry(registry):
        return Wildcard(name), False
    return Wildcard(f"{DOCKER_HUB}/{path}" if registry == DOCKER_HUB_OF_OLD else name), True


def parse_tag_pattern(tag: str) -> Wildcard | None:
    """tag = (letter / digit / "_" / "*") *(letter / digit / "_" / "." / "-" / "*")

    None for `*` alone, which also covers names without a tag.
    """
    if not tag:
        raise InvalidSelector('the tag after ":" is missing', 'write "*" for every tag')
    if not tag.strip("*"):
        return None
    if "*" not in tag:
        _parse_literal(check_tag, tag, _tag_hint(tag))
    elif not _is_tag(tag):
        raise InvalidSelector(f"{quoted(tag)} is not a tag pattern", _tag_hint(tag))
    return Wildcard(tag)


def check_digest_pattern(name: str, tag: str | None, digest: str) -> None:
    """digest = "sha256:" 64(hexadecimal digit), after a repository without a `*` and without a tag between them."""
    if "*" in name or "*" in digest:
        hint = f"did you mean {quoted(f'{name}:*')}, which also covers images with only a digest?"
        raise InvalidSelector('"*" and a digest cannot be combined', hint)
    _parse_literal(check_digest, digest, "`docker images --digests` prints digests in full")
    if tag is not None:
        hint = f"did you mean {quoted(f'{name}:{tag}')} or {quoted(f'{name}@{digest}')}?"
        raise InvalidSelector("a tag and a digest cannot be combined", hint)


def _canonical(name: str) -> str:
    domain, path = _parse_literal(parse_repository, name, _repository_hint(name, name))
    return f"{domain}/{path}"


def _parse_literal(parse: Callable[[str], T], text: str, hint: str) -> T:
    try:
        return parse(text)
    except InvalidReference as problem:
        raise InvalidSelector(str(problem), hint) from None


def _repository_hint(whole: str, part: str) -> str:
    if not whole:
        return 'write a name such as "nginx:1.27"'
    if not part:
        return "there is an empty part before, between or after the slashes"
    if part.startswith("."):
        return _LIKE_A_REGULAR_EXPRESSION
    if ":" in part:
        return 'a port follows the registry, before the first "/"; a tag is at the end'
    return f"did you mean the repository {quoted(whole.lower())}?" if part != part.lower() else ""


def _tag_hint(tag: str) -> str:
    return _LIKE_A_REGULAR_EXPRESSION if tag.startswith(".") else ""

"""Image names, `[registry/]path[:tag][@digest]`, and image IDs.

`parse_reference` is strict, for input of people; `reference_from_engine` accepts everything, for answers of engines.
Grammar and meaning are those of github.com/distribution/reference (regexp.go, normalize.go).
"""

from __future__ import annotations

import json
from dataclasses import field
from functools import total_ordering
from sys import intern
from typing import NewType

from controller.errors import InvalidReference
from controller.pattern import Pattern
from controller.value import dataclass

ImageId = NewType("ImageId", str)
"""`sha256:` and 64 hexadecimal digits, on every engine."""

DOCKER_HUB = "docker.io"
DOCKER_HUB_OF_OLD = "index.docker.io"
_OFFICIAL = "library/"

# Unambiguous, so that matching takes linear time.
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
_component = Pattern(_COMPONENT)
_path = Pattern(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_domain = Pattern(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Fa-f0-9:]+\])(?::[0-9]+)?")
_tag = Pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_digest = Pattern(r"sha256:[0-9a-f]{64}")
_any_digest = Pattern(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}")
_image_id = Pattern(r"(?:sha256:)?[0-9a-f]{64}")

LONGEST_PATH = 255
LONGEST_TAG = 128
_LONGEST_REFERENCE = 1_024


@total_ordering
@dataclass(frozen=True, slots=True)
class Reference:
    """One name of an image. References that mean the same are equal, independent of their text."""

    domain: str
    """The registry, with its port; empty for a bare ID or no name (`<none>:<none>`)."""
    path: str
    """The repository within the registry; on Docker Hub in full (`library/nginx`)."""
    tag: str | None
    digest: str | None
    """`sha256:` and 64 hexadecimal digits; for a bare ID, the ID."""
    text: str = field(compare=False)
    """The original text."""

    def __lt__(self, other: Reference) -> bool:
        return self._sort_key() < other._sort_key()

    def _sort_key(self) -> tuple[str, str, str, str]:
        return self.domain, self.path, self.tag or "", self.digest or ""

    @property
    def has_name(self) -> bool:
        """True if there is a repository; false for a bare ID and for no name."""
        return self.path != ""

    @property
    def is_digest(self) -> bool:
        """True for a repository with a digest and without a tag."""
        return self.has_name and self.tag is None and self.digest is not None

    @property
    def repository(self) -> str:
        """`docker.io/library/nginx`"""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def familiar_repository(self) -> str:
        """`nginx`: as `docker images` prints it, without Docker Hub and its `library/`."""
        if self.domain != DOCKER_HUB:
            return self.repository
        official = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in official else official

    @property
    def canonical(self) -> str:
        """`docker.io/library/nginx:1`"""
        return self._versioned(self.repository)

    @property
    def familiar(self) -> str:
        """`nginx:1`, as `docker images` prints it."""
        return self._versioned(self.familiar_repository)

    def _versioned(self, repository: str) -> str:
        if not self.has_name:
            return self.digest or self.text
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        name = repository + tag + digest
        return self.text if self.text == name else name  # A node has thousands of names: keep each text once.


def image_id(text: str) -> ImageId:
    """An ID of an engine in one form; Podman omits `sha256:`."""
    return ImageId(intern(text if ":" in text else f"sha256:{text}"))  # The ledger's records have the same IDs.


def is_image_id(text: str) -> bool:
    """True for a complete ID, with or without `sha256:` (with it, Docker would read a tag of `sha256`)."""
    return _image_id.regex.fullmatch(text) is not None


def reference_from_engine(text: str) -> Reference:
    """The name from an engine, an event or a container; never raises, because the engine has checked it.

    A bare ID, `<none>:<none>` and text without a repository give a reference for which `has_name` is false.
    """
    if is_image_id(text):
        return Reference("", "", None, image_id(text), text)
    name, tag, digest = split_reference(text)
    if not name or name == "<none>":
        return Reference("", "", None, None, text)
    domain, path = _split_domain(name)
    # A node has thousands of names but few registries and repositories.
    return Reference(intern(domain), intern(path), tag, digest, text)


def listed_reference(text: str) -> Reference:
    """A name from an engine's list, with any digest algorithm. Raises InvalidReference, because it becomes part of a
    request path.
    """
    name, tag, digest = split_reference(text)
    try:
        parse_repository(name)
        check_tag("latest" if tag is None else tag)
    except InvalidReference as error:
        raise InvalidReference(f"{quoted(text)} is not the name of an image ({error})") from None
    if (
        len(text) > _LONGEST_REFERENCE
        or not (digest is None or _any_digest.regex.fullmatch(digest))
        or is_image_id(text)
    ):
        raise InvalidReference(f"{quoted(text)} is not the name of an image")
    return reference_from_engine(text)


def parse_reference(text: str) -> Reference:
    """reference = [domain "/"] path [":" tag] ["@" digest]

    For input of people. A missing tag is not completed. Raises InvalidReference.
    """
    if is_image_id(text):
        raise InvalidReference(f"{quoted(text)} is an image ID, not a name")
    name, tag, digest = split_reference(text)
    domain, path = parse_repository(name)
    if tag is not None:
        check_tag(tag)
    if digest is not None:
        check_digest(digest)
    return Reference(domain, path, tag, digest, text)


def split_reference(text: str) -> tuple[str, str | None, str | None]:
    """Repository, tag and digest, cut at the first `@` and before it at the last `:` after the last `/`; unchecked."""
    name, at, digest = text.partition("@")
    colon = name.rfind(":")
    tag = None
    if colon > name.rfind("/"):
        name, tag = name[:colon], name[colon + 1 :]
    return name, tag, digest if at else None


def parse_repository(name: str) -> tuple[str, str]:
    """repository = [domain "/"] component *("/" component)

    Domain and path, both in full. Raises InvalidReference.
    """
    domain, path = _split_domain(name)
    # Docker reads `my_registry.local/app` as a path, because a host name has no underscore.
    if not (_domain.regex.fullmatch(domain) or _component.regex.fullmatch(domain)) or not _path.regex.fullmatch(path):
        raise InvalidReference(_what_is_wrong_with(name))
    if len(path) > LONGEST_PATH:
        raise InvalidReference(f"the repository {quoted(name)} is longer than {LONGEST_PATH} characters")
    return domain, path


def check_tag(tag: str) -> None:
    """tag = (letter / digit / "_") *127(letter / digit / "_" / "." / "-"), ASCII only. Raises InvalidReference."""
    if len(tag) > LONGEST_TAG:
        raise InvalidReference(f"the tag {quoted(tag)} is longer than {LONGEST_TAG} characters")
    if not _tag.regex.fullmatch(tag):
        raise InvalidReference(
            f"{quoted(tag)} is not a tag: a tag contains letters, digits, _ . and -, and does not start with . or -"
        )


def check_digest(digest: str) -> None:
    """digest = "sha256:" 64(lower-case hexadecimal digit). Raises InvalidReference."""
    if not _digest.regex.fullmatch(digest):
        raise InvalidReference(f'{quoted(digest)} is not a digest: expected "sha256:" and 64 of 0-9 a-f')


_MOST_QUOTED = 102


def quoted(text: str) -> str:
    """Text for a message: in double quotes, on one line, in ASCII, at most 102 characters with its escapes."""
    escaped = json.dumps(text[:_MOST_QUOTED])
    return escaped if len(escaped) <= _MOST_QUOTED else f'{escaped[: _MOST_QUOTED - 4]}..."'


def looks_like_registry(component: str) -> bool:
    """True if the first component of a name is a registry; if not, the name is on Docker Hub."""
    return "." in component or ":" in component or component == "localhost"


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    # A path has no upper case, so this must be a host (Docker's rule).
    if not slash or not (looks_like_registry(first) or first != first.lower()):
        first, rest = DOCKER_HUB, name
    elif first == DOCKER_HUB_OF_OLD:
        first = DOCKER_HUB
    if first == DOCKER_HUB and "/" not in rest:
        rest = _OFFICIAL + rest
    return first, rest


def _what_is_wrong_with(name: str) -> str:
    if not name:
        return 'an image name starts with a repository, as in "nginx:1.27"'
    if "://" in name:
        return f'{quoted(name)} is a URL: remove everything up to "://"'
    if not name.isascii() or not name.isprintable() or " " in name:
        return f"{quoted(name)} contains a blank, or a character that is not printable ASCII"
    if name != name.lower():
        return f"{quoted(name)} is not a repository name: repository names are lower case"
    return (
        f"{quoted(name)} is not a repository name: each part between slashes contains only a-z and 0-9, "
        "separated by single . or _, by __, or by any number of -"
    )

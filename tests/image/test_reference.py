"""Image names: Docker's grammar for input of people, and any text from engines."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, assume, example, given, reject, settings
from hypothesis import strategies as st

from controller.errors import InvalidReference
from controller.image.reference import Reference, image_id, is_image_id, parse_reference, quoted, reference_from_engine

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"

words = [
    "nginx",
    "a",
    "1",
    "A",
    "docker.io",
    "index.docker.io",
    "library",
    "localhost",
    "my_registry.local",
    "[::1]",
    "é",
]
marks = [".", "_", "__", "___", "-", "--", "/", "//", ":", ":5000", "@"]
pieces = st.sampled_from([*words, *marks, " ", "\n", DIGEST, f"@{DIGEST}", HEX, "x" * 130])
nearly_names = st.lists(pieces, max_size=9).map("".join)


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest"),
    [
        ("nginx", "docker.io", "library/nginx", None, None),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", None),
        ("team/app:1", "docker.io", "team/app", "1", None),
        ("docker.io/nginx:1", "docker.io", "library/nginx", "1", None),
        ("index.docker.io/team/app", "docker.io", "team/app", None, None),
        ("localhost/x:1", "localhost", "x", "1", None),
        ("localhost:1", "docker.io", "library/localhost", "1", None),
        ("registry.local:5000/app", "registry.local:5000", "app", None, None),
        ("registry.local:5000", "docker.io", "library/registry.local", "5000", None),
        ("Registry/app", "Registry", "app", None, None),
        ("[fc00::1]:5000/app:v1", "[fc00::1]:5000", "app", "v1", None),
        ("my_registry.local/app", "my_registry.local", "app", None, None),
        (f"team/app@{DIGEST}", "docker.io", "team/app", None, DIGEST),
        (f"team/app:1@{DIGEST}", "docker.io", "team/app", "1", DIGEST),
        (f"docker.io/{HEX}", "docker.io", f"library/{HEX}", None, None),
        ("docker---rules/dock__er", "docker.io", "docker---rules/dock__er", None, None),
    ],
)
def test_a_name_is_read_as_docker_reads_it(
    text: str, domain: str, path: str, tag: str | None, digest: str | None
) -> None:
    for reference in (parse_reference(text), reference_from_engine(text)):
        assert (reference.domain, reference.path, reference.tag, reference.digest) == (domain, path, tag, digest)
        assert reference.text == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "starts with a repository"),
        (":1", "starts with a repository"),
        (f"@{DIGEST}", "starts with a repository"),
        ("https://registry.local/app", "is a URL"),
        ("nginx :1", "contains a blank"),
        ("nginx\n", "contains a blank, or a character that is not printable ASCII"),
        ("ngïnx:1", "not printable ASCII"),
        ("team/App:1", "lower case"),
        ("Nginx:1", "lower case"),
        ("a..b", "is not a repository"),
        ("a___b", "is not a repository"),
        ("-a/b", "is not a repository"),
        ("a//b", "is not a repository"),
        ("a/", "is not a repository"),
        ("a:b:c", "is not a repository"),
        ("r.local:port/app:1", "is not a repository"),
        ("[fe80::1%eth0]:5000/app", "is not a repository"),
        ("nginx:", '"" is not a tag'),
        ("nginx:.1", '".1" is not a tag'),
        ("nginx:1\n", '"1\\n" is not a tag'),
        ("nginx:1٣", "is not a tag"),
        ("nginx@", '"" is not a digest'),
        ("nginx@sha256:0123", "is not a digest"),
        (f"nginx@sha256:{HEX.upper()}", "is not a digest"),
        (f"nginx@{DIGEST}@{DIGEST}", "is not a digest"),
        (f"nginx@sha512:{HEX}{HEX}", "is not a digest"),
        (HEX, "is an image ID"),
        (DIGEST, "is an image ID"),
        ("a/" + "b" * 256, "longer than 255"),
        ("a:" + "b" * 129, "longer than 128"),
    ],
)
def test_an_invalid_name_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(InvalidReference) as refused:
        parse_reference(text)
    assert complaint in str(refused.value)


def test_a_message_is_one_short_line_however_long_and_odd_the_text() -> None:
    with pytest.raises(InvalidReference) as refused:
        parse_reference("A\n" * 100_000)
    assert len(str(refused.value)) < 300
    assert str(refused.value).isprintable()


def test_the_longest_path_and_the_longest_tag_are_allowed() -> None:
    reference = parse_reference(f"team/{'b' * 250}:{'t' * 128}")
    assert len(reference.path) == 255
    assert len(reference.tag or "") == 128


@given(nearly_names)
@example("[2001:db8:3:4::192.0.2.33]:5000/debian")
@example("a" * 64 + ":1")
def test_docker_image_py_accepts_and_reads_the_same_names(text: str) -> None:
    pytest.importorskip("docker_image", reason="its `regex` has no wheel for this machine")
    first = text.partition("/")[0]
    assume("." not in first or "_" not in first)  # It refuses an underscore in a registry; Docker's grammar does not.
    assert _as_read_here(text) == _as_read_by_docker_image_py(text)


def _as_read_here(text: str) -> tuple[str, str | None, str | None] | None:
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return None
    return reference.repository, reference.tag, reference.digest


def _as_read_by_docker_image_py(text: str) -> tuple[str, str | None, str | None] | None:
    # It lets a newline at the end pass, which Docker does not. An ID with its `sha256:` is a tag to it, as to Docker.
    if text.endswith("\n") or is_image_id(text):
        return None
    from docker_image import reference as docker_image  # type: ignore[import-untyped]

    try:
        reference = docker_image.Reference.parse_normalized_named(text)
    except (docker_image.InvalidReference, docker_image.digest_.InvalidDigest):
        return None
    return reference["name"], reference["tag"], reference["digest"]


@settings(suppress_health_check=[*HealthCheck])  # Most names are invalid.
@given(nearly_names)
def test_a_valid_name_means_the_same_from_an_engine(text: str) -> None:
    try:
        typed = parse_reference(text)
    except InvalidReference:
        reject()
    assert reference_from_engine(text) == typed


@given(st.text() | nearly_names)
def test_no_name_from_an_engine_raises(text: str) -> None:
    reference = reference_from_engine(text)
    assert reference.text == text
    assert isinstance(reference.canonical + reference.familiar + reference.repository, str)
    assert reference == reference_from_engine(text)


@settings(suppress_health_check=[*HealthCheck])  # Most names are invalid.
@given(nearly_names)
def test_the_canonical_and_the_familiar_name_name_the_same(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidReference:
        reject()
    assert reference_from_engine(reference.canonical) == reference
    if not is_image_id(reference.familiar):  # docker.io/<64 hex digits>, which Docker cannot shorten either
        assert reference_from_engine(reference.familiar) == reference


@pytest.mark.parametrize(
    ("text", "familiar", "canonical"),
    [
        ("docker.io/library/nginx:1", "nginx:1", "docker.io/library/nginx:1"),
        ("team/app:1", "team/app:1", "docker.io/team/app:1"),
        ("docker.io/library/foo/bar:1", "library/foo/bar:1", "docker.io/library/foo/bar:1"),
        ("localhost/x:1", "localhost/x:1", "localhost/x:1"),
        (f"nginx:1@{DIGEST}", f"nginx:1@{DIGEST}", f"docker.io/library/nginx:1@{DIGEST}"),
        (DIGEST, DIGEST, DIGEST),
        (HEX, DIGEST, DIGEST),
        ("<none>:<none>", "<none>:<none>", "<none>:<none>"),
    ],
)
def test_a_reference_has_a_familiar_and_a_canonical_name(text: str, familiar: str, canonical: str) -> None:
    reference = reference_from_engine(text)
    assert (reference.familiar, reference.canonical) == (familiar, canonical)


@pytest.mark.parametrize("text", [DIGEST, HEX, "<none>:<none>", "<none>@<none>", "", ":1"])
def test_an_id_and_a_missing_name_are_not_names(text: str) -> None:
    reference = reference_from_engine(text)
    assert not reference.has_name
    assert not reference.is_digest
    assert reference.repository == reference.familiar_repository == ""


@pytest.mark.parametrize(("text", "is_digest"), [(f"a@{DIGEST}", True), (f"a:1@{DIGEST}", False), ("a:1", False)])
def test_a_digest_reference_is_one_without_a_tag(text: str, is_digest: bool) -> None:
    assert reference_from_engine(text).is_digest is is_digest


def test_references_are_equal_however_they_were_written() -> None:
    assert (
        len(
            {
                reference_from_engine(text)
                for text in ("nginx:1", "docker.io/nginx:1", "index.docker.io/library/nginx:1")
            }
        )
        == 1
    )
    assert reference_from_engine("nginx:1") != reference_from_engine("nginx:2")


def test_references_with_and_without_tags_can_be_sorted() -> None:
    texts = ["b:2", f"b@{DIGEST}", "a", "b:1", "localhost/a:1"]
    ordered = sorted(reference_from_engine(text) for text in texts)
    assert [reference.text for reference in ordered] == ["a", f"b@{DIGEST}", "b:1", "b:2", "localhost/a:1"]


def test_a_complete_name_is_there_once() -> None:
    reference = reference_from_engine("registry.local:5000/team/app:1")
    assert reference.canonical is reference.familiar is reference.text


def test_an_id_has_one_form_on_every_engine() -> None:
    assert image_id(HEX) == image_id(DIGEST) == DIGEST


def test_references_are_small() -> None:
    assert not hasattr(Reference("docker.io", "library/a", None, None, text="a"), "__dict__")


@pytest.mark.parametrize("character", ["a", '"', "\n", "\u00e9", "\U0001f600", "\ud800"])
def test_a_text_in_a_message_is_short_also_if_each_character_is_escaped(character: str) -> None:
    assert quoted(character * 8) == json.dumps(character * 8)
    long = quoted(character * 101)
    assert (len(long), long[0], long[-4:]) == (102, '"', '..."')
    assert long.isascii()

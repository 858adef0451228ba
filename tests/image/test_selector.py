"""The references that a selector covers, alone and in an index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import InvalidSelector
from controller.image.reference import Reference, reference_from_engine
from controller.image.selector import Selector, SelectorIndex, parse_selector
from controller.image.wildcard import Wildcard

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
OTHER_DIGEST = f"sha256:{HEX[::-1]}"

COVERED = [
    ("*", "nginx:1"),
    ("*", DIGEST),
    ("*", "<none>:<none>"),
    ("*:*", "nginx:1"),
    ("*:*", "registry.local:5000/team/app:1"),
    ("*:*", f"nginx@{DIGEST}"),
    ("nginx:1", "nginx:1"),
    ("nginx:1", "docker.io/library/nginx:1"),
    ("nginx:*", "nginx:1"),
    ("nginx:*", f"nginx@{DIGEST}"),
    ("nginx:**", f"nginx@{DIGEST}"),
    ("nginx:1.*", "nginx:1.27"),
    ("nginx:*.27", "nginx:1.27"),
    ("docker.io/library/nginx:1", "nginx:1"),
    ("docker.io/nginx:1", "nginx:1"),
    ("library/nginx:1", "nginx:1"),
    ("index.docker.io/library/*:1", "nginx:1"),
    ("docker.io/*:*", "nginx:1"),
    ("docker.io/*:*", f"team/app@{DIGEST}"),
    ("team/*:*", "team/app:1"),
    ("team/*:*", "team/sub/app:1"),
    ("*/app:1", "registry.local/team/app:1"),
    ("registry.local:5000/team/*:1.*", "registry.local:5000/team/app:1.2"),
    ("registry.local:*/app:*", "registry.local:5000/app:1"),
    ("localhost/*:*", "localhost/x:1"),
    ("*.io/*:*", "r.io/app:1"),
    ("[::1]:5000/*:*", "[::1]:5000/app:1"),
    ("Registry/*:*", "Registry/app:1"),
    ("nginx:Latest", "nginx:Latest"),
    (f"nginx@{DIGEST}", f"nginx@{DIGEST}"),
    (f"docker.io/library/nginx@{DIGEST}", f"nginx@{DIGEST}"),
    (f"nginx@{DIGEST}", f"nginx:1@{DIGEST}"),
    ("nginx:1", f"nginx:1@{DIGEST}"),
]

NOT_COVERED = [
    ("*:*", DIGEST),
    ("*:*", HEX),
    ("*:*", "<none>:<none>"),
    ("nginx:1", "nginx:1.0"),
    ("nginx:1", "nginx:11"),
    ("nginx:1", "team/nginx:1"),
    ("nginx:1", "localhost/nginx:1"),
    ("nginx:1", f"nginx@{DIGEST}"),
    ("nginx:1*", f"nginx@{DIGEST}"),
    ("nginx:*1*", f"nginx@{DIGEST}"),
    ("nginx:*", "nginx-extra:1"),
    ("nginx:*", "nginx/sub:1"),
    ("nginx:*", "team/nginx:1"),
    ("nginx:latest", "nginx:Latest"),
    ("nginx:1.*", "nginx:1x27"),
    ("docker.io/*:*", "registry.local/app:1"),
    ("docker.io/*:*", "localhost/docker.io/app:1"),
    ("docker.io/ngin*:*", "nginx:1"),
    ("library/ngin*:*", "nginx:1"),
    ("*/*:*", "nginx:1"),
    ("*.io/*:*", "nginx:1"),
    ("team/*:*", "registry.local/team/app:1"),
    ("localhost/*:*", "app:1"),
    ("registry.local/*:*", "registry.local:5000/app:1"),
    ("registry.local:5000", "registry.local:5000/app:5000"),
    (f"nginx@{DIGEST}", f"nginx@{OTHER_DIGEST}"),
    (f"nginx@{DIGEST}", f"team/nginx@{DIGEST}"),
    (f"nginx@{DIGEST}", "nginx:1"),
    (f"nginx@{DIGEST}", DIGEST),
]


@pytest.mark.parametrize(("pattern", "name"), COVERED)
def test_a_selector_covers_what_it_says(pattern: str, name: str) -> None:
    selector, reference = parse_selector(pattern), reference_from_engine(name)
    assert selector.matches(reference)
    assert SelectorIndex([(selector, "rule")]).matching(reference) == ("rule",)


@pytest.mark.parametrize(("pattern", "name"), NOT_COVERED)
def test_a_selector_covers_nothing_else(pattern: str, name: str) -> None:
    selector, reference = parse_selector(pattern), reference_from_engine(name)
    assert not selector.matches(reference)
    assert SelectorIndex([(selector, "rule")]).matching(reference) == ()


@pytest.mark.parametrize(("pattern", "covers"), [("*", True), ("*:*", False), ("nginx:*", False)])
def test_only_the_star_alone_covers_an_image_without_a_name(pattern: str, covers: bool) -> None:
    assert parse_selector(pattern).matches(None) is covers
    assert SelectorIndex([(parse_selector(pattern), "rule")]).matching(None) == (("rule",) if covers else ())


def test_a_selector_keeps_its_text_and_is_equal_by_it() -> None:
    assert parse_selector("index.docker.io/a*:1").text == "index.docker.io/a*:1"
    assert parse_selector("a:1") == parse_selector("a:1") != parse_selector("a:2")
    assert len({parse_selector("a:1"), parse_selector("a:1")}) == 1


repositories = st.sampled_from(
    ["a", "b", "library/a", "a/b", "docker.io/a", "docker.io/a/b", "r.io/a", "r.io/a/b", "localhost/a", "R/a"]
)
tags = st.sampled_from(["1", "1.0", "12", "v1"])
digests = st.sampled_from([DIGEST, OTHER_DIGEST])
versions = st.one_of(tags.map(":{}".format), digests.map("@{}".format), st.builds(":{}@{}".format, tags, digests))
references = st.one_of(st.builds(str.__add__, repositories, versions), st.sampled_from([DIGEST, "<none>:<none>"])).map(
    reference_from_engine
)


def _parsed_or_none(text: str) -> Selector | None:
    try:
        return parse_selector(text)
    except InvalidSelector:
        return None


def _with_stars(text: str, places: list[int]) -> str:
    for place in places:
        start = place % (len(text) + 1)
        text = text[:start] + "*" + text[start + place % 4 :]
    return text


exact_patterns = st.builds(str.__add__, repositories, versions | st.just(":*"))
patterns = (
    st.just("*") | exact_patterns | st.builds(_with_stars, exact_patterns, st.lists(st.integers(0, 60), max_size=3))
)
selectors = patterns.map(_parsed_or_none).filter(bool)


@given(st.lists(selectors, max_size=25), references | st.none())
def test_the_index_gives_the_same_answer_as_every_selector(
    selectors: list[Selector], reference: Reference | None
) -> None:
    index = SelectorIndex((selector, place) for place, selector in enumerate(selectors))
    assert index.matching(reference) == tuple(
        place for place, selector in enumerate(selectors) if selector.matches(reference)
    )


def test_a_pattern_that_covers_everything_is_only_made_of_stars() -> None:
    """Nothing is cut from a pattern: one with a letter does not cover everything."""
    names = [
        reference_from_engine(f"{repository}:{tag}") for repository in ("x", "y/x", "r.io/x") for tag in ("1", "2")
    ]
    for pattern in ("docker.io/*:*", "index.docker.io/*:*", "r.io/*:*", "*x*:1", "*:*1", "library/*:*", "*/*:*"):
        assert not all(parse_selector(pattern).matches(name) for name in names)


@pytest.mark.parametrize(
    "pattern",
    [
        "r.io/team/svc{}:*",
        "r.io/team/svc{0}:v{0}",
        "r.io/team/svc{}*:*",
        "r.io/*/svc{}:*",
        "*svc{}*:*",
        "*:*{}",
        "r.io/team/*:v{}*",
    ],
)
def test_an_index_compares_a_name_with_few_of_its_rules(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = SelectorIndex((parse_selector(pattern.format(f"{rule:04d}")), rule) for rule in range(1000))
    names = [reference_from_engine(f"r.io/team/svc{name % 1000:04d}:v{name:04d}") for name in range(2_000)]
    asked = list[str]()
    matches = Wildcard.matches

    def counted(rule: Wildcard, name: str) -> bool:
        asked.append(name)
        return matches(rule, name)

    monkeypatch.setattr(Wildcard, "matches", counted)
    assert sum(len(index.matching(name)) for name in names) >= 1000
    assert len(asked) <= 20 * len(names)

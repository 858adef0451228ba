"""Invalid selectors and their messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import InvalidSelector
from controller.image.reference import parse_reference
from controller.image.selector import parse_selector

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"
ONLY_WILDCARD = '"*" is the only wildcard'


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("image1", '"image1" has no tag', 'did you mean "image1:*" or "image1:latest"?'),
        ("r.io:5000/a", '"r.io:5000/a" has no tag', 'did you mean "r.io:5000/a:*" or "r.io:5000/a:latest"?'),
        ("image1*", '"image1*" has no tag', 'did you mean "image1*:*" or "image1*:latest"?'),
        ("docker.io/*", '"docker.io/*" has no tag', 'did you mean "docker.io/*:*"'),
        ("**", '"**" has no tag', 'did you mean "*:*" (every name) or "*"'),
        ("", "the pattern is empty", "write a name"),
        ("  ", "the pattern is empty", "write a name"),
        (" nginx:1", "starts or ends with a blank", 'did you mean "nginx:1"?'),
        ("nginx:1\n", "starts or ends with a blank", 'did you mean "nginx:1"?'),
        ("nginx 1:*", 'contains " "', "image names contain only"),
        ("nginx\x00:*", 'contains "\\u0000"', "image names contain only"),
        ("ngïnx:*", 'contains "\\u00ef"', "image names contain only"),
        ("nginx:1?", 'contains "?"', ONLY_WILDCARD),
        ("nginx:[0-9]*", 'contains "["', ONLY_WILDCARD),
        ("nginx:[a:b]*", 'contains "["', ONLY_WILDCARD),
        ("[ab]*:1", 'contains "["', ONLY_WILDCARD),
        ("{a,b}:*", 'contains "{"', ONLY_WILDCARD),
        ("^nginx:.+$", 'contains "^"', ONLY_WILDCARD),
        ("(a|b):*", 'contains "("', ONLY_WILDCARD),
        (".*:.*", "is not a repository pattern", "is this a regular expression?"),
        ("nginx:.*", "is not a tag pattern", "is this a regular expression?"),
        ("nginx:1.*, redis:*", 'contains ","', "one pattern for each rule"),
        ('"nginx:1"', 'contains "\\""', "remove the quotation marks"),
        ("!nginx:*", 'contains "!"', "a pattern cannot exclude images"),
        ("<none>:<none>", 'contains "<"', 'only "*" covers images without a name'),
        ("docker://nginx:1", "is a URL", 'did you mean "nginx:1"?'),
        (HEX, "is an image ID", "write its name"),
        (DIGEST, "is an image ID", "write its name"),
        ("Image1:*", "lower case", 'did you mean the repository "image1"?'),
        ("team/Image1:*", "lower case", 'did you mean the repository "team/image1"?'),
        ("Image*:1", '"Image*" is not a repository pattern', 'did you mean the repository "image*"?'),
        ("r.io/Team/*:1", "is not a repository pattern", 'did you mean the repository "r.io/team/*"?'),
        (":*", "starts with a repository", "write a name"),
        ("nginx:", 'the tag after ":" is missing', 'write "*" for every tag'),
        ("a:b:c", '"a:b" is not a repository', "a tag is at the end"),
        ("*/a:5000/b:1", "is not a repository pattern", "a port follows the registry"),
        ("team//a*:1", "is not a repository pattern", "there is an empty part"),
        ("/a*:1", "is not a repository pattern", "there is an empty part"),
        ("team/:1", "is not a repository", ""),
        ("nginx:-*", "is not a tag pattern", ""),
        (f"nginx:{'1' * 129}", "longer than 128", ""),
        (f"nginx:1@{DIGEST}", "a tag and a digest cannot be combined", f'did you mean "nginx:1" or "nginx@{DIGEST}"?'),
        ("nginx@*", '"*" and a digest cannot be combined', 'did you mean "nginx:*"'),
        ("nginx@sha256:*", '"*" and a digest cannot be combined', 'did you mean "nginx:*"'),
        (f"team/*@{DIGEST}", '"*" and a digest cannot be combined', 'did you mean "team/*:*"'),
        ("nginx@sha256:0123", '"sha256:0123" is not a digest', "--digests"),
        (f"nginx@sha256:{HEX.upper()}", "is not a digest", "--digests"),
        (f"nginx@{HEX}", "is not a digest", "--digests"),
        ("a*" * 2000 + ":1", "is longer than the name of any image", ""),
    ],
)
def test_what_is_not_a_selector_is_refused_with_a_hint(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidSelector) as refused:
        parse_selector(text)
    assert message in refused.value.message
    assert hint in refused.value.hint


@given(st.text("aA1*:/@.-_[] ", max_size=30) | st.text())
def test_any_text_is_a_selector_or_refused_in_one_line(text: str) -> None:
    refused = _refusal(text)
    if refused is None:
        assert parse_selector(text).text == text
    else:
        assert (refused.message + refused.hint).isprintable()
        assert len(refused.message + refused.hint) < 600


@given(st.text("aA1*:/@.-_", max_size=20))
def test_what_a_hint_completes_is_a_selector(text: str) -> None:
    refused = _refusal(text)
    if refused and refused.message.endswith(("has no tag", "cannot be combined")):
        for proposal in refused.hint.split('"')[1::2]:
            assert parse_selector(proposal).text == proposal


def _refusal(text: str) -> InvalidSelector | None:
    try:
        parse_selector(text)
    except InvalidSelector as refused:
        return refused
    return None


@pytest.mark.timeout(5)
def test_ten_thousand_stars_are_one_star() -> None:
    assert parse_selector("*" * 10_000 + ":*").matches(parse_reference("team/app:1"))

"""Markup from text: text never becomes markup."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.daemon.page.html import Html, el, joined
from controller.daemon.page.words import breakable
from controller.printable import printable


class _Reader(HTMLParser):
    """Reads it like a browser: tags with their attributes, and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(markup: str) -> _Reader:
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return reader


@given(st.text())
def test_any_text_is_escaped(text: str) -> None:
    found = read(el("p", text))
    assert [tag for tag, _ in found.tags] == ["p"]
    assert found.text == printable(text)


@given(st.text())
def test_any_attribute_is_escaped(text: str) -> None:
    assert read(el("a", title=text)).tags == [("a", {"title": printable(text)})]


def test_markup_in_markup_is_kept() -> None:
    assert el("ul", (el("li", word) for word in "ab"), None) == "<ul><li>a</li><li>b</li></ul>"


def test_attributes_are_spelt_as_in_html_and_may_be_left_out() -> None:
    made = el("input", class_="x", aria_label="Search", hidden=True, disabled=False, value=None)
    assert made == '<input class="x" aria-label="Search" hidden>'


def test_text_beside_markup_is_escaped_as_well() -> None:
    assert joined(["<", Html("<b>"), ["&", None]]) == "&lt;<b>&amp;"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("app:1", "app :1"),
        ("registry.local:5000/team/app:1.4", "registry. local:5000/ team/ app :1.4"),
        ("team/app:1@sha256:0a", "team/ app :1 @sha256:0a"),
        ("<none> 7a7ac3057603", "<none> 7a7ac3057603"),
    ],
)
def test_a_name_wraps_between_its_parts_and_never_before_a_port(name: str, parts: str) -> None:
    assert str(el("b", breakable(name))) == f"<b>{escape(parts).replace(' ', '<wbr>')}</b>".replace(
        "&lt;none&gt;<wbr>", "&lt;none&gt; "
    )


@given(st.text(alphabet="a.:/@-0<", max_size=30))
def test_a_name_that_may_wrap_has_the_same_text(name: str) -> None:
    assert str(el("b", breakable(name))).replace("<wbr>", "") == str(el("b", name))

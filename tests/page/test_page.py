"""The status page in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.daemon.overview import History
from controller.daemon.status import PassResult, Status
from controller.image.image import Image
from controller.image.reference import reference_from_engine
from controller.plan.node.agent import NodeAnswer
from controller.plan.verdict.decision import Decision
from tests import sample_node
from tests.page.browser import Browser
from tests.page.site import HIDDEN_DISK, Site, busy_status, served
from tests.steps import grows_linearly

ESCAPE, ENTER, TAB = "\ue00c", "\ue007", "\ue004"


def rows(window: Browser) -> list[str]:
    """The references that are shown."""
    return list(window.run("return [...document.querySelectorAll('.references tbody .why')].map(a => a.textContent)"))


def refresh(window: Browser) -> None:
    """The refresh that the page does every ten seconds, and when it becomes visible."""
    window.run("document.dispatchEvent(new Event('visibilitychange'))")


def wait_for_text(window: Browser, selector: str, text: str) -> None:
    script = "return document.querySelector(arguments[0])?.innerText?.includes(arguments[1])"
    window.wait_for(lambda: window.run(script, selector, text))


class TestWhatItSays:
    def test_the_page_shows_health_and_the_time_of_the_last_pass(self, window: Browser, address: str) -> None:
        window.open(address)
        assert window.text("#state") == "Healthy"
        assert "last pass 42 s ago" in window.text("#health")

    def test_the_page_shows_the_disk_and_the_freed_bytes(self, window: Browser, address: str) -> None:
        window.open(address)
        figures = window.text("#figures")
        assert "in 60 images" in figures
        assert "21.3 GB free" in figures
        assert "today" in figures
        assert "in 7 days" in figures
        assert "48.7 GB in all, 2 measurements unknown" in figures

    def test_the_page_shows_the_next_removals(self, window: Browser, address: str) -> None:
        window.open(address)
        said = window.text("#next")
        assert "now, in 10 references" in said
        assert "in 20 min acme/telemetry:1.0 frees 105.6 MB" in " ".join(said.split())

    def test_policies_with_their_state_and_their_problems(self, window: Browser, tmp_path: Path) -> None:
        site = Site()
        site.publish(busy_status(12, tmp_path, broken=sample_node.A_BROKEN_POLICY))
        with served(site) as address:
            window.open(address)
            assert window.text("#state") == "Works, with problems"
            assert "3 errors in policy documents" in window.text("#troubles")
            policies = window.text("#policies")
            assert "spring-cleaning\nwaiting" in policies
            assert "broken\ninvalid" in policies
            assert "broken.yaml:5:51: error:" in policies
            target = window.run("return document.querySelector('#troubles a').hash")
            assert "broken.yaml:5:51" in window.run(
                f"return document.querySelector('{target}').parentElement.innerText"
            )

    def test_the_last_removals_and_what_each_freed(self, window: Browser, address: str) -> None:
        window.open(address)
        removals = window.text("#removals")
        assert "41 min ago" in removals
        assert "by services#2" in removals
        assert "image is being used by stopped container" in removals

    def test_an_unreachable_engine_is_shown(self, window: Browser, busy: Status) -> None:
        site = Site()
        lost = "cannot connect to the engine: connection refused"
        site.publish(replace(busy, result=PassResult.FAILED, trouble=lost))
        with served(site) as address:
            window.open(address)
            assert (window.text("#state"), window.text("#troubles")) == ("Does not work", lost)

    def test_the_name_of_the_host_if_nothing_names_the_node(self, window: Browser, tmp_path: Path) -> None:
        site = Site(host_name="gateway-7")
        nameless = sample_node.status_of(sample_node.decision_on(sample_node.memory_of(3), tmp_path), tmp_path)
        site.publish(replace(nameless, decision=replace(nameless.decision, node=NodeAnswer())))
        with served(site) as address:
            window.open(address)
            assert window.text("h1 .node") == "gateway-7"

    def test_an_empty_node(self, window: Browser, tmp_path: Path) -> None:
        site = Site(history=History(), disk=HIDDEN_DISK)
        site.publish(sample_node.status_of(sample_node.decision_on(sample_node.memory_of(0), tmp_path), tmp_path))
        with served(site) as address:
            window.open(address)
            assert "There are no images on this node." in window.text("#references")
            assert "cannot be seen from this container" in window.text("#figures")
            assert "Nothing was removed in the last 14 days." in window.text("#removals")

    def test_before_the_first_pass_it_says_so_and_then_appears_by_itself(self, window: Browser, busy: Status) -> None:
        site = Site()
        with served(site) as address:
            window.open(address)
            assert window.text("#state").startswith("Starting")
            site.publish(busy)
            refresh(window)
            wait_for_text(window, "#state", "Healthy")
            window.wait_for(lambda: len(rows(window)) == 50)


class TestTheListOfImages:
    def test_typing_searches_and_keeps_the_focus(self, window: Browser, address: str) -> None:
        window.open(address)
        window.type("#q", "telemetry")
        window.wait_for(lambda: len(rows(window)) == 5)
        assert all(name.startswith("acme/telemetry:") for name in rows(window))
        assert window.run("return [document.activeElement.id, document.activeElement.value]") == ["q", "telemetry"]
        assert window.run("return location.search") == "?q=telemetry"

    def test_a_verdict_is_chosen_with_a_click(self, window: Browser, address: str) -> None:
        window.open(address)
        window.click(".chips li:nth-child(2) a")
        window.wait_for(lambda: len(rows(window)) == 10)
        assert set(window.run("return [...document.querySelectorAll('td .verdict')].map(e => e.textContent)")) == {
            "DUE"
        }

    def test_a_column_sorts_and_turns_round(self, window: Browser, address: str) -> None:
        window.open(address)
        for order in ("descending", "ascending"):  # The largest first.
            window.click(".by-size a")
            window.wait_for(
                lambda order=order: (
                    window.run(  # type: ignore[misc]
                        "return document.querySelector('.by-size').ariaSort"
                    )
                    == order
                )
            )
        sizes = window.run("return [...document.querySelectorAll('td.size')].map(e => parseFloat(e.textContent))")
        assert sizes == sorted(sizes)

    def test_nothing_is_found_in_words(self, window: Browser, address: str) -> None:
        window.open(f"{address}/?q=nonsense")
        assert "No image on this node matches “nonsense”." in window.text("#references")

    def test_a_search_finds_recently_removed_images(self, window: Browser, address: str) -> None:
        window.open(f"{address}/?q=telemetry:0.5")
        assert window.text("#references").startswith("Images")
        assert "No image on this node matches" in window.text("#references")
        removed = window.text("#removed")
        assert removed.startswith("Removed in the last 14 days")
        assert "acme/telemetry:0.5" in removed

    def test_a_refused_removal_is_not_listed_as_removed(self, window: Browser, address: str) -> None:
        window.open(f"{address}/?q=telemetry:0.29")
        assert window.text("#removed") == ""

    def test_the_images_of_one_policy(self, window: Browser, address: str) -> None:
        window.open(address)
        window.click(".policies .name")
        window.wait_for(lambda: "document=agent" in window.run("return location.search"))
        assert rows(window)
        assert all(name.startswith("openhorizon/") for name in rows(window))

    def test_five_thousand_images_are_a_page_at_a_time(self, window: Browser, tmp_path: Path) -> None:
        site = Site()
        site.publish(busy_status(5_000, tmp_path))
        with served(site) as address:
            window.open(address)
            assert (len(rows(window)), "1–50 of 5,000" in window.text(".pages")) == (50, True)
            first = rows(window)
            window.click(".pages a")
            window.wait_for(lambda: "51–100 of 5,000" in window.text(".pages"))
            assert not set(first) & set(rows(window))


class TestWhy:
    def test_a_click_shows_the_explanation_in_a_window(self, window: Browser, address: str) -> None:
        window.open(f"{address}/?q=telemetry:1.0")
        window.click(".why")
        wait_for_text(window, "#why[open]", "acme/telemetry:1.0")
        said = window.text("#why")
        assert "BACKING_OFF" in said
        assert "it has dependent child images" in said
        assert "services#2" in said
        assert "To remove it" in said

    def test_it_opens_and_closes_by_keyboard_and_returns_the_focus(self, window: Browser, address: str) -> None:
        window.open(f"{address}/?q=telemetry:1.0")
        window.run("document.querySelector('.why').focus()")
        window.press(ENTER)
        window.wait_for(lambda: window.run("return document.querySelector('#why').open"))
        assert window.run("return document.querySelector('#why').contains(document.activeElement)")
        window.press(ESCAPE)
        window.wait_for(lambda: not window.run("return document.querySelector('#why').open"))
        assert window.run("return document.activeElement.className") == "why"

    def test_an_image_that_was_removed_meanwhile_is_not_an_error(
        self, window: Browser, site: Site, tmp_path: Path
    ) -> None:
        with served(site) as address:
            window.open(f"{address}/?q=telemetry:1.0")
            site.publish(busy_status(0, tmp_path))
            window.click(".why")
            wait_for_text(window, "main", "404")
            window.complaints()


class TestFreshness:
    def test_changes_appear_without_reloading_the_page(
        self, window: Browser, site: Site, address: str, tmp_path: Path
    ) -> None:
        window.open(address)
        window.run("window.isTheSame = true")
        site.publish(busy_status(24, tmp_path))
        refresh(window)
        wait_for_text(window, "#figures", "in 24 images")
        assert window.run("return window.isTheSame")

    def test_typed_text_is_kept_at_a_refresh(self, window: Browser, site: Site, address: str, tmp_path: Path) -> None:
        window.open(address)
        window.run(
            "const q = document.getElementById('q'); q.focus(); q.value = 'half a wo'; q.setSelectionRange(4, 6)"
        )
        site.publish(busy_status(24, tmp_path))
        refresh(window)
        wait_for_text(window, "#references", "all 24")
        script = "const q = document.activeElement; return [q.id, q.value, q.selectionStart, q.selectionEnd]"
        assert window.run(script) == ["q", "half a wo", 4, 6]

    def test_a_controller_that_stops_answering_is_shown_and_so_is_its_return(self, window: Browser, site: Site) -> None:
        with served(site) as address:
            window.open(address)
        window.run("window.fetch = () => Promise.reject(new Error('Failed to fetch'))")
        refresh(window)
        wait_for_text(window, "[role=alert]", "does not answer")
        with served(site) as address:
            window.run("window.fetch = async () => new Response('<title>x</title>' + document.body.innerHTML)")
            refresh(window)
            window.wait_for(lambda: window.run("return document.querySelector('[role=alert]') === null"))


class TestWithoutScripts:
    """Without scripts the links and the form work."""

    @pytest.fixture
    def plain(self, window: Browser) -> Iterator[Browser]:
        window.without_scripts()
        yield window
        window.without_scripts(False)

    def html(self, window: Browser) -> str:
        root = window.devtools("DOM.getDocument")["root"]["nodeId"]
        return str(window.devtools("DOM.getOuterHTML", nodeId=root)["outerHTML"])

    def test_all_parts_of_the_page_work_without_a_script(self, plain: Browser, address: str) -> None:
        plain.open(address)
        page = self.html(plain)
        assert page.count('data-explain="">') > 50
        assert '<html lang="en">' in page  # and not class="scripted"
        assert "<noscript>" in page

    def test_the_button_searches(self, plain: Browser, address: str) -> None:
        plain.open(f"{address}/?q=telemetry&sort=idle")
        assert self.html(plain).count('class="why"') == 5

    def test_the_explanation_is_a_page_of_its_own(self, plain: Browser, address: str, busy: Status) -> None:
        image = busy.decision.plan.verdicts[0].image
        plain.open(f"{address}/explain?image={image}")
        assert "To remove it" in self.html(plain)


HOSTILE = "<img src=x onerror=alert(1)>'\"&lt;\u202egpj.exe\x07"


def hostile_status(tmp_path: Path) -> Status:
    """A status in which every foreign text is an attack."""
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "x.yaml").write_text(f"label: {HOSTILE!r}\nenabled: {HOSTILE!r}\n")
    memory = sample_node.memory_of(3)
    assert memory.seen is not None
    images = {key: _hostile(image, number) for number, (key, image) in enumerate(memory.seen.images.items())}
    containers = tuple(replace(each, name=HOSTILE) for each in memory.seen.containers)
    seen = replace(memory.seen, images=images, containers=containers)
    decision: Decision = sample_node.decision_on(replace(memory, seen=seen), policies)
    return replace(sample_node.status_of(decision, policies), trouble=HOSTILE, result=PassResult.PARTIAL)


def _hostile(image: Image, number: int) -> Image:
    return replace(image, tags=(reference_from_engine(f"evil/{HOSTILE}:{number}"),), digests=())


def test_hostile_names_labels_and_messages_are_escaped(window: Browser, tmp_path: Path) -> None:
    site = Site()
    site.publish(hostile_status(tmp_path))
    with served(site) as address:
        window.open(address)
        assert window.run("return document.images.length") == 0
        assert "<img src=x onerror=alert(1)>" in window.text("#references")
        assert "\u202e" not in window.run("return document.body.textContent")
        window.click(".why")
        wait_for_text(window, "#why[open]", "<img src=x")
        assert window.run("return document.images.length") == 0


_ALL_TEXTS = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
_OVERLAPS = """
const shown = [...document.querySelectorAll(arguments[0])].filter(each => each.getClientRects().length);
const boxes = shown.map(each => [each.textContent, each.getBoundingClientRect()]);
const found = [];
boxes.forEach(([name, a], at) => boxes.slice(at + 1).forEach(([other, b]) => {
  if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    found.push([name, other]);
}));
return found;
"""


class TestForEverybody:
    @pytest.mark.parametrize("width", [320, 390, 768, 1_280, 2_560])
    def test_nothing_is_wider_than_the_window(self, window: Browser, address: str, width: int) -> None:
        window.resize(width, 844, is_phone=width < 500)
        window.open(address)
        assert window.run("return document.documentElement.scrollWidth") <= width
        window.click(".why")
        window.wait_for(lambda: window.run("return document.querySelector('#why').open"))
        assert window.run("return document.querySelector('#why').getBoundingClientRect().right") <= width

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_text_has_enough_contrast(self, window: Browser, tmp_path: Path, scheme: str) -> None:
        site = Site()
        broken = busy_status(60, tmp_path, broken=sample_node.A_BROKEN_POLICY)
        site.publish(replace(broken, dry_run=True))
        window.prefer(color_scheme=scheme)
        with served(site) as address:
            window.open(address)
            assert window.run(_TEXTS_OF_LITTLE_CONTRAST) == []

    def test_light_and_dark_are_different(self, window: Browser, address: str) -> None:
        papers = set()
        for scheme in ("light", "dark"):
            window.prefer(color_scheme=scheme)
            window.open(address)
            papers.add(window.run("return getComputedStyle(document.body).backgroundColor"))
        assert len(papers) == 2

    def test_a_screen_reader_finds_headings_and_labels(self, window: Browser, address: str) -> None:
        window.open(address)
        nodes = [node for node in window.devtools("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        found = {(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes}
        roles = {role for role, _ in found}
        assert roles >= {"banner", "main", "contentinfo", "search", "navigation", "table", "status"}
        assert ("searchbox", "Search references") in found
        assert ("table", "References, their verdicts and reasons") in found
        headings = {name for role, name in found if role == "heading"}
        assert headings >= {"Image store", "Freed", "Next removals", "Images", "Policies", "Last removals"}
        assert [name for role, name in found if role in ("link", "button", "image", "searchbox") and not name] == []
        figures = [name for role, name in found if role == "image"]
        assert any("GB free of 62.0 GB" in name for name in figures)
        assert any(name.startswith("Freed on the last 14 days") for name in figures)
        assert any(name.startswith("Removals over time: 1.2 GB now") for name in figures)

    def test_no_rule_wraps_on_a_desktop(self, window: Browser, address: str) -> None:
        window.resize(1440, 900)
        window.open(address)
        heights = window.run(
            "return [...document.querySelectorAll('td.rule')].map(c => c.getBoundingClientRect().height)"
        )
        assert max(heights) < 1.5 * min(heights)

    def test_no_text_overlaps_another_on_a_phone(self, window: Browser, address: str) -> None:
        window.resize(390, 844, is_phone=True)
        window.open(address)
        overlaps = window.run(_OVERLAPS, ".timeline text, .next li > span, .removals li > *")
        assert overlaps == []

    def test_words_before_values_replace_the_headings_on_a_phone(self, window: Browser, address: str) -> None:
        window.resize(390, 844, is_phone=True)
        window.open(f"{address}/?sort=idle&q=gps")
        before = "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e, '::before').content)"
        idle = dict(zip(window.run(_ALL_TEXTS, ".idle"), window.run(before, ".idle"), strict=True))
        assert (idle.pop("in use"), set(idle.values())) == ("none", {'"idle "'})
        window.click(".why")
        window.wait_for(lambda: window.run("return document.querySelector('#why').open"))
        assert window.run(before, ".rules .limit") == ['"once idle for "']

    def test_no_date_wraps_on_a_phone(self, window: Browser, address: str) -> None:
        window.resize(390, 844, is_phone=True)
        window.open(address)
        dates = "return [...document.querySelectorAll('.policies time')].map(e => e.getClientRects().length)"
        assert set(window.run(dates)) == {1}

    def test_a_table_on_a_phone_is_still_a_table(self, window: Browser, address: str) -> None:
        window.resize(390, 844, is_phone=True)
        window.open(address)
        roles = [node["role"]["value"] for node in window.devtools("Accessibility.getFullAXTree")["nodes"]]
        assert roles.count("row") == 51
        assert roles.count("rowheader") == 50
        assert roles.count("columnheader") == 6

    def test_the_keyboard_reaches_everything_in_the_order_of_the_page(self, window: Browser, address: str) -> None:
        window.open(address)
        reached = []
        for _ in range(24):
            window.press(TAB)
            reached.append(window.run("return document.activeElement.closest('[id]')?.id ?? ''"))
        assert reached.index("next") < reached.index("q") < reached.index("references")
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        assert window.run(outline) != "none"


_TEXTS_OF_LITTLE_CONTRAST: Any = """
const parse = (colour) => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (parse(colour)[3] === 255) return colour;
  }
  return 'white';
};
const found = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  const shown = element.checkVisibility() && !element.closest('.unseen, .off, script, title, dialog');
  if (!walker.currentNode.textContent.trim() || !shown) continue;
  const style = getComputedStyle(element);
  const ink = element.closest('svg') ? style.fill : style.color;
  const [a, b] = [light(parse(ink)), light(parse(behind(element)))].sort((x, y) => y - x);
  if ((a + 0.05) / (b + 0.05) < 4.5) found.add(`${element.className || element.localName}: ${element.textContent}`);
}
return [...found];
"""


def test_the_page_takes_steps_in_proportion_to_the_images_and_is_small(tmp_path: Path) -> None:
    pages: dict[int, bytes] = {}

    def show(count: int) -> None:
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "q=detector&sort=size"}
        pages[count] = b"".join(sites[count].app(environ, lambda status, headers: None))

    sites = {count: Site() for count in (100, 200, 400)}
    for count, site in sites.items():
        (tmp_path / str(count)).mkdir()
        site.publish(busy_status(count, tmp_path / str(count)))
    assert grows_linearly(show, 200)
    assert len(pages[400]) < 60_000

"""Pages load without complaints, fetch nothing, fit their screens, and show hostile names as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Show

DRAWN = """
[...document.querySelectorAll('.lanes canvas')].filter(x => x.clientHeight).map(canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const first = data.slice(0, 4).join();
  for (let i = 4; i < data.length; i += 4) if (data.slice(i, i + 4).join() !== first) return true;
  return false;
})"""
FIGURES = """(() => {
const grey = (colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, x) => sum + Number(x), 0);
const paper = grey(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('figure svg')].filter(svg => svg.getClientRects().length).map(svg => {
  const box = svg.getBoundingClientRect();
  const text = [...svg.querySelectorAll('text')].map(x => Math.abs(grey(getComputedStyle(x).fill) - paper));
  return [svg.classList.contains('broad'), box.right, box.height, svg.querySelectorAll('path, use').length, Math.max(...text)];
}) })()"""


def test_it_loads_draws_and_fetches_nothing(show: Show, hostile_page: bytes) -> None:
    page = show(hostile_page)
    drawn = page.run(DRAWN)
    assert len(drawn) == 14  # a waveform and a spectrogram for each of six nodes and the query
    assert all(drawn)
    assert page.complaints() == []
    asked = page.addresses()
    assert page.path.as_uri() in asked
    assert {url for url in asked if not url.startswith(("data:", "file:", "about:"))} == set()
    assert page.run("performance.getEntriesByType('resource').length") == 0


def test_hostile_names_are_shown_as_they_are(show: Show, hostile_page: bytes, hostile_set: Path) -> None:
    from slakh_hier.shards import open_shards

    page = show(hostile_page)
    assert page.run("window.hacked === undefined")
    nodes = [column.name for column in open_shards(hostile_set).nodes]
    assert sorted(page.names) == sorted([*nodes, "query"])
    assert page.run("document.querySelectorAll('img').length") == 0
    for name in nodes[1:]:  # they are soloed, filtered and linked by name
        page.switch(name, "solo", twice=True)
        assert page.heard == name
        page.choose("with", name)
        assert page.run("document.querySelector('.with').value") == name
    page.click(".link")
    assert page.run("new URLSearchParams(location.hash.slice(1)).get('solo')") == nodes[-1]
    # What an injected script would try is refused by the page's own policy.
    page.driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 3'; document.body.append(s)"
    )
    assert page.run("window.hacked === undefined")


@pytest.mark.parametrize("kind", ["set", "run", "runs", "experiment"])
def test_every_page_fits_its_screen(show: Show, pages: dict[str, bytes], kind: str) -> None:
    page = show(pages[kind], 390)
    for width, scheme in ((390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")):
        page.look(width, scheme)
        assert page.run("document.documentElement.scrollWidth") <= width
        page.wait(f"{DRAWN.strip()}.every(x => x)")
        # One drawing of each figure is shown, whole, with marks in it, in colours that stand out from the paper.
        figures = page.run(FIGURES)
        assert figures
        for broad, right, high, marks, contrast in figures:
            assert broad == (width == 1440)
            assert 0 < right <= width
            assert high > 40
            assert marks > 3
            assert contrast > 300
    assert page.complaints() == []


def test_everything_has_a_name_and_a_place_in_the_order_of_the_keyboard(
    show: Show, hostile_page: bytes
) -> None:
    from selenium.webdriver import Keys

    page = show(hostile_page)
    unnamed = page.run(
        "[...document.querySelectorAll('button, input, select')].filter(x => "
        "!(x.getAttribute('aria-label') || x.textContent.trim() || x.labels?.length)).length"
    )
    assert unnamed == 0
    page.driver.execute_script("document.querySelector('.play').focus()")
    page.press(Keys.TAB)
    assert page.run("[document.activeElement.className, getComputedStyle(document.activeElement).outlineStyle]") == [
        "next", "solid",
    ]  # fmt: skip


def test_solo_mute_and_the_focus_stay_when_the_clip_changes(show: Show, hostile_page: bytes) -> None:
    page = show(hostile_page)
    page.choose("choose", "0")
    page.clip(0)
    page.switch("winds", "solo")
    assert page.heard == "winds"
    # Silent in the second clip and absent from the third: nothing to focus, so the list of clips is.
    page.press("n")
    page.clip(1)
    assert page.run("document.activeElement.className") == "choose"
    page.click(".lane:nth-child(2) .solo")
    page.press("n")
    page.clip(2)
    assert page.run("document.activeElement.getAttribute('aria-label')") == f"Solo {page.names[1]}"
    assert page.heard == page.names[1]


def test_estimates_of_two_runs_are_played_in_turn(show: Show, pages: dict[str, bytes]) -> None:
    page = show(pages["runs"])
    page.driver.execute_script("document.querySelector('.player').scrollIntoView()")
    heard = []
    for _ in range(4):
        page.press("a")
        heard.append(page.heard.partition(": ")[2])
    assert heard == ["target", "estimate of first", "estimate of <b>second", "target"]
    page.press(" ")
    page.wait("document.querySelector('.loudness').value > -60")
    colours = page.run(
        "[...document.querySelectorAll('.lanes .lane')].map(x => getComputedStyle(x).getPropertyValue('--lane'))"
    )
    by_name = dict(zip(page.names, colours, strict=True))
    kinds = ["mixture", "query", *(next(n for n in by_name if n.endswith(kind)) for kind in set(heard))]
    assert len({by_name[kind] for kind in kinds}) == 4  # the mixture's colour is the targets'
    assert page.complaints() == []


def test_an_experiment_plays_its_clips(show: Show, experiment_page: bytes) -> None:
    page = show(experiment_page)
    assert page.names[:2] == ["mixture", "query"]
    for kind in (": estimate", ": target"):
        assert sum(name.endswith(kind) for name in page.names) == 3
    page.click(".play")
    page.wait("Number(document.querySelector('.seek').value) > 0.1")
    assert page.run("window.hacked === undefined")
    assert page.complaints() == []

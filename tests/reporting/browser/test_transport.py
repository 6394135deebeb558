"""Playing: seeking by key and mouse, loops, volume with its limiter, zoom; choosing clips and links to them."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import Page, Show

PLAYING = "document.querySelector('.play').getAttribute('aria-pressed') === 'true'"


@pytest.fixture
def seen(band: Page) -> Page:
    """The band with the player in view, where the keys are its."""
    band.driver.execute_script("document.querySelector('.player').scrollIntoView()")
    return band


def test_keys_seek(seen: Page) -> None:
    from selenium.webdriver import Keys

    seen.press(Keys.ARROW_RIGHT)  # one second: the end
    assert seen.at == 1
    seen.press(Keys.ARROW_LEFT)
    assert seen.at == 0
    seen.click(".lane:nth-child(1) .spectrogram")
    assert seen.at == pytest.approx(0.5, abs=0.06)
    seen.press(Keys.HOME)
    assert seen.at == 0
    seen.click(".letters") if seen.run("document.querySelector('.help').open") else seen.click(
        ".help summary"
    )
    seen.click(".letters")
    seen.press("a")
    assert seen.heard == "the whole mixture"  # letters are no keys any more
    seen.press(" ")
    seen.wait(PLAYING)


def test_a_loop_comes_round_again(seen: Page) -> None:
    seen.press("l", " ")
    seen.wait(PLAYING)
    later = "(window.most = Math.max(window.most || 0, Number(document.querySelector('.seek').value))) > 0.8"
    seen.wait(later)
    seen.wait("Number(document.querySelector('.seek').value) < 0.5")
    assert seen.run(PLAYING)
    seen.press("l")
    seen.wait(f"!({PLAYING})")  # without the loop it ends
    assert seen.at == 0


def test_a_part_is_looped_by_mouse_and_by_key(seen: Page) -> None:
    seen.drag(".lane:nth-child(3) .wave", 0.4, 0.7)
    assert seen.run("document.querySelector('.loop').textContent") == "Loop 0.4–0.7 s"
    assert seen.at == pytest.approx(0.4, abs=0.03)
    seen.press(" ")
    seen.wait("Number(document.querySelector('.seek').value) > 0.5")
    for _ in range(10):
        assert 0.35 <= seen.at <= 0.75
    seen.press(" ")
    seen.choose("seek", "0.6")
    seen.press("]")
    assert seen.run("document.querySelector('.loop').textContent") == "Loop 0.4–0.6 s"
    seen.choose("seek", "0.5")
    seen.press("[")
    assert seen.run("document.querySelector('.loop').textContent") == "Loop 0.5–0.6 s"
    samples, rate = seen.saved()
    assert len(samples) == pytest.approx(0.1 * rate, abs=1)
    seen.click(".loop")
    assert seen.run("document.querySelector('.loop').textContent") == "Loop"
    assert seen.complaints() == []


def test_volume_changes_the_level_and_the_limiter_the_rest(seen: Page) -> None:
    limited = "document.querySelector('.limited').hidden"
    level = "document.querySelector('.loudness').value"
    seen.press("l", " ")
    seen.wait(f"{level} > -20")
    assert seen.run(limited)
    seen.choose("volume", "-30")
    seen.wait(f"{level} < -30")
    seen.choose("volume", "24")
    seen.wait(f"!{limited}")
    assert seen.run("document.querySelector('.decibels').textContent") == "24 dB"
    assert seen.run(level) < 0


def test_zoom_shows_a_part_and_clicks_follow_it(seen: Page) -> None:
    before = seen.run("document.querySelector('.spectrogram').toDataURL()")
    ruler = seen.run("document.querySelector('.ruler').toDataURL()")
    seen.press("+", "+")  # a quarter of the clip, round its beginning
    seen.wait(f"document.querySelector('.spectrogram').toDataURL() !== {before!r}")
    assert seen.run("document.querySelector('.ruler').toDataURL()") != ruler
    seen.click(".lane:nth-child(1) .wave")
    assert seen.at == pytest.approx(0.125, abs=0.03)
    seen.press("-", "-", "-")
    seen.click(".lane:nth-child(1) .wave")
    assert seen.at == pytest.approx(0.5, abs=0.06)
    seen.drag(".lane:nth-child(1) .wave", 0.6, 0.8)
    seen.press("z")
    seen.click(".lane:nth-child(1) .wave")
    assert seen.at == pytest.approx(0.7, abs=0.06)
    seen.press("z")
    height = "document.querySelector('.spectrogram').clientHeight"
    low = seen.run(height)
    seen.click(".large")
    assert seen.run(height) > 3 * low


def test_the_axis_names_frequencies(band: Page) -> None:
    # Labels are white; no colour of the map is.
    white = """(() => {
      const canvas = document.querySelector('.spectrogram'), data = canvas.getContext('2d').getImageData(0, 0, 60, canvas.height).data;
      const rows = new Set();
      for (let i = 0; i < data.length; i += 4) if (data[i] + data[i + 1] + data[i + 2] === 765) rows.add(Math.floor(i / 240));
      return [...rows].sort((a, b) => a - b);
    })()"""
    rows = band.run(white)
    height = band.run("document.querySelector('.spectrogram').height")
    for hertz in (100, 1000):
        place = height * (1 - math.log(hertz / 60) / math.log(4000 / 60))
        assert min(abs(row - place) for row in rows) < 2


def test_clips_are_filtered_and_ordered(seen: Page) -> None:
    listed = "[...document.querySelectorAll('.choose option')].map(x => x.textContent)"
    assert seen.run(listed) == ["1. clip 0", "2. clip 1", "3. clip 2"]
    assert seen.run("[...document.querySelectorAll('.with option')].map(x => x.textContent)") == [
        "any instrument", "guitars", "clean", "bass",
    ]  # fmt: skip
    seen.choose("with", "bass")
    assert seen.run(listed) == ["1. clip 0", "2. clip 1"]
    seen.press("p")
    seen.clip(1)
    seen.choose("with", "")
    seen.choose("order", "+SI-SDR")
    assert seen.run(listed) == ["3. clip 2", "1. clip 0", "2. clip 1"]  # those without come last
    seen.clip(2)
    seen.choose("order", "-SI-SDR")
    assert seen.run(listed) == ["1. clip 0", "3. clip 2", "2. clip 1"]
    seen.press("n", "n")
    seen.clip(1)
    seen.choose("order", "")
    assert seen.run("document.querySelector('.choose').value") == "1"


def test_a_link_leads_to_the_clip_the_second_and_what_is_heard(
    seen: Page, show: Show, band_page: bytes
) -> None:
    seen.press("n")
    seen.clip(1)
    seen.switch("clean: estimate", "solo")
    seen.switch("bass", "mute")
    seen.choose("seek", "0.35")
    seen.choose("mask", "leaf-50")
    seen.click(".link")
    address = str(seen.run("location.href"))
    link = "#" + urlsplit(address).fragment
    assert parse_qs(link[1:]) == {
        "player": ["1-1"], "clip": ["2"], "t": ["0.35"], "solo": ["clean"], "mute": ["bass"], "version": ["1"], "mask": ["leaf-50"],
    }  # fmt: skip
    assert seen.run("document.querySelector('.note').textContent").startswith("A link to clip 2 at 0.3 s is ")
    page = show(band_page, link=link)
    page.clip(1)
    assert page.at == 0.35
    assert page.heard == seen.heard == "clean: estimate without bass"
    # In the page that is open, too; and what leads nowhere does nothing.
    page.driver.execute_script("location.hash = '#player=1-1&clip=3&t=0.5'")
    page.clip(2)
    page.wait("document.querySelector('.seek').value === '0.5'")
    for wrong in ("#player=1-1&clip=9", "#player=9-9&clip=1", "#clip=%", "#s1"):
        page.driver.execute_script(f"location.hash = '{wrong}'")
    assert page.run("document.querySelector('.player').dataset.clip") == "2"
    assert page.complaints() == []

"""What is heard is the mixture less what is muted, or what is soloed; parents and children never add up twice.

The saved WAV file is compared with sums of the tones that the clips are made of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .conftest import BAND, ESTIMATES, RATE, Page, Show

MIX = BAND["clean"] + BAND["crunch"] + BAND["bass"]
GUITARS = BAND["clean"] + BAND["crunch"]
GUITARS_ESTIMATE = ESTIMATES["clean"] + ESTIMATES["guitars"]


def assert_saved(page: Page, expected: Any) -> None:
    samples, rate = page.saved()
    assert rate == RATE
    # Chromium decodes positive values to parts of 32,767 and negative ones to parts of 32,768.
    np.testing.assert_allclose(samples, expected, atol=1.1 / 2**15)


def test_muting_leaves_the_rest(band: Page) -> None:
    assert band.heard == "the whole mixture"
    assert_saved(band, MIX)
    band.switch("bass", "mute")
    assert_saved(band, GUITARS)
    band.switch("clean: target", "mute")
    assert_saved(band, BAND["crunch"])
    assert band.heard == "the whole mixture without clean: target, bass"
    assert band.audible == {
        "mixture": "part", "query": "false", "guitars: target": "part", "guitars: estimate": "false",
        "clean: target": "false", "clean: estimate": "false", "bass": "false",
    }  # fmt: skip
    band.switch("guitars: target", "mute")  # holds what is muted already
    band.click(".wav")
    band.wait("document.querySelector('.note').textContent.startsWith('Nothing is heard')")
    assert band.heard == "nothing"
    assert band.complaints() == []


def test_a_parent_and_its_child_sound_once(band: Page) -> None:
    band.switch("clean: target", "solo")
    assert_saved(band, BAND["clean"])
    band.switch("guitars: target", "solo")
    assert band.heard == "guitars: target + clean: target"
    assert_saved(band, GUITARS)
    band.switch("clean: target", "mute")
    assert_saved(band, BAND["crunch"])


def test_a_double_click_leaves_one_solo(band: Page) -> None:
    band.switch("clean: target", "solo")
    band.switch("bass", "solo")
    assert_saved(band, BAND["clean"] + BAND["bass"])
    band.switch("bass", "solo", twice=True)
    assert band.heard == "bass"
    assert_saved(band, BAND["bass"])
    band.switch("query", "solo", twice=True)  # from elsewhere: no part of the mixture, and not to be muted
    assert_saved(band, BAND["query"])
    assert band.run("document.querySelectorAll('.lane:nth-child(2) .mute').length") == 0


def test_one_key_compares_target_and_estimate(band: Page) -> None:
    band.driver.execute_script("document.querySelector('.player').scrollIntoView()")
    band.press("a")  # of the untouched mixture: the first target
    assert band.heard == "guitars: target"
    band.press("a")
    assert band.heard == "guitars: estimate"
    assert band.run("document.querySelector('.compare').textContent") == "A/B: estimate"
    assert_saved(band, GUITARS_ESTIMATE)
    band.switch("clean: estimate", "solo")  # nested as the targets are
    assert_saved(band, GUITARS_ESTIMATE)
    band.press("a")
    assert band.heard == "guitars: target + clean: target"
    # Another version's lane takes over, and a muted estimate is taken from the mixture.
    band.switch("clean: estimate", "mute")
    assert band.heard == "the whole mixture without clean: estimate"
    assert_saved(band, MIX - ESTIMATES["clean"])
    band.press("a")
    assert_saved(band, MIX - BAND["clean"])


def test_what_a_mask_withholds_is_not_alone_to_be_heard(band: Page) -> None:
    band.switch("clean: target", "solo")
    band.choose("mask", "leaf-50")
    assert band.heard == "the whole mixture"  # of which it is a part
    assert band.run("document.querySelector('.lane:nth-child(5) .solo').disabled")
    badges = band.run("[...document.querySelectorAll('.badge')].map(x => x.textContent)")
    assert badges == ["", "", "", "", "withheld by leaf-50", "", ""]
    band.choose("mask", "")
    assert band.heard == "clean: target"


@pytest.mark.parametrize("loop", [False, True])
def test_both_channels_of_a_stereo_clip_are_there(show: Show, orchestra_page: bytes, loop: bool) -> None:
    page = show(orchestra_page)
    rng = np.random.default_rng(0)
    parts = [(0.02 * rng.standard_normal((2, 800))).astype(np.float32) for _ in range(28)]
    page.switch("section 2", "mute")
    if loop:
        page.drag(".lane:nth-child(1) .wave", 0.25, 0.75)
    samples, _ = page.saved()
    expected = np.sum([part for place, part in enumerate(parts) if place not in (4, 5)], axis=0).T
    if loop:
        assert len(samples) == pytest.approx(400, abs=4)
        first = round(float(page.run("parseFloat(getComputedStyle(document.querySelector('.player')).getPropertyValue('--from'))")) * 800)  # fmt: skip
        expected = expected[first : first + len(samples)]
    np.testing.assert_allclose(samples, expected, atol=14 / 2**15)


def test_a_large_tree_is_folded_but_for_the_target(show: Show, orchestra_page: bytes) -> None:
    page = show(orchestra_page)
    shown = "[...document.querySelectorAll('.lanes .lane')].filter(x => !x.hidden).map(x => x.querySelector('strong').textContent)"
    sections = [f"section {n}" for n in range(14)]
    assert page.run(shown) == ["mix", *sections[:3], "player 4", "player 5", *sections[3:]]
    page.click(".lane:nth-child(2) .fold")
    assert page.run(shown)[:4] == ["mix", "section 0", "player 0", "player 1"]
    assert page.run("document.querySelector('.lane:nth-child(2) .fold').ariaExpanded") == "true"
    page.switch("section 0", "mute")
    assert page.audible["player 1"] == "false"
    page.click(".lane:nth-child(2) .fold")
    assert page.run(shown)[:3] == ["mix", "section 0", "section 1"]

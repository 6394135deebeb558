"""A clip's player in a notebook: small, in a frame that reaches nothing outside itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from slakh_hier.reporting.document import Player, Report, Section
from slakh_hier.reporting.page import render_page
from slakh_hier.shards.read import open_shards

from .conftest import BAND, RATE, Show, band_clip
from .test_axe import AXE, barriers


def test_the_small_player_plays_like_the_large_one(show: Show) -> None:
    player = Player("", [band_clip(0)], ("leaf-50",), ("target", "estimate"))
    page = show(render_page(Report("band", [Section("", [player])]), small=True))
    assert page.run("document.querySelectorAll('header, footer, h2').length") == 0
    assert page.run("[...document.querySelectorAll('.spectrogram')].every(x => !x.offsetParent)")
    assert page.run(
        "[...document.querySelectorAll('.wave')].every(x => x.offsetParent && x.clientHeight > 20)"
    )
    page.switch("bass", "mute")
    assert page.heard == "the whole mixture without bass"
    samples, rate = page.saved()
    assert rate == RATE
    np.testing.assert_allclose(samples, BAND["clean"] + BAND["crunch"], atol=1.1 / 2**15)
    page.look(390, "dark")
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.complaints() == []
    if AXE.exists():
        assert barriers(page) == []


def test_the_frame_of_a_notebook(show: Show, hostile_set: Path) -> None:
    clip = open_shards(hostile_set)[0]
    frame = clip._repr_html_()
    assert frame is not None
    page = show(b"<!DOCTYPE html><meta charset=utf-8><title>a notebook</title>" + frame.encode())
    page.driver.switch_to.frame(0)
    page.wait("document.querySelector('.player').dataset.clip === '0'")
    assert page.run("[...document.querySelectorAll('.lane strong')].map(x => x.textContent)")[0] == "mix"
    assert page.run("window.hacked === undefined")
    outside = "try { parent.document.title } catch (error) { return error.name }; return 'reached'"
    assert page.driver.execute_script(outside) == "SecurityError"
    page.switch("mix", "mute")
    assert page.heard == "nothing"
    page.driver.switch_to.default_content()

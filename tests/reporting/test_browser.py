"""The pages in a real browser: they load without complaints, play and solo, draw, and fetch nothing.

They skip where no Chromium with its driver is installed (Debian: apt-get install chromium chromium-driver).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no chromium and chromedriver: apt-get install chromium chromium-driver"
)
OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1000,900",
]
PLAYER = "document.querySelector('.player')"
LANES = "return [...document.querySelectorAll('.lane')].map(lane => lane.dataset.audible)"
DRAWN = """
return [...document.querySelectorAll('.lane canvas')].map(canvas => {
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const first = data.slice(0, 4).join();
  for (let i = 4; i < data.length; i += 4) if (data.slice(i, i + 4).join() !== first) return true;
  return false;
})"""


FIGURES = """
const grey = (colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, x) => sum + Number(x), 0);
const paper = grey(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('figure svg')].filter(svg => svg.getClientRects().length).map(svg => {
  const box = svg.getBoundingClientRect();
  const text = [...svg.querySelectorAll('text')].map(x => Math.abs(grey(getComputedStyle(x).fill) - paper));
  return [svg.classList.contains('broad'), box.right, box.height, svg.querySelectorAll('path, use').length, Math.max(...text)];
})"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    selenium = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install 'slakh-hier[test]'")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(browser: WebDriver, tmp_path: Path) -> Callable[..., WebDriver]:
    """``show(page)`` opens a page from a file and waits until its players have drawn a clip."""

    def open_page(page: bytes, width: int = 1000, scheme: str = "light") -> WebDriver:
        path = tmp_path / "page.html"
        path.write_bytes(page)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get_log("performance")
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        browser.get(path.as_uri())
        wait(
            browser,
            "return [...document.querySelectorAll('.player')].every(p => p.dataset.clip !== undefined)",
        )
        return browser

    return open_page


def wait(browser: WebDriver, script: str, seconds: float = 60) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds, 0.1).until(lambda driver: driver.execute_script(script), script)


def press(browser: WebDriver, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def click(browser: WebDriver, selector: str) -> None:
    browser.find_element("css selector", selector).click()


def complaints(browser: WebDriver) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def addresses(browser: WebDriver) -> set[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


def test_it_loads_draws_and_fetches_nothing(
    show: Callable[..., WebDriver], hostile_page: bytes, tmp_path: Path
) -> None:
    browser = show(hostile_page)
    drawn = browser.execute_script(DRAWN)
    assert len(drawn) == 14  # a waveform and a spectrogram for each of six nodes and the query
    assert all(drawn)
    assert complaints(browser) == []
    asked = addresses(browser)
    assert (tmp_path / "page.html").as_uri() in asked
    assert {url for url in asked if not url.startswith(("data:", "file:", "about:"))} == set()
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_hostile_names_are_shown_as_they_are(
    show: Callable[..., WebDriver], hostile_page: bytes, hostile_set: Path
) -> None:
    from slakh_hier.shards import open_shards

    browser = show(hostile_page)
    assert browser.execute_script("return window.hacked === undefined")
    names = browser.execute_script(
        "return [...document.querySelectorAll('.lane strong')].map(x => x.textContent)"
    )
    assert sorted(names) == sorted([*(column.name for column in open_shards(hostile_set).nodes), "query"])
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    # What an injected script would try is refused by the page's own policy.
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.hacked = 3'; document.body.append(s)"
    )
    assert browser.execute_script("return window.hacked === undefined")


def test_play_solo_mute_and_seek(show: Callable[..., WebDriver], hostile_page: bytes) -> None:
    browser = show(hostile_page)
    assert browser.execute_script(LANES) == ["true", *["false"] * 6]
    click(browser, ".play")
    wait(browser, "return document.querySelector('.loudness').value > -40")
    wait(browser, "return Number(document.querySelector('.seek').value) > 0.1")
    click(browser, ".play")
    assert browser.execute_script("return document.querySelector('.play').textContent") == "Play"
    # Solo: only these lanes are heard; without it, those that are not muted.
    click(browser, ".lane:nth-child(3) .solo")
    click(browser, ".lane:nth-child(4) .solo")
    assert browser.execute_script(LANES) == ["false", "false", "true", "true", "false", "false", "false"]
    click(browser, ".lane:nth-child(3) .solo")
    click(browser, ".lane:nth-child(4) .solo")
    click(browser, ".lane:nth-child(1) .mute")
    assert browser.execute_script(LANES) == ["false"] * 7
    # With everything muted the clock runs and nothing sounds.
    browser.execute_script("document.querySelector('.seek').value = 0")
    click(browser, ".play")
    wait(browser, "return Number(document.querySelector('.seek').value) > 0.3")
    assert browser.execute_script("return document.querySelector('.loudness').value") == -60
    assert complaints(browser) == []


def test_the_keyboard_is_enough(show: Callable[..., WebDriver], hostile_page: bytes) -> None:
    from selenium.webdriver import Keys

    browser = show(hostile_page)
    press(browser, Keys.ARROW_RIGHT, " ")  # the player is far below: these keys are for the page
    assert browser.execute_script(f"return {PLAYER}.dataset.clip") == "0"
    assert (
        browser.execute_script("return document.querySelector('.play').getAttribute('aria-pressed')")
        == "false"
    )
    browser.execute_script(f"{PLAYER}.scrollIntoView()")
    press(browser, Keys.ARROW_RIGHT)
    wait(browser, f"return {PLAYER}.dataset.clip === '1'")
    press(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    wait(browser, f"return {PLAYER}.dataset.clip === '8'")
    press(browser, " ")
    wait(browser, "return document.querySelector('.play').getAttribute('aria-pressed') === 'true'")
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, input, select')].filter(x => "
        "!(x.getAttribute('aria-label') || x.textContent.trim() || x.labels?.length)).length"
    )
    assert unnamed == 0
    browser.execute_script("document.querySelector('.play').focus()")
    press(browser, Keys.TAB)
    outline = browser.execute_script(
        "return [document.activeElement.className, getComputedStyle(document.activeElement).outlineStyle]"
    )
    assert outline == ["next", "solid"]


def test_solo_mute_and_the_focus_stay_when_the_clip_changes(
    show: Callable[..., WebDriver], hostile_page: bytes
) -> None:
    from selenium.webdriver import Keys

    browser = show(hostile_page)
    focused = "return document.activeElement.getAttribute('aria-label')"
    click(browser, ".lane:nth-child(1) .mute")
    click(browser, ".lane:nth-child(5) .solo")
    heard = "return [...document.querySelectorAll('.lane[data-audible=true] strong')].map(x => x.textContent)"
    assert browser.execute_script(heard) == ["winds"]
    # Silent in the second clip and absent from the third: nothing to focus, so the list of clips is.
    press(browser, Keys.ARROW_RIGHT)
    wait(browser, f"return {PLAYER}.dataset.clip === '1'")
    assert browser.execute_script("return document.activeElement.className") == "choose"
    click(browser, ".lane:nth-child(2) .solo")
    press(browser, Keys.ARROW_RIGHT)
    wait(browser, f"return {PLAYER}.dataset.clip === '2'")
    assert browser.execute_script(focused).startswith("Solo ")
    assert browser.execute_script("return document.querySelector('.lane .mute').ariaPressed") == "true"
    assert browser.execute_script(heard) == browser.execute_script(
        "return [document.querySelector('.lane:nth-child(2) strong').textContent]"
    )


def test_withheld_nodes_are_shown_as_withheld(show: Callable[..., WebDriver], hostile_page: bytes) -> None:
    browser = show(hostile_page)
    click(browser, ".lane:nth-child(3) .solo")
    browser.execute_script(
        "const s = document.querySelector('.mask'); s.selectedIndex = 1; s.dispatchEvent(new Event('change'))"
    )
    badges = browser.execute_script("return [...document.querySelectorAll('.badge')].map(x => x.textContent)")
    withheld = "withheld by leaf-50"
    assert badges == ["", "", withheld, withheld, "", withheld, ""]
    # The solo of a withheld node does not count, and its switches are off.
    assert browser.execute_script(LANES) == ["true", *["false"] * 6]
    assert browser.execute_script("return document.querySelector('.lane:nth-child(3) .solo').disabled")


@pytest.fixture(scope="module")
def pages(hostile_page: bytes, run_folder: Path, other_run: Path) -> dict[str, bytes]:
    """A page of each kind but the experiment's."""
    from slakh_hier.reporting.page import render_page
    from slakh_hier.reporting.runs import run_report

    return {
        "set": hostile_page,
        "run": render_page(run_report([run_folder])),
        "runs": render_page(run_report([run_folder, other_run])),
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
@pytest.mark.parametrize("kind", ["set", "run", "runs", "experiment"])
def test_every_page_fits_its_screen(
    show: Callable[..., WebDriver],
    pages: dict[str, bytes],
    experiment_page: bytes,
    kind: str,
    width: int,
    scheme: str,
) -> None:
    browser = show(experiment_page if kind == "experiment" else pages[kind], width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert all(browser.execute_script(DRAWN))
    assert complaints(browser) == []
    # One drawing of each figure is shown, whole, with marks in it, in colours that stand out from the paper.
    figures = browser.execute_script(FIGURES)
    assert figures
    for broad, right, high, marks, contrast in figures:
        assert broad == (width == 1000)
        assert 0 < right <= width
        assert high > 40
        assert marks > 3
        assert contrast > 300


def test_an_experiment_plays_its_clips(show: Callable[..., WebDriver], experiment_page: bytes) -> None:
    browser = show(experiment_page)
    names = browser.execute_script(
        "return [...document.querySelectorAll('.lane strong')].map(x => x.textContent)"
    )
    assert names[:2] == ["mixture", "query"]
    assert (
        sum(name.endswith(": estimate") for name in names)
        == sum(name.endswith(": target") for name in names)
        == 3
    )
    click(browser, ".play")
    wait(browser, "return Number(document.querySelector('.seek').value) > 0.1")
    assert browser.execute_script("return window.hacked === undefined")
    assert complaints(browser) == []


def test_a_run_page_plays_estimates(
    show: Callable[..., WebDriver], run_folder: Path, other_run: Path
) -> None:
    from slakh_hier.reporting.page import render_page
    from slakh_hier.reporting.runs import run_report

    browser = show(render_page(run_report([run_folder, other_run])))
    assert all(browser.execute_script(DRAWN))
    click(browser, ".lane:last-child .solo")
    click(browser, ".play")
    wait(browser, "return Number(document.querySelector('.seek').value) > 0.1")
    assert browser.execute_script("return document.querySelectorAll('[data-audible=true]').length") == 1
    assert complaints(browser) == []


def test_twenty_clips_stay_below_15_mb() -> None:
    import numpy as np

    from slakh_hier.reporting.document import Lane, Player, PlayerClip, Report, Section
    from slakh_hier.reporting.page import render_page

    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal((12, 10 * 16_000))).astype(
        np.float32
    )  # compresses worse than any music
    clip = PlayerClip("noise", 16_000, list(noise), [Lane(f"node {n}", 1, (n,)) for n in range(12)])
    page = render_page(Report("big", [Section("clips", [Player("all", [clip] * 20)])]))
    assert 5e6 < len(page) < 15e6

"""Pages in a real browser, and a small band to play in them.

The tests skip where no Chromium with its driver is installed (Debian: apt-get install chromium chromium-driver).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from slakh_hier.reporting.document import Lane, Player, PlayerClip, Report, Section
from slakh_hier.reporting.page import render_page

if TYPE_CHECKING:
    from selenium.webdriver.remote.webdriver import WebDriver

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
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
RATE = 8000


class Page:
    """A page that is open in the browser; its first player is the one that is worked."""

    def __init__(self, driver: WebDriver, path: Path):
        self.driver, self.path = driver, path

    def look(self, width: int, scheme: str) -> None:
        """Another width of the screen (a phone below 500), or light and dark."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )

    def run(self, script: str) -> Any:
        """The value of an expression."""
        return self.driver.execute_script(f"return {script.strip()}")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """Until an expression holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, 0.05).until(lambda _: self.run(script), script)

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def click(self, selector: str, *, twice: bool = False) -> None:
        from selenium.webdriver import ActionChains

        element = self.driver.find_element("css selector", selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        if twice:
            ActionChains(self.driver).double_click(element).perform()
        else:
            element.click()

    def drag(self, selector: str, start: float, end: float) -> None:
        """From one share of an element's width to another."""
        from selenium.webdriver import ActionChains

        element = self.driver.find_element("css selector", selector)
        width = element.size["width"]
        chain = ActionChains(self.driver)
        chain.move_to_element_with_offset(element, round((start - 0.5) * width), 0).click_and_hold()
        chain.move_to_element_with_offset(element, round((end - 0.5) * width), 0).release().perform()

    def switch(self, lane: str, kind: str, *, twice: bool = False) -> None:
        """Press ``mute`` or ``solo`` of a lane."""
        self.click(f".lane:nth-child({self.names.index(lane) + 1}) .{kind}", twice=twice)

    def choose(self, name: str, value: str) -> None:
        """A value of a list (``with``, ``order``, ``mask``, ``choose``) or of a slider (``volume``, ``seek``)."""
        self.driver.execute_script(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input'))",
            f".{name}",
            value,
        )

    def clip(self, number: int) -> None:
        """Wait for a clip to be drawn."""
        self.wait(f"document.querySelector('.player').dataset.clip === '{number}'")

    @property
    def names(self) -> list[str]:
        return list(self.run("[...document.querySelectorAll('.lane strong')].map(x => x.textContent)"))

    @property
    def audible(self) -> dict[str, str]:
        """By lane ``true``, ``part`` or ``false``."""
        found = self.run("[...document.querySelectorAll('.lanes .lane')].map(x => x.dataset.audible)")
        return dict(zip(self.names, found, strict=True))

    @property
    def heard(self) -> str:
        return str(self.run("document.querySelector('.heard').textContent")).removeprefix("Heard: ")

    @property
    def at(self) -> float:
        """Seconds."""
        return float(self.run("document.querySelector('.seek').value"))

    def saved(self) -> tuple[NDArray[np.float64], int]:
        """What ``Save WAV`` saves, (samples,) or (samples, channels), and its rate."""
        folder = self.path.parent / "saved"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)}
        )
        self.click(".wav")
        self.wait("document.querySelector('.note').textContent.startsWith('Saved ')")
        for _ in range(200):
            if files := [path for path in folder.glob("*.wav") if path.stat().st_size > 44]:
                break
            self.driver.execute_async_script("setTimeout(arguments[0], 25)")
        (path,) = files
        samples, rate = soundfile.read(path)
        return samples, rate

    def complaints(self) -> list[str]:
        """What the browser's console says, but for its advice on pictures that a test reads again and again."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [message for message in messages if "willReadFrequently" not in message]

    def addresses(self) -> set[str]:
        """What was asked for since the page was opened."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}


Show = Callable[..., Page]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium and chromedriver: apt-get install chromium chromium-driver")
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
def show(browser: WebDriver, tmp_path: Path) -> Show:
    """``show(page)`` opens a page from a file and waits until its players have drawn a clip."""

    def open_page(data: bytes, width: int = 1000, link: str = "") -> Page:
        page = Page(browser, tmp_path / "page.html")
        page.path.write_bytes(data)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get_log("performance")
        page.look(width, "light")
        browser.get(page.path.as_uri() + link)
        page.wait("[...document.querySelectorAll('.player')].every(p => p.dataset.clip !== undefined)")
        return page

    return open_page


def tone(hertz: float, level: float = 0.2, seconds: float = 1.0) -> NDArray[np.float32]:
    """A tone of whole 16-bit values, so that what a page holds of it is exact."""
    time = np.arange(round(seconds * RATE)) / RATE
    signal = level * np.sin(2 * np.pi * hertz * time) * (1 + time)
    return (np.rint(signal * 2**15) / 2**15).astype(np.float32)


BAND = {"clean": tone(300), "crunch": tone(450, 0.1), "bass": tone(90), "query": tone(310)}
ESTIMATES = {"clean": tone(300, 0.15), "guitars": tone(450, 0.05)}
"""Parts of the estimates: the guitars' holds the clean ones' as well."""


def band_clip(number: int) -> PlayerClip:
    """Mixture > guitars > clean, crunch; bass; with estimates of guitars and clean, and a query. Clip 2 has no bass."""
    bass = BAND["bass"] if number != 2 else 0 * BAND["bass"]
    parts = [BAND["clean"], BAND["crunch"], bass, BAND["query"], ESTIMATES["clean"], ESTIMATES["guitars"]]
    lanes = [
        Lane("mixture", "mix", 0, (0, 1, 2)),
        Lane("query", sounds=(3,)),
        Lane("guitars: target", "guitars", 1, (0, 1), version=0),
        Lane("guitars: estimate", "guitars", 2, (4, 5), version=1),
        Lane("clean: target", "clean", 1, (0,), withheld=("leaf-50",), version=0),
        Lane("clean: estimate", "clean", 2, (4,), version=1),
        Lane("bass", "bass", 1, (2,) if number != 2 else ()),
    ]
    scores = {"SI-SDR": [2.0, 9.0, -4.0][number]} if number != 1 else {}
    return PlayerClip(f"clip {number}", RATE, parts, lanes, f"Note {number}.", scores, "clean")


@pytest.fixture(scope="session")
def band_page() -> bytes:
    """A page of three clips of the band."""
    player = Player("all", [band_clip(n) for n in range(3)], ("leaf-50",), ("target", "estimate"))
    return render_page(Report("band", [Section("Clips", [player])]))


@pytest.fixture
def band(show: Show, band_page: bytes) -> Page:
    return show(band_page)


@pytest.fixture(scope="session")
def orchestra_page() -> bytes:
    """A stereo clip with 16 nodes: one with 14 sections of two players each."""
    rng = np.random.default_rng(0)
    parts = [(0.02 * rng.standard_normal((2, 800))).astype(np.float32) for _ in range(28)]
    lanes = [Lane("mix", "mix", 0, tuple(range(28)))]
    for section in range(14):
        both = (2 * section, 2 * section + 1)
        lanes.append(Lane(f"section {section}", f"section {section}", 1, both))
        lanes += [Lane(f"player {part}", f"player {part}", 2, (part,)) for part in both]
    clip = PlayerClip("stereo", RATE, parts, lanes, target="player 5")
    return render_page(Report("orchestra", [Section("Clips", [Player("all", [clip])])]))


@pytest.fixture(scope="session")
def pages(hostile_page: bytes, run_folder: Path, other_run: Path, experiment_page: bytes) -> dict[str, bytes]:
    """A page of each kind."""
    from slakh_hier.reporting.runs import run_report

    return {
        "set": hostile_page,
        "run": render_page(run_report([run_folder])),
        "runs": render_page(run_report([run_folder, other_run])),
        "experiment": experiment_page,
    }

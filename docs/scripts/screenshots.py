"""Pictures of pages for README and docs, from the demo's folder: ``make screenshots`` (needs chromium and chromedriver).

``python docs/scripts/screenshots.py DEMO [--experiment FOLDER]``: the picture of an experiment's page is renewed only
where an experiment's folder is given, since the demo has none.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

sys.path.insert(0, str(Path(__file__).parent))
from badges import IMAGES, badges

OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
]
MARGIN = 14  # px, left and right
LOADED = "return document.readyState === 'complete' && !document.querySelector('.player[hidden]')"


class Picture(NamedTuple):
    """One element of one page."""

    file: str
    page: str
    """Below the demo's folder."""
    selector: str
    width: int = 1180
    """Of the browser's window, px."""
    height: int | None = None
    """What is shown of the element, px; None: all of it."""


PICTURES = [
    Picture("report-clip.png", "shards.html", ".player", height=728),
    Picture("report-tree.png", "shards.html", "figure[id^='f-tree']"),
    Picture("report-run.png", "run-sss.html", ".player", height=798),
]
EXPERIMENT = Picture("report-experiment.png", "experiment.html", "#f-nodes-2")  # QBE; SSS is the first


def take(driver: webdriver.Chrome, picture: Picture, folder: Path) -> None:
    """Write one picture into docs/images."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": picture.width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    driver.get((folder / picture.page).resolve().as_uri())
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(LOADED), picture.page)
    box = driver.execute_script(
        "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return [box.x, box.y + scrollY, box.width, box.height]",
        picture.selector,
    )
    x, y, width, height = box
    height = min(height, picture.height or height)
    clip = {"x": x - MARGIN, "y": y - 4, "width": width + 2 * MARGIN, "height": height + 4, "scale": 1}
    image = driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    # 256 colours: a third of the bytes, and no difference to the eye.
    with Image.open(BytesIO(base64.b64decode(image["data"]))) as full:
        full.convert("RGB").quantize(256).save(IMAGES / picture.file, optimize=True)
    print(IMAGES / picture.file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path, help="what `make demo` made")
    parser.add_argument("--experiment", type=Path, help="an experiment's folder, for the picture of its page")
    chosen = parser.parse_args()
    for file, text in badges().items():
        (IMAGES / file).write_text(text, encoding="utf-8")
    browser, service = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and service):
        sys.exit("chromium and chromedriver are needed (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for option in OPTIONS:
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(service))
    with closing(driver), tempfile.TemporaryDirectory() as pages:
        for picture in PICTURES:
            take(driver, picture, chosen.demo)
        if chosen.experiment:
            page = Path(pages) / EXPERIMENT.page
            command = Path(sys.executable).parent / "slakh-hier"
            subprocess.run([command, "report", str(chosen.experiment), "-o", str(page)], check=True)
            take(driver, EXPERIMENT, page.parent)
    driver.quit()


if __name__ == "__main__":
    main()

"""axe-core finds no barrier in any page: names, contrasts, roles, order, at both widths, light and dark.

It skips where `make axe` has not fetched axe-core (npm). It is not in the repository: 650 kB of minified script under another
licence (MPL-2.0), which no user needs; the lock file beside this one pins its version and digest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Page, Show

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = pytest.mark.skipif(not AXE.exists(), reason="no axe-core: make axe")


def barriers(page: Page) -> list[tuple[str, str, str]]:
    """Rule, impact and the first place of each violation, with everything unfolded."""
    page.driver.execute_script("document.querySelectorAll('details').forEach(x => { x.open = true; })")
    page.driver.execute_script(AXE.read_text())
    found: list[dict[str, Any]] = page.driver.execute_async_script(
        "axe.run(document, { resultTypes: ['violations'] }).then(found => arguments[0](found.violations))"
    )
    return [(rule["id"], rule["impact"], rule["nodes"][0]["html"][:200]) for rule in found]


@pytest.mark.parametrize("kind", ["set", "run", "runs", "experiment"])
def test_no_page_has_a_barrier(show: Show, pages: dict[str, bytes], kind: str) -> None:
    page = show(pages[kind], 1440)
    assert barriers(page) == []
    page.look(390, "dark")
    assert barriers(page) == []


def test_a_barrier_is_found(show: Show, band_page: bytes) -> None:
    page = show(band_page.replace(b"Clip player", b""), 1440)
    page.driver.execute_script("document.querySelector('.time').setAttribute('role', 'nonsense')")
    page.driver.execute_script("document.querySelector('.heard').style.color = '#ccc'")
    assert {"color-contrast", "aria-roles"} <= {rule for rule, _, _ in barriers(page)}

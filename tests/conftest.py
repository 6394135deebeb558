"""Fixtures that several layers use."""

from __future__ import annotations

from pathlib import Path

import pytest

MINI = Path(__file__).parents[1].parent / "shared" / "slakh_mini"


@pytest.fixture(scope="session")
def slakh_mini() -> Path:
    """Real music in true Slakh layout, where the checkout has it beside itself."""
    if not MINI.is_dir():
        pytest.skip("the small real data set is not beside this checkout")
    return MINI

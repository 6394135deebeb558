"""Fixtures that several layers use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

MINI = Path(__file__).parents[1].parent / "shared" / "slakh_mini"


@pytest.fixture(scope="session")
def slakh_mini() -> Path:
    """Real music in true Slakh layout, where the checkout has it beside itself."""
    if not MINI.is_dir():
        pytest.skip("the small real data set is not beside this checkout")
    return MINI


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache folder, nor does a command it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLAKH_HIER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield

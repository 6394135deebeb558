"""docs/recordings.md: its commands run with the other pages'; here what it has to show."""

from __future__ import annotations

import re
from pathlib import Path

from slakh_hier.importing.layouts import LAYOUTS

PAGE = (Path(__file__).parents[3] / "docs" / "recordings.md").read_text(encoding="utf-8")


def commands(language: str) -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def test_every_layout_is_imported_and_has_its_section() -> None:
    imported = {
        found for line in commands("sh") for found in re.findall(r"import --layout ([a-z0-9]+)", line)
    }
    assert imported == set(LAYOUTS)
    for layout in LAYOUTS.values():
        section = PAGE.partition(f"\n## {layout.title}\n")[2].partition("\n## ")[0]
        assert "**Get it**" in section
        assert "**Known**" in section
        assert "**Unknown**" in section
        assert f"`{layout.tree}`" in PAGE

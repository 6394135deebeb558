"""docs/recordings.md: its blocks run with the other pages'; here what it does not run, and what it shows."""

from __future__ import annotations

import re
from pathlib import Path

from slakh_hier.importing.layouts import LAYOUTS

PAGE = (Path(__file__).parents[3] / "docs" / "recordings.md").read_text(encoding="utf-8")


def commands(language: str) -> list[str]:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


def test_trainings_that_are_not_run_are_those_that_are() -> None:
    """Training takes a quarter of a minute for each data set: the commands differ in names of folders alone."""

    def plain(language: str) -> set[str]:
        found = [line for line in commands(language) if re.match(r"slakh-hier (train|evaluate)", line)]
        names = (re.sub(r"\b(moisesdb|musdb|medleydb|urmp|ensembleset)-\w+", "NAME", line) for line in found)
        return {name.replace("train qbe", "train sss") for name in names}

    full = (
        "slakh-hier train sss NAME -o NAME-run --preset bandsplit-44k"  # hours: the preset's tests train it
    )
    assert plain("bash") - {full} == plain("sh")
    assert len(plain("sh")) == 2


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

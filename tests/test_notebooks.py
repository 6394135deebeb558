"""The notebooks of the documentation run, and are stored with their outputs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("torch")

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebooks", DOCS / "scripts" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["experiment", "own_network", "tree_to_clip"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.timeout(240)
def test_a_notebook_runs(path: Path, script: ModuleType, tmp_path: Path) -> None:
    done = [cell for cell in script.run(path, tmp_path).cells if cell.cell_type == "code"]
    stored = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    kinds = [[output.output_type for output in cell.outputs] for cell in stored]
    assert all(cell.execution_count for cell in stored)
    assert kinds == [[output.output_type for output in cell.outputs] for cell in done]

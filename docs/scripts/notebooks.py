"""Run the notebooks of docs/notebooks and store their outputs: ``python docs/scripts/notebooks.py [NAME ...]``.

Each runs in an empty folder beside a copy of docs/experiments, as in tests/test_notebooks.py.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[1]
TIMEOUT_S = 240


def run(notebook: Path, work: Path) -> nbformat.NotebookNode:
    """The notebook, run in ``work/notebooks``; an error in a cell is raised."""
    shutil.copytree(DOCS / "experiments", work / "experiments", dirs_exist_ok=True)
    (work / "notebooks").mkdir(exist_ok=True)
    content = nbformat.read(notebook, as_version=4)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # for slakh-hier
    NotebookClient(
        content,
        timeout=TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(work / "notebooks")}},
        coalesce_streams=True,  # else the cuts follow from timing
    ).execute()
    return content


def main(names: list[str]) -> None:
    for notebook in sorted((DOCS / "notebooks").glob("*.ipynb")):
        if names and notebook.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as work:
            content = run(notebook, Path(work))
        for cell in content.cells:
            cell.metadata.pop("execution", None)  # times, different in every run
        content.metadata.pop("language_info", None)
        nbformat.write(content, notebook)
        print(notebook)


if __name__ == "__main__":
    main(sys.argv[1:])

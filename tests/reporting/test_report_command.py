"""``slakh-hier report`` as a person types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from slakh_hier.cli.report import report
from slakh_hier.errors import InputError, ShardError
from slakh_hier.reporting.write import kind_of, make_report, write_report


def test_page_and_plots_are_written_and_named(hostile_set: Path, tmp_path: Path) -> None:
    page, plots = tmp_path / "new" / "page.html", tmp_path / "plots"
    done = CliRunner().invoke(
        report, [str(hostile_set), "-o", str(page), "--plots", str(plots), "--clips", "1"]
    )
    assert done.exit_code == 0, done.output
    assert page.stat().st_size > 10_000
    assert sorted(path.stem for path in plots.glob("*.svg")) == ["levels", "salience", "together", "tree"]
    assert all(path.with_suffix(".png").exists() for path in plots.glob("*.svg"))
    assert str(page) in done.stdout.splitlines()


def test_kinds_are_known_by_their_files(hostile_set: Path, tmp_path: Path) -> None:
    assert kind_of(hostile_set) == "shards"
    with pytest.raises(InputError, match="neither a shard set"):
        kind_of(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        kind_of(tmp_path / "nothing")
    (tmp_path / "plan.yaml").touch()
    with pytest.raises(ShardError, match="unfinished"):
        kind_of(tmp_path)


def test_what_cannot_be_shown_is_refused(hostile_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only two runs"):
        make_report([hostile_set, hostile_set])
    with pytest.raises(InputError, match=r"-o PAGE\.html"):
        write_report([hostile_set], None)
    with pytest.raises(InputError, match="is a folder"):
        write_report([hostile_set], tmp_path)


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name}}", name=name)
sys.meta_path.insert(0, Blocked())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == {package!r} else found(name, *rest)
from slakh_hier.cli.main import main
main({arguments!r})
"""


@pytest.mark.parametrize(("package", "code"), [("torch", 0), ("jinja2", 2)])
def test_shards_need_no_torch_and_a_missing_extra_is_named(
    hostile_set: Path, tmp_path: Path, package: str, code: int
) -> None:
    arguments = ["report", str(hostile_set), "-o", str(tmp_path / "page.html"), "--clips", "0"]
    text = BLOCKED.format(package=package, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert "pip install 'slakh-hier[report]'" in done.stderr

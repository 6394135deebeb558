"""What reaches the terminal: nothing that steers it, whoever wrote it; and what happens where nobody listens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from slakh_hier.testing import make_slakh

ROOT = Path(__file__).parents[2]
HOSTILE = "\x1b]0;owned\x07\u202egnp\x9b31m"
STEERING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def run(*arguments: object, **more: Any) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "slakh_hier", *(os.fsencode(str(argument)) for argument in arguments)]
    more = {"capture_output": True, **more}
    return subprocess.run(command, timeout=100, check=False, **more)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set below a folder of a hostile name, with hostile texts and names in it, and a tree with some more."""
    folder = tmp_path_factory.mktemp("x") / f"set{HOSTILE}"
    folder.mkdir()
    root = make_slakh(folder / "slakh", tracks=4, seconds=6, stems=3, every_category=False)
    track = next(root.glob("train/*"))
    path = track / "metadata.yaml"
    content = yaml.safe_load(path.read_bytes())
    content["stems"]["S00"]["inst_class"] = f"=cmd {HOSTILE}"
    content["stems"][f"S{HOSTILE}"] = {}
    content["stems"]["S07"] = {
        "program_num": HOSTILE,
        "plugin_name": f"a{HOSTILE}.nkm",
        "audio_rendered": True,
    }
    path.write_text(yaml.safe_dump(content))
    (track / "stems" / f"S07.{HOSTILE}").write_bytes(b"")
    (track / "stems" / f"{HOSTILE}.wav").write_bytes(b"")
    os.rename(next(root.glob("test/*")), root / "test" / f"Track{HOSTILE}")
    tree = {
        "schema": 1, "name": "odd", "levels": 1, "description": f"a {HOSTILE}",
        "tree": {"all": {"match": {"programs": ["0-127"], "inst_class": [HOSTILE]}}},
    }  # fmt: skip
    (folder / "tree.yaml").write_text(yaml.safe_dump(tree))
    (folder / "bad.yaml").write_text(yaml.safe_dump({**tree, "name": HOSTILE, "levls": HOSTILE}))
    return folder


@pytest.mark.parametrize("how", ["table", "json", "csv"])
def test_scan(command: Any, hostile: Path, tmp_path: Path, how: str) -> None:
    code, out, err = command(
        "scan", hostile / "slakh", "--hierarchy", hostile / "tree.yaml", "--format", how, "-o", tmp_path / "c.csv",
        "--split-scheme", "folders",
    )  # fmt: skip
    assert code == 1
    for text in (out, err, (tmp_path / "c.csv").read_text()):
        assert not STEERING.search(text)
    assert r"\x1b]0;owned" in err
    assert "=cmd" in (tmp_path / "c.csv").read_text()
    assert ",=cmd" not in (tmp_path / "c.csv").read_text()
    if how == "json":
        assert json.loads(out)["root"] == str(hostile / "slakh")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("hierarchy", "show", "tree.yaml"), 0),
        (("hierarchy", "show", "tree.yaml", "--format", "json"), 0),
        (("hierarchy", "validate", "tree.yaml", "bad.yaml"), 1),
        (("hierarchy", "validate", "bad.yaml", "--format", "json"), 1),
        (("hierarchy", "diff", "tree.yaml", "band"), 0),
        (("hierarchy", "show", "tree.yaml", "--slakh", "slakh", "--split", HOSTILE), 2),
        (("plan", "slakh", "-o", f"plan{HOSTILE}", "--any", "--no-queries", "--clip-seconds", "2", "--clips", "train=1"), 1),
        (("submix", "slakh", "-o", f"out{HOSTILE}", "--hierarchy", "band", "--level", "1", "-j", "1"), None),
        (("verify", f"nothing{HOSTILE}"), 2),
        (("inspect", f"nothing{HOSTILE}"), 2),
        (("scan", f"nothing{HOSTILE}"), 2),
        (("scan", "slakh", f"--nothing{HOSTILE}"), 2),
        ((f"no{HOSTILE}",), 2),
        (("import", f"nothing{HOSTILE}", "--map", f"{HOSTILE}.yaml", "-o", "made"), 2),
        (("synth", f"nothing{HOSTILE}.mid", "-o", "made"), 2),
    ],
)  # fmt: skip
def test_commands(
    command: Any, hostile: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int | None
) -> None:
    monkeypatch.chdir(hostile)
    found, out, err = command(*arguments)
    assert code is None or found == code, err
    assert not STEERING.search(out)
    assert not STEERING.search(err)


def test_one_module_writes_to_the_terminal() -> None:
    """Whatever else prints would print names of files as they are; models, which know no terminal, escape their own."""
    printing = re.compile(r"click\.echo\(|\bprint\((?!\w+\))|\.write\(.*std(out|err)|Console\(|secho\(")
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("cli", "models", "slakh_hier")
        for path in (ROOT / folder).rglob("*.py")
        if not (ROOT / "slakh_hier" / path.relative_to(ROOT / folder)).parent.is_symlink()
        and printing.search(path.read_text())
    }
    found = {name for name in found if not name.startswith(("slakh_hier/cli/", "slakh_hier/models/"))}
    assert found == {"cli/common.py", "models/experiments/processes.py", "slakh_hier/progress.py"}
    assert all(
        "escaped(" in line
        for line in (ROOT / "models/experiments/processes.py").read_text().splitlines()
        if "print(" in line
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(tmp_path_factory.mktemp("plain") / "slakh", tracks=4, seconds=6)


def closing(*numbers: int) -> Any:
    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_change_nothing(plain: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
    whole = ("--split-scheme", "folders", "-j", "2")
    shards = tmp_path / "shards"
    plan = ("--any", "--no-queries", "--clip-seconds", "2", "--clips", "train=4", *whole)
    for arguments in (
        ("scan", plain, "-o", tmp_path / "catalog.csv", *whole), ("render", plain, "-o", shards, *plan), ("verify", shards, "--full")
    ):  # fmt: skip
        done = run(*arguments, preexec_fn=closing(*closed))
        assert done.returncode == 0, (arguments, done.stderr.decode())
        assert b"Traceback" not in done.stderr
    assert run("verify", shards, "--full").returncode == 0
    assert (tmp_path / "catalog.csv").stat().st_size > 1000


def test_a_closed_stream_does_not_hide_what_is_wrong(plain: Path) -> None:
    for closed in (1, 2):
        assert run("scan", plain, "--split-scheme", "mine", preexec_fn=closing(closed)).returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("how", ["table", "json"])
def test_a_full_disk_below_stdout(plain: Path, how: str) -> None:
    with open("/dev/full", "wb") as full:
        done = run("scan", plain, "--format", how, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 3
        assert (
            done.stderr.decode()
            .splitlines()[-1]
            .startswith("error: standard output cannot be written: No space left")
        )
        assert b"Traceback" not in done.stderr
        done = run("scan", plain, "--format", how, capture_output=False, stdout=subprocess.PIPE, stderr=full)
        assert (done.returncode, bool(done.stdout)) == (0, True)

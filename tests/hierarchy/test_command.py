"""`slakh-hier hierarchy` as a person or a script uses it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.cli.main import main
from slakh_hier.hierarchy import load_hierarchy, shipped
from slakh_hier.testing import make_slakh


class Ran:
    """What a call of the command line returned and printed."""

    def __init__(self, capfd: pytest.CaptureFixture[str], *arguments: str):
        with pytest.raises(SystemExit) as stopped:
            main(["hierarchy", *arguments])
        self.code = stopped.value.code
        self.out, self.err = capfd.readouterr()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Any:
    return lambda *arguments: Ran(capfd, *map(str, arguments))


def test_list(run: Any) -> None:
    assert run("list").code == 0
    assert [tree["name"] for tree in run("list", "--format", "json").json] == list(shipped())
    table = list(csv.DictReader(io.StringIO(run("list", "--format", "csv").out)))
    assert table[0]["nodes by level"] == "4, 8, 18"
    assert all(tree["description"] for tree in table)


def test_show_prints_indented_lines_on_a_pipe(run: Any) -> None:
    lines = run("show", "slakh34").out.splitlines()
    assert lines[0] == "slakh34: 3 levels (4, 8 and 18 nodes), 36 categories, stems without a category: keep"
    at = lines.index("    guitars")
    assert lines[1] == "  midrange_strings_keys"
    assert lines[at + 1 : at + 4] == [
        "      clean_guitars",
        "        acoustic_guitar  programs 24-25; 3 patches",
        "        clean_electric_guitar  programs 26-28, 31; 5 patches",
    ]
    assert len(lines) == 1 + 4 + 8 + 18 + 36
    assert "        harpsichord  override of harpsichord.nkm" in lines
    assert run("show", "band").out.splitlines()[4] == "  drums  drums"


def test_show_draws_a_tree_on_a_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    out = re.sub("\x1b\\[[0-9;]*m", "", run("show", "slakh34").out)
    assert "├── midrange_strings_keys" in out
    assert "│   │   ├── clean_guitars" in out


def test_show_as_json_says_everything(run: Any) -> None:
    reported = run("show", "slakh34", "--format", "json").json
    tree = load_hierarchy("slakh34")
    assert reported["digest"] == tree.digest
    assert {node["name"]: node["parent"] for node in reported["nodes"]} == {
        node.name: node.parent for node in tree.nodes.values()
    }
    harpsichord = next(category for category in reported["categories"] if category["name"] == "harpsichord")
    assert harpsichord == {
        "name": "harpsichord",
        "node": "plucked_strings",
        "implicit": False,
        "labels": [],
        "drums": False,
        "patches": [],
        "programs": [],
        "midi_program_name": [],
        "inst_class": [],
        "override_patches": ["harpsichord.nkm"],
    }


def test_show_counts_the_stems_of_a_data_set(run: Any, tmp_path: Path) -> None:
    root = make_slakh(tmp_path / "slakh", tracks=3, seconds=1.0, sample_rate=8000, stems=4)
    reported = run("show", "slakh34", "--slakh", root, "--format", "json", "-j", 1)
    assert reported.code == 0, reported.err
    files = len(list(root.rglob("stems/*")))
    top = [node["stems"] for node in reported.json["nodes"] if node["level"] == 3]
    assert reported.json["stems"] == sum(top) + reported.json["unassigned_stems"] == files
    assert sum(category["stems"] for category in reported.json["categories"]) == sum(top)
    lines = run("show", "slakh34", "--slakh", root, "-j", 1).out.splitlines()
    assert lines[0].endswith(f"keep ({reported.json['unassigned_stems']} of {files})")
    assert lines[1] == f"  midrange_strings_keys  {top[0]} stem{'s' * (top[0] != 1)}"
    train = run("show", "slakh34", "--slakh", root, "--split", "train", "--format", "json", "-j", 1).json[
        "stems"
    ]
    assert train == len(list(root.glob("train/*/stems/*")))
    refused = run("show", "slakh34", "--slakh", root, "--split", "trian", "-j", 1)
    assert (refused.code, "there are" in refused.err) == (2, True)


def test_split_without_a_data_set_is_wrong_usage(run: Any) -> None:
    assert run("show", "slakh34", "--split", "train").code == 2


def test_validate(run: Any, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(load_hierarchy("band").text)
    bad.write_text("schema: 1\nname: a b\nlevels: 1\ntree: {a: [b]}\n")
    ran = run("validate", good)
    assert (ran.code, ran.out) == (0, f"{good}: no problems. The tree band: 1 level (5 nodes)\n")
    ran = run("validate", bad, good)
    assert ran.code == 1
    assert ran.out.splitlines() == [
        f"{bad}:2:7: 'a b' is not a name (up to 64 letters a-z, digits, _ and -): write a_b",
        f"{bad}:4:12: there is no category b",
        f"{good}: no problems. The tree band: 1 level (5 nodes)",
    ]
    assert ran.err == "2 problems in 1 file\n"
    ran = run("validate", "--format", "json", bad, good)
    assert ran.code == 1
    assert [(result["valid"], len(result["problems"])) for result in ran.json] == [(False, 2), (True, 0)]
    assert ran.json[0]["problems"][1] == {"line": 4, "column": 12, "message": "there is no category b"}


def test_what_is_not_there_is_wrong_input(run: Any, tmp_path: Path) -> None:
    for arguments in (("validate", tmp_path / "no.yaml"), ("show", "slak34"), ("diff", "band", "no")):
        ran = run(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert "no such file" in ran.err


def test_a_bad_tree_stops_show_with_all_its_problems(run: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("schema: 1\nname: a b\nlevels: 1\ntree: {a: [b]}\n")
    ran = run("show", bad)
    assert (ran.code, ran.out) == (2, "")
    assert ":2:7: " in ran.err
    assert ":4:12: " in ran.err


def test_new_validates_and_never_overwrites(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert run("new", file).code == 0
    assert run("validate", file).code == 0
    before = file.read_bytes()
    again = run("new", file)
    assert again.code == 2
    assert "not overwritten" in again.err
    assert file.read_bytes() == before
    copy = tmp_path / "copy.yaml"
    assert run("new", copy, "--from", "slakh34").code == 0
    assert run("diff", "slakh34", copy).err == "no difference: both trees mean the same\n"


def test_diff(run: Any) -> None:
    ran = run("diff", "band", "general_midi", "--format", "json")
    assert ran.code == 0
    assert {
        "change": "moved",
        "what": "program",
        "name": "24-31",
        "before": "guitar",
        "after": "guitars",
    } in ran.json
    assert run("diff", "band", "band", "--format", "json").json == []
    assert run("diff", "band", "band").out == ""
    assert "guitars" in run("diff", "band", "general_midi").out


def test_schema_is_json(run: Any) -> None:
    schema = run("schema").json
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["schema", "name", "levels", "tree"]

"""The commands mask, verify, inspect and export as a person types them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest


def test_mask(command, make_set):
    folder = make_set().folder
    code, out, _ = command("mask", folder, "--add", "leaf:90")
    assert (code, out) == (0, "leaf-90: the ground truth of 5 training clips is withheld\n")
    code, out, _ = command("mask", folder, "--list", "--format", "csv")
    assert [row["mask"] for row in csv.DictReader(out.splitlines())] == ["leaf-50", "all-50", "leaf-90"]
    assert command("mask", folder, "--remove", "leaf:90")[:2] == (0, "leaf-90: removed\n")
    code, out, _ = command("mask", folder, "--format", "json")
    assert [row["mask"] for row in json.loads(out)] == ["leaf-50", "all-50"]
    code, out, err = command("mask", folder, "--remove", "leaf-90")
    assert (code, out) == (2, "")
    assert "has no mask 'leaf-90': did you mean leaf-50?" in err
    assert command("mask", folder, "--remove", "leaf-90", "--list")[0] == 2
    assert command("mask", folder, "--add", "leaf")[0] == 2
    code, _, err = command("mask", folder, "--add", "leaf:50", "--seed", 4)
    assert code == 2
    assert "Remove it first" in err


def test_verify(command, make_set):
    made = make_set()
    for option in ((), ("--quick",), ("--full", "-j", "1")):
        code, out, err = command("verify", made.folder, *option)
        assert (code, out) == (0, "")
        assert "no damage found" in err
    data = bytearray(made.file().read_bytes())
    data[len(data) // 2] ^= 1
    made.file().write_bytes(data)
    made.file(1).unlink()
    code, out, err = command("verify", made.folder, "--full", "-j", "1")
    assert code == 1
    assert out.startswith(
        "train-00000.h5: its bytes changed since it was written (sha256 differs)\n    Run the same"
    )
    assert "train-00001.h5: is not there, but the index lists it\n" in out
    assert "2 findings" in err
    code, out, _ = command("verify", made.folder, "--format", "json")
    assert code == 1
    assert [finding["file"] for finding in json.loads(out)] == ["train-00001.h5"]
    assert command("verify", made.folder / "nowhere")[0] == 2


def test_inspect(command, make_set):
    folder = make_set().folder
    code, out, _ = command("inspect", folder)
    assert code == 0
    assert out.startswith(
        f"{folder}: 8 clips of 0.25 s (0.00 h) at 8,000 Hz, stereo, int16, 3 shards, 0.3 MB\n"
    )
    lines = [line.split() for line in out.splitlines() if line.strip()]
    assert ["high_strings", "1", "6", "1", "1", "8", "-14.98"] in lines
    assert any(line.startswith("    high_strings") for line in out.splitlines())  # below strings
    code, out, _ = command("inspect", folder, "--format", "json")
    assert json.loads(out)["clips"] == 8
    code, out, _ = command("inspect", folder, "--format", "csv", "--split", "test")
    assert len(list(csv.DictReader(out.splitlines()))) == 7


def test_inspect_shows_nothing_that_steers_a_terminal(command, make_set):
    made = make_set()
    made.rewrite_index(lambda raw: raw.update(parameters={"a\x1b[2J": ["b\r", {"c": "\x9b"}]}))
    code, out, _ = command("inspect", made.folder)
    assert code == 0
    assert not set("\x1b\r\x9b") & set(out)


def test_inspect_tells_what_is_missing(command, make_set):
    made = make_set(splits={"train": [[0, 1]]}, left_out=[1], masks=[])
    _, out, _ = command("inspect", made.folder)
    assert "could not be read (see failures.jsonl): 1\n" in out
    assert "No masks" in out


def test_export(command, make_set, tmp_path):
    folder = make_set().folder
    code, out, _ = command(
        "export", folder, 1, "-o", tmp_path / "out", "--split", "validation", "--audio-format", "flac"
    )
    assert code == 0
    assert out.splitlines() == sorted(map(str, (tmp_path / "out").iterdir()), key=out.splitlines().index)
    assert (tmp_path / "out" / "0_mix.flac").is_file()
    assert command("export", folder, 2, "-o", tmp_path / "b", "--split", "validation")[0] == 2
    assert command("export", folder, -1, "-o", tmp_path / "b")[0] == 2
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("command", ["mask", "verify", "inspect", "export"])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys; from slakh_hier.cli.main import cli\n"
        f"try: cli.main(['{command}', '--help'], standalone_mode=True)\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'pandas', 'h5py', 'rich', 'pydantic'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "SHARDS" in done.stdout

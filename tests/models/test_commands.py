"""The commands train, evaluate and separate as a person types them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.scores.summary import read_summary

SETTINGS = (
    "stft={window: 128, hop: 64}",
    "network={units: 8}",
    "training={epochs: 1, steps_per_epoch: 2, batch_size: 4}",
    "hardware.accelerator=cpu",
)
Command = Callable[..., tuple[int, str, str]]


def settings(*more: str) -> list[str]:
    return [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]


def test_train_evaluate_separate(
    command: Command, guitar_shards: Path, tmp_path: Path, printed_tables: list[str]
) -> None:
    run = tmp_path / "run"
    train = ("train", "sss", guitar_shards, "-o", run, "--preset", "tiny", *settings())
    code, out, err = command(*train, "--format", "json")
    assert code == 0, err
    assert json.loads(out)[0]["steps"] == 2
    assert "epoch 1 of 1: loss " in err
    assert "Lightning" not in err
    code, out, _ = command(*train)
    assert code == 0
    assert "clean, guitars, strings" in out
    assert f"{run}\n" in out

    code, out, err = command("evaluate", run, guitar_shards, "-j", "1")
    assert code == 0, err
    assert "level 3" in out
    assert "95 % interval" in out
    assert re.search(r"-?\d+\.\d\d to -?\d+\.\d\d", out)
    assert {"level", "node", "improvement", "oracle"} <= set(printed_tables)
    levels = read_summary(run / "evaluation" / "test.json").levels.values()
    worse = any((entry["si_sdr"].improvement or 0) < 0 for entry in levels)
    assert ("warning: The estimates are worse than the unprocessed mixture (level" in err) == worse
    assert ("2 training steps are few" in err) == worse
    code, out, _ = command("evaluate", run, guitar_shards, "--format", "json")
    assert set(json.loads(out)) >= {"metrics", "levels", "all", "nodes"}
    code, out, _ = command("evaluate", run, guitar_shards, "--format", "csv")
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["node"] for row in rows if row["metric"] == "si_sdr" and row["node"]] == [
        "clean",
        "guitars",
        "strings",
    ]
    assert float(rows[0]["ci95_low"]) < float(rows[0]["improvement"]) < float(rows[0]["ci95_high"])

    song = tmp_path / "song.flac"
    soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal((8000, 2)), 8000)
    code, out, err = command("separate", run, song, "-o", tmp_path / "out", "--format", "csv")
    assert code == 0, err
    files = [Path(row["file"]).name for row in csv.DictReader(out.splitlines())]
    assert files == ["clean.wav", "guitars.wav", "strings.wav", "residual.wav"]


def test_query_by_example(command: Command, any_shards: Path, tmp_path: Path) -> None:
    run, song, query = tmp_path / "run", tmp_path / "song.wav", tmp_path / "query.wav"
    for path in (song, query):
        soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    code, _, err = command("train", "qbe", any_shards, "-o", run, "--preset", "tiny", *settings())
    assert code == 0, err
    code, _, err = command("separate", run, song, "-o", tmp_path / "out")
    assert code == 2
    assert "needs a query, a recording of the instrument to separate (--query FILE)" in err
    assert not (tmp_path / "out").exists()
    code, out, err = command("separate", run, song, "-o", tmp_path / "out", "--query", query)
    assert code == 0, err
    assert "level_3.wav" in out


def test_mistakes_end_with_2_and_a_sentence(command: Command, guitar_shards: Path, tmp_path: Path) -> None:
    run, text = tmp_path / "run", tmp_path / "text.wav"
    text.write_text("no audio")
    for arguments, message in (
        (
            ("train", "sss", guitar_shards, "-o", run, "--set", "training.epoch=3"),
            "did you mean training.epochs?",
        ),
        (("train", "sss", guitar_shards, "-o", run, "--preset", "papr"), "did you mean paper?"),
        (("train", "sss", tmp_path / "none", "-o", run), "there is no such folder"),
        (("train", "sss", guitar_shards, "-o", run, "--set", "node=cleam"), "did you mean clean?"),
        (("evaluate", run, guitar_shards), "holds no trained separator"),
        (("separate", run, text, "-o", tmp_path / "out"), "holds no trained separator"),
        (("train", "bss", guitar_shards, "-o", run), "'bss' is not one of 'sss', 'qbe'"),
    ):
        code, out, err = command(*arguments)
        assert (code, out) == (2, ""), err
        assert message in err
        assert "Traceback" not in err


def test_without_pytorch_the_message_says_how_to_install_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from slakh_hier.cli.main import main; main(sys.argv[1:])"
    for arguments in (["train", "sss", "shards", "-o", "run"], ["evaluate", "run", "shards"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 2
        assert "pip install 'slakh-hier[train]'" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["train", "evaluate", "separate"])
def test_help_imports_no_pytorch(command: str) -> None:
    code = (
        "import sys; from slakh_hier.cli.main import main\n"
        "try: main([sys.argv[1], '--help'])\n"
        "except SystemExit: print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


def test_train_from_another_run(
    command: Command, guitar_run: Path, guitar_shards: Path, tmp_path: Path
) -> None:
    kind = settings("network.kind=blstm", "network.layers=1", "network.embedding=4")
    train = ("train", "sss", guitar_shards, "-o", tmp_path / "run", "--preset", "tiny", *kind)
    code, _, err = command(*train, "--init-from", guitar_run)
    assert code == 0, err
    assert f"starts from {guitar_run} (step 2): " in err
    code, _, err = command(*train, "--init-from", tmp_path / "none", "--overwrite")
    assert code == 2
    assert "holds no trained separator" in err
    code, _, err = command(*train, "--set", "hardware.accelerator=mps", "--overwrite")
    assert code == 2
    assert "Apple processor" in err

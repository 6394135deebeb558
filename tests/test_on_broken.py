"""--on-broken is the same policy everywhere, whoever finds the broken stem: the scan, the activity or the run itself."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.shards.index import read_index
from slakh_hier.testing import make_slakh

Command = Callable[..., tuple[int, str, str]]
SCANNED, DECODED = ("Track00002", "S01"), ("Track00001", "S04")
"""Stems that the scan finds (of another rate than the track) and that only decoding finds (a flipped bit)."""
RENDER = (
    "--clips",
    "train=12,test=4",
    "--clip-seconds",
    1,
    "--step",
    0.5,
    "--sample-rate",
    8000,
    "--no-queries",
    "-j",
    1,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(tmp_path_factory.mktemp("sound") / "slakh", tracks=6, **KIND)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(tmp_path_factory.mktemp("scanned") / "slakh", tracks=6, defects=["wrong_rate"], **KIND)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(tmp_path_factory.mktemp("decoded") / "slakh", tracks=6, defects=["bit_flip"], **KIND)


KIND: dict[str, Any] = {"seconds": 4, "stems": 6, "sample_rate": 8000, "every_category": False}


def failures(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("data", "stem"), [("scanned", SCANNED), ("decoded", DECODED)])
def test_render_and_stems_that_its_own_steps_find(
    data: str, stem: tuple[str, str], request: pytest.FixtureRequest, command: Command, tmp_path: Path
) -> None:
    root, out = request.getfixturevalue(data), tmp_path / "out"
    code, _, said = command("render", root, "-o", out, *RENDER)
    assert code == 2
    assert f"1 stem is missing or cannot be decoded; nothing was done.\n  {'/'.join(stem)}: " in said
    assert "--on-broken skip" in said
    assert not out.exists()
    assert command("render", root, "-o", out, *RENDER, "--dry-run")[0] == 2

    code, _, said = command("render", root, "-o", out, *RENDER, "--on-broken", "skip")
    assert code == 1
    assert f"broken: {'/'.join(stem)}: " in said
    (left_out,) = failures(out)
    assert (left_out["track"], left_out["stem"]) == stem
    assert left_out["reason"]
    assert set(left_out) == {"track", "stem", "reason"}
    assert read_index(out).failures == 0  # of clips: those drawn are all there
    assert command("verify", out, "--full")[0] == 0
    assert command("render", root, "-o", out, *RENDER)[0] == 2  # finished or not


def test_render_and_a_saved_plan_that_knows_of_them(scanned: Path, command: Command, tmp_path: Path) -> None:
    """Planning and rendering apart is the same as both in one."""
    plan, out = tmp_path / "plan", tmp_path / "out"
    assert command("plan", scanned, "-o", plan, *RENDER[:6], "--no-queries", "-j", 1)[0] == 1
    code, _, said = command("render", scanned, "--plan", plan, "-o", out, "-j", 1)
    assert (code, "Track00002/S01" in said) == (2, True)
    assert not out.exists()
    assert command("render", scanned, "--plan", plan, "-o", out, "-j", 1, "--on-broken", "skip")[0] == 1
    assert [failure["stem"] for failure in failures(out)] == ["S01"]


def test_stems_of_splits_that_are_not_drawn_are_no_matter(
    scanned: Path, command: Command, tmp_path: Path
) -> None:
    clips = ("--clips", "test=3", *RENDER[2:])
    code, _, said = command("render", scanned, "-o", tmp_path / "out", *clips)
    assert (code, "broken: Track00002/S01" in said) == (1, True)  # reported, as by scan
    assert not (tmp_path / "out" / "failures.jsonl").exists()


def test_render_and_a_stem_that_breaks_after_the_plan(sound: Path, command: Command, tmp_path: Path) -> None:
    root = shutil.copytree(sound, tmp_path / "slakh")
    plan, out = tmp_path / "plan", tmp_path / "out"
    assert command("plan", root, "-o", plan, *RENDER[:6], "--no-queries", "-j", 1)[0] == 0
    stem = next(root.glob("train/Track00001/stems/S00.*"))
    data = bytearray(stem.read_bytes())
    data[len(data) // 3 :: 97] = bytes(byte ^ 0x55 for byte in data[len(data) // 3 :: 97])
    stem.write_bytes(data)
    render = ("render", root, "--plan", plan, "-o", out, "--sample-rate", 8000, "-j", 1)
    code, _, said = command(*render)
    assert (code, "Track00001/S00: " in said) == (3, True)  # the run had begun
    assert not (out / "index.json").exists()
    assert not list(out.glob(".tmp-*"))

    code, _, said = command(*render, "--on-broken", "skip")
    assert (code, "failures.jsonl" in said) == (1, True)
    lines = failures(out)
    assert {(line["track"], line["stem"], line["split"]) for line in lines} == {
        ("Track00001", "S00", "train")
    }
    assert len(lines) == read_index(out).failures > 0
    assert command("verify", out, "--full")[0] == 0


def test_submix_and_stems_that_the_scan_finds(scanned: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, said = command("submix", scanned, "-o", out, "-j", 1)
    assert code == 2
    assert "1 stem is missing or cannot be decoded; nothing was done.\n  Track00002/S01: " in said
    assert not out.exists()
    assert command("submix", scanned, "-o", out, "-j", 1, "--split", "test")[0] == 1
    assert not (out / "failures.jsonl").exists()

    assert command("submix", scanned, "-o", out, "-j", 1, "--on-broken", "skip")[0] == 1
    (left_out,) = failures(out)
    assert (left_out["track"], left_out["stem"]) == SCANNED
    assert (out / "Track00002" / "mix.flac").exists()  # without that stem


def test_submix_and_stems_that_break(decoded: Path, command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, _, said = command("submix", decoded, "-o", out, "-j", 1)
    assert (code, "Track00001/S04: " in said) == (3, True)
    assert not (out / "Track00001").exists()
    assert not list(out.glob(".tmp-*"))

    code, _, said = command("submix", decoded, "-o", out, "-j", 1, "--on-broken", "skip")
    assert (code, "failures.jsonl" in said) == (1, True)
    (left_out,) = failures(out)
    assert (left_out["track"], left_out["stem"]) == DECODED
    assert not (out / "Track00001").exists()
    assert (out / "Track00002").exists()

    # a run about other tracks leaves the line alone, one that starts again begins a new file
    command("submix", decoded, "-o", out, "-j", 1, "--on-broken", "skip", "--split", "test")
    assert failures(out) == [left_out]
    command("submix", decoded, "-o", out, "-j", 1, "--overwrite", "--on-broken", "skip", "--split", "test")
    assert not (out / "failures.jsonl").exists()

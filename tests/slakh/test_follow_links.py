"""Links that lead out of a data set: refused with what to do, and followed on request by every command that reads one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from slakh_hier.cli.main import main
from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.slakh import Catalog, scan
from slakh_hier.testing import make_slakh

Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(
        tmp_path_factory.mktemp("links") / "slakh", tracks=4, seconds=4, sample_rate=8000, stems=3,
        every_category=False,
    )  # fmt: skip


def of_tracks(original: Path, subset: Path) -> None:
    for track in original.glob("*/Track*"):
        (subset / track.parent.name).mkdir(parents=True, exist_ok=True)
        (subset / track.parent.name / track.name).symlink_to(track)


def of_splits(original: Path, subset: Path) -> None:
    subset.mkdir()
    for split in ("train", "validation", "test"):
        (subset / split).symlink_to(original / split)


def of_folders(original: Path, subset: Path) -> None:
    """Metadata, MIDI and the folders of stems."""
    for track in original.glob("*/Track*"):
        place = subset / track.parent.name / track.name
        place.mkdir(parents=True)
        for entry in track.iterdir():
            (place / entry.name).symlink_to(entry)


def of_files(original: Path, subset: Path) -> None:
    shutil.copytree(original, subset, copy_function=os.symlink)


@pytest.fixture(params=[of_tracks, of_splits, of_folders, of_files], ids=lambda how: how.__name__)
def subset(request: pytest.FixtureRequest, original: Path, tmp_path: Path) -> Path:
    # A sibling whose name begins as the other's does: a comparison of texts would let it pass.
    request.param(original, tmp_path / "slakh")
    return tmp_path / "slakh"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return int(str(left.value.code)), "".join(capsys.readouterr())

    return run


def test_scan(original: Path, subset: Path, tree: Hierarchy, command: Command) -> None:
    code, said = command("scan", subset, "-j", 1)
    assert code in (1, 2)
    assert "points outside the data set, which is followed with --follow-links only" in said
    expected, found = scan(original, tree), scan(subset, tree, follow_links=True)
    assert (found.digest, found.problems) == (expected.digest, [])
    assert command("scan", subset, "--follow-links", "-j", 1)[0] == 0
    # What was found through links is in the cache, and still not used without the option.
    assert command("scan", subset, "-j", 1)[0] == code
    assert command("hierarchy", "show", "band", "--slakh", subset, "--follow-links", "-j", 1)[0] == 0


def test_a_catalog_of_links(original: Path, subset: Path, tree: Hierarchy, tmp_path: Path) -> None:
    path = scan(original, tree).save(tmp_path / "catalog.csv")
    with pytest.raises(InputError, match=r"/S00\.flac first: a link that points outside .* --follow-links"):
        Catalog.load(path, subset, tree)
    assert Catalog.load(path, subset, tree, follow_links=True).digest == scan(original, tree).digest


def test_every_command_that_reads_stems(original: Path, tmp_path: Path, command: Command) -> None:
    subset = tmp_path / "subset"
    of_files(original, subset)
    drawing = ("--any", "--no-queries", "--clip-seconds", 2, "--step", 1, "--clips", "train=2", "-j", 1)
    plan, shards = tmp_path / "plan", tmp_path / "shards"
    assert command("activity", subset, "--follow-links", "-j", 1)[0] == 0
    code, said = command("plan", subset, "-o", plan, "--follow-links", *drawing)
    assert (code, f"--plan {plan} --follow-links" in said) == (0, True)
    code, said = command("render", subset, "--plan", plan, "-o", shards, "-j", 1)
    assert (code, "--follow-links" in said, shards.exists()) == (2, True, False)
    for _ in range(2):  # the second time it is kept
        assert command("render", subset, "--plan", plan, "-o", shards, "--follow-links", "-j", 1)[0] == 0
    assert command("render", original, "-o", tmp_path / "again", *drawing)[0] == 0
    made = {path.name: path.read_bytes() for path in shards.glob("*.h5")}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "again").glob("*.h5")} != {}
    assert command("submix", subset, "-o", tmp_path / "mixes", "--hierarchy", "band", "-j", 1)[0] in (1, 2)
    for root, out in ((subset, "mixes"), (original, "expected")):
        words = ("submix", root, "-o", tmp_path / out, "--hierarchy", "band", "--follow-links", "-j", 1)
        assert command(*words)[0] == 0
    mixes = {
        path.relative_to(tmp_path / "mixes"): path.read_bytes() for path in tmp_path.glob("mixes/*/*.flac")
    }
    expected = tmp_path / "expected"
    assert (
        mixes == {path.relative_to(expected): path.read_bytes() for path in expected.glob("*/*.flac")} != {}
    )

"""A finished folder is kept only while the stems hold what it was made from; another data set's is not continued."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

import slakh_hier as sh
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.submix import write_submixes

TREE = sh.load_hierarchy("slakh34")


@pytest.fixture(params=["flac", "wav"])
def root(request: pytest.FixtureRequest, tmp_path: Path, little_slakh: Callable[..., Path]) -> Path:
    return little_slakh(tmp_path / "slakh", seconds=4, stems=4, audio_format=request.param)


def render(root: Path, out: Path, **options: Any) -> sh.RenderReport:
    """As the command does it: scan, measure, draw, render."""
    catalog = sh.scan(root, TREE, split_scheme=options.pop("split_scheme", "folders"), jobs=1)
    plan = sh.plan_clips(
        catalog, TREE, clips={"train": 4, "validation": 2, "test": 2}, clip_seconds=2, step=0.5, queries=False,
        activity=out.parent / f"{root.name}.h5", jobs=1,
    )  # fmt: skip
    return sh.render(plan, out, sample_rate=8000, jobs=1, **options)


def submix(root: Path, out: Path, **options: Any) -> Any:
    return write_submixes(sh.scan(root, TREE, jobs=1), out, level=1, jobs=1, **options)


def swap(root: Path) -> str:
    """Let two stems of a track that sound change places, and their times with them not: the track, and its first stem."""
    rows = sh.scan(root, TREE, jobs=1).usable
    track = min(rows["track"].unique())
    one, other = rows[rows["track"] == track].sort_values("stem")["path"].tolist()[:2]
    first, second, waiting = root / one, root / other, root.parent / "waiting"
    times = [path.stat() for path in (first, second)]
    os.rename(first, waiting)
    os.rename(second, first)
    os.rename(waiting, second)
    for path, about in zip((first, second), times, strict=True):
        os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    return f"{track}/{Path(one).stem}"


def swapped_copy(root: Path, copy: Path) -> tuple[Path, str]:
    """A copy with two stems' files swapped, and the first of them."""
    shutil.copytree(root, copy)
    return copy, swap(copy)


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the notes, which name times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".h5", ".flac", ".wav", ".yaml")
    }


def fresh(make: Callable[..., Any], root: Path, out: Path) -> dict[str, bytes]:
    make(root, out)
    return content(out)


def test_a_rendering_whose_stems_changed_is_made_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    assert render(root, out).made > 0
    assert render(root, out).made == 0
    before = content(out)
    stem = swap(root)
    with pytest.warns(
        SlakhHierWarning, match=rf"has changed since it was rendered \(2 of 24 stems differ, {stem} first\)"
    ):
        report = render(root, out)
    assert report.kept == 0
    after = content(out)
    assert after != before
    expected = fresh(render, root, tmp_path / "fresh")
    assert {name: data for name, data in after.items() if name.endswith(".h5")} == {
        name: data for name, data in expected.items() if name.endswith(".h5")
    }
    assert render(root, out).made == 0  # and is kept from then on


def test_a_rendering_that_was_stopped_is_not_continued_with_other_stems(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "shards"
    render(root, out, shard_mb=0.1)
    (out / "index.json").unlink()
    for path in sorted(out.glob("*.h5"))[1:]:
        path.unlink()
    stem = swap(root)
    with pytest.warns(SlakhHierWarning, match=f"{stem} first"):
        report = render(root, out, shard_mb=0.1)
    assert report.kept == 0
    expected = fresh(lambda *places: render(*places, shard_mb=0.1), root, tmp_path / "fresh")
    assert {k: v for k, v in content(out).items() if k[-3:] == ".h5"} == {
        k: v for k, v in expected.items() if k[-3:] == ".h5"
    }


def test_a_rendering_of_another_data_set_is_refused_and_a_copy_of_the_same_is_kept(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    render(root, out)
    before = content(out)
    copy = tmp_path / "copied"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    assert render(copy, out).made == 0
    other, stem = swapped_copy(root, tmp_path / "other")
    with pytest.raises(
        InputError, match=rf"was rendered from another data set: 2 of 24 stems differ, {stem} first"
    ):
        render(other, out)
    assert content(out) == before
    assert render(other, out, overwrite=True).kept == 0


def test_other_settings_are_refused_as_before(root: Path, tmp_path: Path) -> None:
    """Whether stems changed too or not: nothing is removed without --overwrite."""
    out = tmp_path / "shards"
    render(root, out)
    before = content(out)
    for changed in (False, True):
        if changed:
            swap(root)
        with pytest.raises(InputError, match="made by render with other settings"):
            render(root, out, dtype="float32")
    assert content(out) == before


def test_a_part_of_a_job_array_does_not_start_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "shards"
    render(root, out)
    swap(root)
    with (
        pytest.warns(SlakhHierWarning, match="has changed since"),
        pytest.raises(InputError, match="a part cannot start from scratch"),
    ):
        render(root, out, part=(1, 2))


def test_a_submix_whose_stems_changed_is_made_again(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "submixes"
    tracks = submix(root, out).made
    assert submix(root, out).made == 0
    track = swap(root).split("/")[0]
    report = submix(root, out)
    assert (report.made, report.kept) == (1, tracks - 1)
    assert content(out) == fresh(submix, root, tmp_path / "fresh")
    assert track in [path.name for path in out.iterdir()]


def test_submixes_of_another_data_set_are_refused_and_a_copy_of_the_same_is_kept(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "submixes"
    first = submix(root, out, splits=["train"]).made
    copy = tmp_path / "copied"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    assert submix(copy, out).kept == first  # and the other splits
    before = content(out)
    other, stem = swapped_copy(root, tmp_path / "other")
    with pytest.raises(
        InputError, match=rf"was made from another data set: {stem.split('/')[0]} holds other audio"
    ):
        submix(other, out)
    assert content(out) == before


def test_wav_files_are_told_apart_by_their_samples(tmp_path: Path, little_slakh: Callable[..., Path]) -> None:
    """Two data sets of the same names, sizes and times, of which one stem differs in one sample."""
    one = little_slakh(tmp_path / "one", tracks=3, seconds=4, stems=3, audio_format="wav")
    other = tmp_path / "other"
    shutil.copytree(one, other)
    path = max(other.rglob("S01.wav"))
    about = path.stat()
    samples, rate = soundfile.read(path, dtype="int16")
    samples[100] ^= 1
    soundfile.write(path, samples, rate)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    submix(one, tmp_path / "submixes")
    with pytest.raises(InputError, match=f"another data set: {path.parents[1].name} holds other audio"):
        submix(other, tmp_path / "submixes")

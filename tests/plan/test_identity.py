"""A plan and an activity belong to these files, by what they hold: not to others of the same names, lengths and times."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

import slakh_hier as sh
from slakh_hier.errors import InputError, PlanError
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.slakh import Catalog
from slakh_hier.slakh.content import content_of
from slakh_hier.testing import make_slakh

TREE = sh.load_hierarchy("slakh34")


@pytest.fixture(scope="module", params=["flac", "wav"])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("identity") / "slakh"
    return make_slakh(
        folder, seconds=4, sample_rate=8000, stems=4, every_category=False, audio_format=request.param
    )


def draw(root: Path, folder: Path) -> sh.Plan:
    plan = sh.plan_clips(
        sh.scan(root, TREE, jobs=1), TREE, clips={"train": 4, "validation": 2, "test": 2}, clip_seconds=2, step=0.5,
        queries=False, activity=folder / "activity.h5", jobs=1,
    )  # fmt: skip
    plan.save(folder / "plan")
    return plan


def same_times(one: Path, other: Path) -> None:
    about = one.stat()
    os.utime(other, ns=(about.st_atime_ns, about.st_mtime_ns))


def stems_of(plan: sh.Plan) -> list[tuple[str, str, str]]:
    """Track, stem and path of those that the plan uses, in order."""
    used = {*plan.clips["track"], *plan.clips["query_track"]}
    rows = plan.catalog.usable
    return [tuple(row) for row in rows[rows["track"].isin(used)][["track", "stem", "path"]].to_numpy()]


def change(path: Path) -> None:
    """Other samples in a file of the same size and modification time."""
    samples, rate = soundfile.read(path, dtype="int16")
    about, data = path.stat(), path.read_bytes()
    if path.suffix == ".wav":
        soundfile.write(path, samples[::-1], rate, subtype="PCM_16")
    else:  # as long, though it need not be decodable: what it holds stands in the header
        path.write_bytes(data[:26] + bytes([data[26] ^ 1]) + data[27:])
    assert path.stat().st_size == about.st_size
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def test_a_plan_of_another_data_set_is_refused_with_the_first_stem(root: Path, tmp_path: Path) -> None:
    plan = draw(root, tmp_path)
    other = tmp_path / "other"
    shutil.copytree(root, other)
    track, stem, path = stems_of(plan)[1]
    change(other / path)
    change(other / stems_of(plan)[-1][2])
    with pytest.raises(
        PlanError,
        match=rf"{other}: the plan was drawn from other audio: 2 of the stems .* differ, {track}/{stem} first",
    ):
        sh.Plan.load(tmp_path / "plan", other, jobs=1)


def test_a_copy_is_the_same_data_set_whatever_its_times(root: Path, tmp_path: Path) -> None:
    plan = draw(root, tmp_path)
    copy = tmp_path / "elsewhere" / "copied"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    for path in copy.rglob("*.*"):
        os.utime(path, (-10_000, -10_000))  # before 1970
    loaded = sh.Plan.load(tmp_path / "plan", copy, jobs=1)
    assert loaded.digest == plan.digest
    again = draw(copy, tmp_path / "elsewhere")
    assert again.digest == plan.digest
    assert (again.catalog.frame["mtime_ns"] < 0).all()
    assert sh.Plan.load(tmp_path / "elsewhere" / "plan", copy, jobs=1).digest == plan.digest
    saved = Catalog.load(tmp_path / "elsewhere" / "plan" / "catalog.csv", copy, TREE)
    assert (saved.frame["mtime_ns"] == -10_000 * 10**9).all()


def test_the_digest_of_a_plan_follows_what_any_stem_holds(root: Path, tmp_path: Path) -> None:
    plan = draw(root, tmp_path)
    assert (plan.catalog.frame["content"].str.len() == 32).all()
    for path, content in plan.catalog.frame[["path", "content"]].to_numpy():
        assert content == content_of(root / path)
    catalog = plan.catalog
    contents = dict.fromkeys([(catalog.frame["track"].iloc[3], catalog.frame["stem"].iloc[3])], "0" * 32)
    with pytest.raises(
        InputError, match=r"the samples of 1 stem are not those of the catalog, Track.*/S.. first"
    ):
        catalog.with_contents(contents, set(catalog.frame["track"]))
    unknown = catalog.frame.assign(content="")
    digests = {
        Catalog(catalog.root, TREE, "folders", frame).with_contents(contents, set(frame["track"])).digest
        for frame, contents in ((unknown, {}), (unknown, contents))
    }
    assert len(digests) == 2
    others = catalog.with_contents(
        {}, set(catalog.frame["track"][:1])
    )  # of tracks that a plan cannot use, none counts
    assert set(others.frame["content"][others.frame["track"] != catalog.frame["track"].iloc[0]]) == {""}


@pytest.mark.parametrize("way", ["swapped", "in place"])
def test_stems_that_changed_are_measured_again_whatever_their_times(
    root: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files of one size and time change places, or one is rewritten in place and its time set back."""
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    slakh = tmp_path / "slakh"
    shutil.copytree(root, slakh)
    rows = sh.scan(slakh, TREE, jobs=1).usable.sort_values("size")
    (track, one, other), *_ = (
        (track, *paths["path"].tolist()[:2]) for track, paths in rows.groupby("track") if len(paths) > 1
    )
    first, second = slakh / one, slakh / other
    same_times(first, second)
    sh.scan(slakh, TREE, jobs=1)  # which is kept
    before = sh.measure_activity(sh.scan(slakh, TREE, jobs=1), tmp_path / "a.h5", jobs=1)
    with ActivityFile(before) as file:
        old = file.read(track)
    if way == "swapped":
        os.rename(first, tmp_path / "waiting")
        os.rename(second, first)
        os.rename(tmp_path / "waiting", second)
    else:
        samples, rate = soundfile.read(first, dtype="int16")
        about = first.stat()
        soundfile.write(first, samples[::-1], rate)
        os.utime(first, ns=(about.st_atime_ns, about.st_mtime_ns))
    after = sh.measure_activity(sh.scan(slakh, TREE, jobs=1), tmp_path / "a.h5", jobs=1)
    fresh = sh.measure_activity(sh.scan(slakh, TREE, jobs=1, cache=False), tmp_path / "b.h5", jobs=1)
    with ActivityFile(after) as file, ActivityFile(fresh) as other_file:
        new, expected = file.read(track), other_file.read(track)
    assert new.content == expected.content != old.content
    np.testing.assert_array_equal(new.moments[0].gram, expected.moments[0].gram)
    assert not np.array_equal(new.moments[0].gram, old.moments[0].gram)


def test_a_catalog_file_is_believed_only_where_the_files_agree(root: Path, tmp_path: Path) -> None:
    """One that a plan was saved with names what the stems hold."""
    plan = draw(root, tmp_path)
    other = tmp_path / "other"
    shutil.copytree(root, other)
    change(other / stems_of(plan)[0][2])
    catalog = Catalog.load(tmp_path / "plan" / "catalog.csv", other, TREE)
    with pytest.raises(InputError, match=r"the samples of 1 stem are not those of the catalog, Track"):
        sh.plan_clips(catalog, TREE, clips={"train": 1}, clip_seconds=2, activity=tmp_path / "b.h5", jobs=1)


def test_every_way_of_reading_a_plan_compares(
    root: Path, tmp_path: Path, runner: Callable[..., tuple[int, str]]
) -> None:
    plan = draw(root, tmp_path)
    other = tmp_path / "other"
    shutil.copytree(root, other)
    track, stem, path = stems_of(plan)[0]
    change(other / path)
    code, said = runner("render", other, "--plan", tmp_path / "plan", "-o", tmp_path / "out", "-j", 1)
    assert code == 2
    assert f"{track}/{stem} first" in said
    assert not (tmp_path / "out").exists()


@pytest.fixture
def runner(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    from slakh_hier.cli.main import main

    def run(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return int(str(left.value.code)), capsys.readouterr().err

    return run

"""Whole songs: scores against plain sums of the files, queries from other songs, tables of pairs, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner
from numpy.typing import NDArray
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from slakh_hier.cli.main import cli
from slakh_hier.errors import ConfigError, InputError, SlakhHierWarning
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.models.separation import separate
from slakh_hier.models.song_evaluation import Products, evaluate_songs, song_signals
from slakh_hier.scores.summary import read_summary
from slakh_hier.slakh import Catalog, scan
from slakh_hier.testing import make_slakh

TREE = """\
schema: 1
name: little
levels: 3
unassigned: keep
tree:
  strings:
    guitars:
      clean: {match: {programs: [24-27]}}
      dirty: {match: {programs: [28-31]}}
  drums_3:
    drums_2:
      drums_1: {match: {drums: true}}
"""
"""The nodes of the separators that the fixtures train."""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    folder = tmp_path_factory.mktemp("songs")
    (folder / "tree.yaml").write_text(TREE)
    root = make_slakh(folder / "slakh", tracks=8, seconds=5.0, sample_rate=8000, every_category=False)
    return scan(root, load_hierarchy(str(folder / "tree.yaml")), split_scheme="folders")


@pytest.fixture(scope="module")
def query_run(query_run: Path, songs: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As if it had been trained with the tree of the songs, which has the nodes of its shards."""
    run = shutil.copytree(query_run, tmp_path_factory.mktemp("runs") / "run")
    about = json.loads((run / "weights.json").read_text())
    (run / "weights.json").write_text(json.dumps(about | {"hierarchy_digest": songs.hierarchy.digest}))
    return run


def plain(catalog: Catalog, track: str, node: str | None) -> NDArray[np.float64]:
    """The sum of the stems below a node, or of all, from the files."""
    rows = catalog.usable[catalog.usable["track"] == track]
    if node is not None:
        rows = rows[(rows[["level_1", "level_2", "level_3"]] == node).any(axis=1)]
    return np.sum([soundfile.read(catalog.root / path)[0] for path in rows["path"]], axis=0)


def test_scores_are_those_of_the_files(guitar_run: Path, songs: Catalog, tmp_path: Path) -> None:
    found = evaluate_songs(guitar_run, songs, out=tmp_path, window_seconds=2.0, overlap_seconds=0.5)
    assert read_summary(found.files[0]) == found.summary
    assert [file.name for file in found.files] == ["songs-test.json", "songs-test.csv"]
    assert set(found.summary.metrics) == {"si_sdr", "snr"}
    assert len(found.scores) == 2 * 3
    for track, rows in found.scores.groupby("track"):
        mixture = plain(songs, str(track), None)
        estimates = separate(
            guitar_run, mixture.astype(np.float32), 8000, window_seconds=2.0, overlap_seconds=0.5
        )
        for _, row in rows.iterrows():
            target = torch.from_numpy(plain(songs, str(track), row["node"]))
            estimate = torch.from_numpy(estimates[row["node"]]).double()
            si_sdr = scale_invariant_signal_distortion_ratio(estimate, target, zero_mean=True)
            assert row["si_sdr_estimate"] == pytest.approx(float(si_sdr), abs=1e-3)
            assert row["snr_estimate"] == pytest.approx(float(signal_noise_ratio(estimate, target)), abs=1e-3)
            untouched = signal_noise_ratio(torch.from_numpy(mixture), target)
            assert row["snr_mixture"] == pytest.approx(float(untouched), abs=1e-3)
    middle = found.scores[found.scores["node"] == "guitars"]["snr_improvement"]
    assert found.summary.nodes["guitars"]["snr"].improvement == pytest.approx(middle.mean())
    assert found.summary.nodes["guitars"]["snr"].median == pytest.approx(middle.median())


def test_both_channels_are_one_long_signal() -> None:
    generator = np.random.default_rng(1)
    target = generator.standard_normal((2, 5000)).astype(np.float32)
    estimate = (0.3 * target + 0.1 * generator.standard_normal((2, 5000)) + [[0.2], [-0.1]]).astype(
        np.float32
    )
    sums = Products()
    for start in range(0, 5000, 1234):
        sums.add(estimate[:, start : start + 1234], target[:, start : start + 1234])
    s, e = (x.astype(np.float64) for x in (target, estimate))
    assert sums.snr == pytest.approx(10 * np.log10((s**2).sum() / ((s - e) ** 2).sum()))
    s, e = ((x - x.mean(1, keepdims=True)).ravel() for x in (s, e))
    scaled = (s @ e) / (s @ s) * s
    assert sums.si_sdr == pytest.approx(10 * np.log10((scaled**2).sum() / ((scaled - e) ** 2).sum()))
    silent = Products()
    silent.add(np.zeros((1, 9), np.float32), np.ones((1, 9), np.float32))
    assert np.isnan(silent.si_sdr)


def test_stereo_stems_stay_stereo(songs: Catalog, tmp_path: Path) -> None:
    root = make_slakh(tmp_path / "slakh", tracks=1, seconds=1.0, sample_rate=8000, splits=False, stems=3)
    stem = next((root / "Track00001" / "stems").glob("S00.*"))
    mono, rate = soundfile.read(stem, dtype="int16")
    soundfile.write(stem, np.stack([mono, -mono // 2], 1), rate, subtype="PCM_16")
    catalog = scan(root, songs.hierarchy, split_scheme="folders")
    node = catalog.usable[catalog.usable["stem"] == "S00"].iloc[0]["level_1"]
    signals, found_rate = song_signals(catalog, "Track00001", [(node, 1)])
    assert (signals.shape, found_rate) == ((2, 2, len(mono)), 8000)
    rest = [
        soundfile.read(root / path, dtype="int16")[0]
        for path in catalog.usable[catalog.usable["stem"] != "S00"]["path"]
    ]
    left = (mono.astype(int) + np.sum(rest, axis=0)) / 32768
    np.testing.assert_allclose(signals[0, 0], left, atol=1e-7)


def test_queries_come_from_other_songs(query_run: Path, songs: Catalog, tmp_path: Path) -> None:
    found = evaluate_songs(query_run, songs, out=tmp_path).scores
    assert set(found["level"]) == {1, 2, 3}
    assert (found["track"] != found["query_track"]).all()
    usable = songs.usable
    for _, row in found.iterrows():
        query = usable[usable["track"] == row["query_track"]]
        assert row["id"].split("/")[1] in set(query["level_1"])
    again = evaluate_songs(query_run, songs, out=tmp_path).scores
    assert found.equals(again)


def test_queries_have_the_levels_of_the_training(query_run: Path, songs: Catalog, tmp_path: Path) -> None:
    run = shutil.copytree(query_run, tmp_path / "run")
    about = json.loads((run / "weights.json").read_text())
    assert about["query_levels"] == [1]
    leaves = evaluate_songs(query_run, songs, out=tmp_path / "leaves").scores
    (run / "weights.json").write_text(json.dumps(about | {"query_levels": [1, 2]}))
    found = evaluate_songs(run, songs, out=tmp_path / "both").scores
    names = found["id"].str.split("/").str[1]
    queried = names.map(lambda name: songs.hierarchy.nodes[name].level)
    assert set(queried) == {1, 2}
    columns = [name for name in found if name != "clip"]
    assert found[queried == 1][columns].reset_index(drop=True).equals(leaves[columns])
    assert (found["level"] >= queried).all()
    assert found[queried == 2].groupby("id")["level"].apply(list).tolist() == [[2, 3]] * len(
        set(found["id"][queried == 2])
    )
    assert (found["track"] != found["query_track"]).all()


def test_pairs_are_scored_at_the_level_of_their_stem(query_run: Path, songs: Catalog, tmp_path: Path) -> None:
    one, other = sorted(set(songs.usable[songs.usable["split"] == "test"]["track"]))
    metadata = next(songs.root.glob(f"test/{one}/metadata.yaml"))
    content = yaml.safe_load(metadata.read_text())
    content["import"] = {"song": "Somebody - Something", "id": "31f4-77"}
    metadata.write_text(yaml.safe_dump(content))
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(
        "song_id,query_id,stem,same_genre,different_artist\n"
        f"31f4-77,{other},guitars,True,True\n{other},Somebody - Something,clean,True,True\nelsewhere,{one},clean,True,True\n"
    )
    with pytest.warns(SlakhHierWarning, match="1 of 3 pairs are skipped"):
        found = evaluate_songs(query_run, songs, pairs=pairs, out=tmp_path).scores
    assert found[["track", "query_track", "node", "level"]].to_numpy().tolist() == [
        [one, other, "guitars", 2],
        [other, one, "clean", 1],
    ]


@pytest.fixture
def silenced(songs: Catalog, tmp_path: Path) -> Callable[..., Catalog]:
    """silenced(track, node) copies the songs and makes the stems of a node in a track silent."""

    def make(track: str, node: str) -> Catalog:
        root = shutil.copytree(songs.root, tmp_path / "silenced")
        rows = songs.usable[(songs.usable["track"] == track) & (songs.usable["level_1"] == node)]
        assert len(rows)
        for path in rows["path"]:
            samples, rate = soundfile.read(root / path, dtype="int16")
            soundfile.write(root / path, np.zeros_like(samples), rate, subtype="PCM_16")
        return scan(root, songs.hierarchy, split_scheme="folders", cache=False)

    return make


def test_a_silent_query_leaves_its_place_to_the_next_song(
    query_run: Path, songs: Catalog, silenced: Callable[..., Catalog], tmp_path: Path
) -> None:
    whole = evaluate_songs(query_run, songs, split="train", out=tmp_path).scores
    first = whole[whole["id"].str.endswith("/clean")].iloc[0]
    found = evaluate_songs(
        query_run, silenced(first["query_track"], "clean"), split="train", out=tmp_path
    ).scores
    (again,) = set(found[found["id"] == first["id"]]["query_track"])
    assert again not in (first["track"], first["query_track"], "")
    assert found[found["id"] == first["id"]]["counted"].all()


def test_pairs_without_a_sounding_query_are_dropped_and_reported(
    query_run: Path, songs: Catalog, silenced: Callable[..., Catalog], tmp_path: Path
) -> None:
    one, other = sorted(set(songs.usable[songs.usable["split"] == "test"]["track"]))
    pairs = tmp_path / "pairs.csv"
    lines = [f"{one},{other},clean", f"{other},{one},dirty", f"{one},elsewhere,clean"]
    pairs.write_text("\n".join(["song_id,query_id,stem", *lines]))
    catalog = silenced(other, "clean")
    with pytest.warns(SlakhHierWarning) as caught:
        found = evaluate_songs(query_run, catalog, pairs=pairs, out=tmp_path).scores
    assert found[["counted", "dropped"]].to_numpy().tolist() == [[False, True], [True, False]]
    assert [str(warning.message) for warning in caught] == [
        f"{pairs}: 1 of 3 pairs are skipped, because songs are not in the split test: elsewhere",
        f"1 song is dropped, because the query is silent or has no such stems: {one}/clean (query from {other})",
    ]
    pairs.write_text("\n".join(["song_id,query_id,stem", lines[0]]))
    with pytest.raises(InputError, match="no score can be computed in the split test"):
        evaluate_songs(query_run, catalog, pairs=pairs, out=tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("song_id,stem\nx,clean\n", "missing: query_id"),
        ("song_id,query_id,stem\n", "has no pairs below the names of its columns"),
        ("song_id,query_id,stem\na,b,claen\n", "did you mean clean"),
        ("song_id,query_id,stem\na,a,clean\n", "its own query"),
        ("song_id,query_id,stem\na,b,clean\n", "names a, b, and they are called"),
    ],
)
def test_a_table_without_pairs_is_refused(
    text: str, wrong: str, query_run: Path, songs: Catalog, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(text)
    with pytest.raises((InputError, ConfigError), match=wrong):
        evaluate_songs(query_run, songs, pairs=pairs, out=tmp_path)
    assert not list(tmp_path.glob("songs-*"))


def test_another_tree_than_that_of_the_training_is_reported(
    query_run: Path, songs: Catalog, tmp_path: Path
) -> None:
    other = songs.with_hierarchy(load_hierarchy("slakh34"))
    with pytest.warns(SlakhHierWarning, match="was trained with another tree than slakh34, of whose nodes"):
        evaluate_songs(query_run, other, out=tmp_path)


def test_what_does_not_fit_is_named(guitar_run: Path, songs: Catalog, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no query, and no pairs"):
        evaluate_songs(guitar_run, songs, pairs=tmp_path / "pairs.csv", out=tmp_path)
    with pytest.raises(InputError, match="no songs of the split holiday"):
        evaluate_songs(guitar_run, songs, split="holiday", out=tmp_path)
    other = songs.with_hierarchy(load_hierarchy("slakh34"))
    with pytest.raises(InputError, match="which the tree slakh34 does not have; name its tree"):
        evaluate_songs(guitar_run, other, out=tmp_path)


def test_the_command_takes_shards_or_songs(guitar_run: Path, songs: Catalog, tmp_path: Path) -> None:
    tree = str(songs.root.parent / "tree.yaml")
    words = [
        "evaluate",
        str(guitar_run),
        "--songs",
        str(songs.root),
        "--hierarchy",
        tree,
        "-o",
        str(tmp_path),
    ]
    done = CliRunner().invoke(cli, [*words, "--split-scheme", "folders"])
    assert done.exit_code == 0, done.output
    assert "SNR (dB) on whole songs of test" in done.output
    assert " songs " in done.output
    for wrong in (
        ["evaluate", str(guitar_run)],
        [*words, "shards"],
        ["evaluate", "run", "shards", "--pairs", "p.csv"],
    ):
        assert CliRunner().invoke(cli, wrong).exit_code == 2

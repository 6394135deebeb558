"""Every layout: recognised, refused where another folder is given, and taken from its folder to an evaluated separator."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click import Choice

import slakh_hier as sh
from slakh_hier.cli.import_ import import_
from slakh_hier.cli.main import main
from slakh_hier.errors import InputError
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.importing import import_data_set
from slakh_hier.importing.layouts import LAYOUTS, LayoutOptions, list_songs, recognise, what_is
from slakh_hier.testing import make_recordings

RATE = 16_000
TARGETS = {
    "moisesdb": ("bass_guitar", 3),
    "musdb18hq": ("vocals", 1),
    "medleydb": ("electric_bass", 3),
    "urmp": ("violin", 1),
    "ensembleset": ("cello", 21),
}
"""A node of each layout's tree, and a seed of splits that all have it, and any node in two songs."""


@pytest.fixture(scope="session")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a tiny data set for each layout."""
    folder = tmp_path_factory.mktemp("recordings")
    return {name: make_recordings(folder / name, name, sample_rate=RATE) for name in LAYOUTS}


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_the_command_takes_every_layout() -> None:
    (choice,) = [option.type for option in import_.params if option.name == "layout"]
    assert isinstance(choice, Choice)
    assert sorted(choice.choices) == sorted(LAYOUTS) == sorted(TARGETS)
    options = {option.name for option in import_.params}
    assert {option for layout in LAYOUTS.values() for option in layout.options} <= options


@pytest.mark.parametrize("name", LAYOUTS)
def test_recognised(name: str, roots: dict[str, Path]) -> None:
    root, layout = roots[name], LAYOUTS[name]
    assert recognise(root) is layout
    assert f"{root} is {layout.title}: slakh-hier import --layout {name} {root} -o DATA" in str(what_is(root))
    assert layout.title in str(what_is(root.parent))


@pytest.mark.parametrize("name", LAYOUTS)
def test_other_folders_are_refused_with_the_right_one(name: str, roots: dict[str, Path]) -> None:
    root, layout = roots[name], LAYOUTS[name]
    song = next(path for path in sorted(root.rglob("*")) if path.is_dir() and recognise(path) is None)
    inside = [song, *[path for path in song.iterdir() if path.is_dir()]]
    for part in inside:
        with pytest.raises(
            InputError, match=re.escape(f"is a part of {layout.title}: give the whole of it, {root}")
        ):
            list_songs(name, part, LayoutOptions())
        assert what_is(part) == (
            f"{part} is a part of {layout.title}: slakh-hier import --layout {name} {root} -o DATA takes the whole of it, "
            "without a map"
        )
    with pytest.raises(
        InputError, match=re.escape(f"is not {layout.title} but a folder around it: give {root}")
    ):
        list_songs(name, root.parent, LayoutOptions())
    for other in LAYOUTS:
        if other != name:
            with pytest.raises(InputError, match=re.escape(f"{root} is {layout.title}, not ")):
                list_songs(other, root, LayoutOptions())


def test_a_part_is_known_from_within(roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(roots["musdb18hq"] / "train")
    assert str(what_is(Path())).startswith(". is a part of MUSDB18-HQ: ")


def test_every_data_set_in_a_folder_is_named(roots: dict[str, Path], tmp_path: Path) -> None:
    for name, root in roots.items():
        (tmp_path / f"the {name}").symlink_to(root, target_is_directory=True)
    found = str(what_is(tmp_path)).splitlines()
    assert found == [
        f"{tmp_path}/the {name} is {layout.title}: slakh-hier import --layout {name} '{tmp_path}/the {name}' -o DATA needs "
        "no map"
        for name, layout in LAYOUTS.items()
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_of_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "data.json").write_text("{}")  # a training run has such a file, too
    with pytest.raises(InputError, match=f"is not {LAYOUTS[name].title}, which holds "):
        list_songs(name, tmp_path, LayoutOptions())
    assert recognise(tmp_path) is None
    assert what_is(tmp_path) is None


@pytest.mark.parametrize("name", LAYOUTS)
def test_links_copy_nothing_and_the_tree_knows_every_stem(
    name: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    root, layout = roots[name], LAYOUTS[name]
    before = snapshot(root)
    report = import_data_set(root, tmp_path / "data", layout=name, audio="link")
    assert snapshot(root) == before
    assert report.failures == ()
    catalog = sh.scan(tmp_path / "data", load_hierarchy(layout.tree), cache=False)
    assert set(catalog.frame["status"]) == {"audio"}
    assert catalog.frame["labels"].notna().all()
    converted = [remark for _, remark in report.remarks if remark.startswith("converted to")]
    files = list((tmp_path / "data").rglob("S*.*"))
    assert len(files) == len(catalog.frame)
    copied = [path for path in files if path.stat().st_nlink == 1]
    assert (len(copied), len(converted)) == ((1, 1) if name == "moisesdb" else (0, 0))
    assert all(
        os.path.samefile(path, sources(root)[path.stat().st_ino]) for path in files if path not in copied
    )


def sources(root: Path) -> dict[int, Path]:
    return {path.stat().st_ino: path for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_metadata(name: str, roots: dict[str, Path], tmp_path: Path) -> None:
    import_data_set(roots[name], tmp_path / "data", layout=name, audio="link")
    record = json.loads((tmp_path / "data" / "import.json").read_text())
    assert record["settings"]["layout"] == name
    for track in record["tracks"]:
        content = yaml.safe_load((tmp_path / "data" / track["track"] / "metadata.yaml").read_text())
        assert content["title"]
        assert content["UUID"] == track["UUID"]
        assert content["import"]["id"] == track["id"] != ""
        assert (content["artist"] is None) == (name in ("urmp", "ensembleset"))
        for stem in content["stems"].values():
            assert isinstance(stem["labels"], list)
            assert stem["labels"]
            assert (roots[name] / track["id"]).is_dir() or name in ("musdb18hq", "medleydb")


@pytest.mark.parametrize("name", LAYOUTS)
def test_from_the_folder_to_an_evaluated_separator(
    name: str, roots: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tree = LAYOUTS[name].tree
    target, seed = TARGETS[name]
    missing = 1 if name == "moisesdb" else 0  # its cymbals are listed and not there
    splits = ("--splits", "40,30,30", "--split-by", "song", "--seed", seed)
    assert run("import", "--layout", name, roots[name], "-o", "data", *splits, "-j", 1) == missing
    assert run("scan", "data", "--hierarchy", tree, "--strict", "-j", 1) == 0
    drawing = ("--hierarchy", tree, "--clip-seconds", 1, "--step", 0.5, "-j", 1, "--activity", "activity.h5")
    clips = ("--clips", "train=6,validation=2,test=2")
    assert run("render", "data", "-o", "sss", "--target", target, *clips, *drawing) == 0
    nodes = load_hierarchy(tree).nodes
    levels = range(1, load_hierarchy(tree).levels + 1)
    more = ("--query-levels", ",".join(map(str, levels)), "--clips", "train=12,validation=4,test=6")
    assert run("render", "data", "-o", "qbe", "--any", *drawing, *more) == 0
    for shards in ("sss", "qbe"):
        assert run("verify", shards, "--full", "-j", 1) == 0
    with sh.open_shards("qbe") as shards:
        assert {column.name for column in shards.nodes} >= {"mix", *nodes}
    drawn = pd.read_csv("qbe/clips.csv")
    own = drawn["target"].map(lambda target: nodes[target].level)
    assert set(own) == set(levels)
    for level in levels:
        assert (drawn[f"mix_si_sdr_{level}"].isna() == (own > level)).all()
    training = ("--preset", "tiny", "--set", "training.epochs=1", "--set", "training.steps_per_epoch=1")
    assert run("train", "sss", "sss", "-o", "run", *training) == 0
    assert run("evaluate", "run", "sss", "-j", 1) == 0
    assert run("report", "run", "-o", "run.html") == 0
    assert target in Path("run.html").read_text()
    assert run("train", "qbe", "qbe", "-o", "queried", *training) == 0
    assert run("evaluate", "queried", "qbe", "-j", 1) == 0
    scores = pd.read_csv("queried/evaluation/test.csv")
    assert (scores["level"] == scores["node"].map(lambda node: nodes[node].level)).all()
    assert scores.groupby("clip")["level"].max().eq(len(levels)).all()

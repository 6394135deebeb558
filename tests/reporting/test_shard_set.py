"""The report of a shard set says what lies in the shards, and its player has their very samples."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from slakh_hier.reporting import left_out
from slakh_hier.reporting.document import Facts, Player, Plot, Report, Section, Table
from slakh_hier.reporting.page import render_page
from slakh_hier.reporting.set_clips import MIXTURE_SI_SDR, spread
from slakh_hier.reporting.shard_set import shard_report
from slakh_hier.shards import open_shards
from slakh_hier.shards.mask import MASK_KINDS, Mask, MaskKind
from slakh_hier.shards.mask_files import add_mask
from slakh_hier.shards.verify import verify


@pytest.fixture(scope="module")
def report(hostile_set: Path) -> Report:
    return shard_report(hostile_set)


def plot(report: Report, name: str) -> Plot:
    return next(plot for plot in report.plots if plot.name == name)


def blocks(report: Report, kind: type) -> list[Any]:
    return [block for section in report.sections for block in section.blocks if isinstance(block, kind)]


@pytest.fixture(scope="module")
def clips(hostile_page: bytes) -> list[dict[str, Any]]:
    """What the page's player gets."""
    found = re.findall(
        r'<script type="application/json" id="clip-[^>]*>(.*?)</script>', hostile_page.decode(), re.DOTALL
    )
    return [json.loads(text) for text in found]


def test_every_lane_has_the_samples_of_the_shards(hostile_set: Path, clips: list[dict[str, Any]]) -> None:
    shards = open_shards(hostile_set)
    assert len(clips) == len(shards) == 9
    for number, clip in enumerate(clips):
        names = [lane["name"] for lane in clip["lanes"]]
        states = {column.name: shards[number].state(column.name) for column in shards.nodes}
        assert sorted(names) == sorted([*(n for n, s in states.items() if s != "absent"), "query"])
        for lane in clip["lanes"]:
            if not lane["sounds"]:
                assert states[lane["name"]] == "silent"
                continue
            files = [io.BytesIO(base64.b64decode(clip["sounds"][place])) for place in lane["sounds"]]
            read = [soundfile.read(file, dtype="float32", always_2d=True) for file in files]
            data, rate = sum(samples for samples, _ in read), read[0][1]
            expected = shards.audio(number, lane["name"]) if lane["node"] else shards.query(number)
            assert rate == shards.sample_rate
            np.testing.assert_allclose(data.T, expected, atol=0.6 * len(files) / 2**15)
        for absent in (name for name, state in states.items() if state == "absent"):
            assert absent in clip["note"]


def test_what_is_a_sum_is_not_stored(clips: list[dict[str, Any]]) -> None:
    clip = clips[0]
    sounds = {lane["name"]: lane["sounds"] for lane in clip["lanes"]}
    assert sounds["winds"] == sounds["flutes"]
    leaves = [lane["sounds"] for lane in clip["lanes"] if len(lane["sounds"]) == 1]
    assert sorted(sounds["mix"]) == [0, 1, 2]
    assert sounds["query"] == [3]
    assert (
        len(clip["sounds"]) == 4 == len({place for lane in leaves for place in lane})
    )  # three leaves, the query


def test_withheld_nodes_are_named_with_their_mask(hostile_set: Path, clips: list[dict[str, Any]]) -> None:
    shards = open_shards(hostile_set)
    mask = shards.mask("leaf-50")
    for number, clip in enumerate(clips):
        for lane in clip["lanes"]:
            available = not lane["node"] or mask[number, shards.node(lane["name"])]
            assert lane["withheld"] == ([] if available else ["leaf-50"])


def test_a_clip_has_the_si_sdr_of_its_mixture(hostile_set: Path, report: Report) -> None:
    (player,) = blocks(report, Player)
    shards = open_shards(hostile_set)
    for number, shown in enumerate(player.clips):
        clip = shards[number]
        mix, target = (
            (x.astype(float) - x.mean(axis=1, keepdims=True, dtype=float)).ravel()
            for x in (clip.mix, clip[clip.target])
        )
        part = (mix @ target) / (target @ target) * target
        expected = 10 * np.log10((part @ part) / ((mix - part) @ (mix - part)))
        assert shown.scores[MIXTURE_SI_SDR] == pytest.approx(expected, abs=1e-4)
        assert shown.appeal == sum(clip.state(column.name) == "sounding" for column in shards.nodes)


def test_the_tree_counts_states_and_hours(hostile_set: Path, report: Report) -> None:
    rows, counts, hours = plot(report, "tree").draw.args  # type: ignore[attr-defined]
    shards = open_shards(hostile_set)
    for row, count, hour in zip(rows, counts, hours, strict=True):
        states = Counter(clip.state(row.name) for clip in shards)
        assert count == (states["sounding"], states["silent"], states["absent"])
        assert hour == pytest.approx(states["sounding"] * 1.0 / 3600)
    assert [row.depth for row in rows] == [0, 1, 2, 2, 1, 2]


def test_the_matrix_is_the_share_of_clips_with_both(hostile_set: Path, report: Report) -> None:
    names, together = plot(report, "together").draw.args  # type: ignore[attr-defined]
    shards = open_shards(hostile_set)
    for a, one in enumerate(names):
        with_one = [clip for clip in shards if clip.state(one) == "sounding"]
        for b, other in enumerate(names):
            both = [clip for clip in with_one if clip.state(other) == "sounding"]
            assert together[a, b] == pytest.approx(100 * len(both) / len(with_one))


def test_the_matrix_is_a_table_on_the_page(hostile_set: Path, report: Report) -> None:
    names, together = plot(report, "together").draw.args  # type: ignore[attr-defined]
    table = plot(report, "together").table
    assert table is not None
    assert [[row[name] for name in names] for row in table.rows] == [
        [None if np.isnan(value) else round(value) for value in row] for row in together.tolist()
    ]


def test_a_row_without_values_says_why() -> None:
    rows = [{"of": "drums", "drums": 100, "none": 0}, {"of": "none", "drums": None, "none": None}]
    table = Table("together", rows, layout="heat", blank="sounds in no clip")
    text = render_page(Report("page", [Section("one", [table])])).decode()
    assert '<td class="blank" colspan="2">sounds in no clip</td>' in text
    assert text.count("sounds in no clip") == 1
    assert "–</td>" not in text


def test_reasons_that_differ_in_their_program_only_are_one(
    monkeypatch: pytest.MonkeyPatch, small_set: Path
) -> None:
    whys = ["program 42 has no category in the tree", "program 7 has no category in the tree", "no file"]
    stems = [{"status": "unassigned" if "program" in why else "no_audio", "why": why} for why in whys]
    monkeypatch.setattr(left_out.Catalog, "left_out", lambda catalog: stems)
    by_reason, each = left_out.left_out(small_set).blocks[:2]
    assert isinstance(by_reason, Table)
    assert [(row["why"], row["stems"]) for row in by_reason.rows] == [
        ("program … has no category in the tree", 2),
        ("no file", 1),
    ]
    assert isinstance(each, Table)
    assert [row["why"] for row in each.rows] == whys


def test_what_failed_is_listed(report: Report) -> None:
    table = next(table for table in blocks(report, Table) if table.title == "Clips that failed")
    assert [row["stem"] for row in table.rows] == ["S00"]


def test_a_rendered_set_tells_its_stems_and_plan(small_set: Path) -> None:
    report = shard_report(small_set, clips=4)
    lacking = next(section for section in report.sections if section.title.startswith("Omitted stems"))
    with open(small_set / "catalog.csv") as file:
        stems = list(csv.DictReader(file))
    others = [(s["track"], s["stem"], s["status"]) for s in stems if s["status"] != "audio"]
    assert others
    assert lacking.text[0].startswith(f"{len(others)} of {len(stems)} stems")
    listed = lacking.blocks[1]
    assert isinstance(listed, Table)
    assert [(row["track"], row["stem"], row["status"]) for row in listed.rows] == others
    assert {"tree", "salience", "levels", "mixture-si-sdr", "together"} == {p.name for p in report.plots}
    facts = blocks(report, Facts)[0].rows
    assert facts["Tree"] == "slakh34"
    (player,) = blocks(report, Player)
    assert len(player.clips) == 4


def test_damage_beside_the_shards_is_reported_and_no_obstacle(hostile_set: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(hostile_set, copy)
    for name in ("failures.jsonl", "catalog.csv", "plan.yaml", "clips.csv"):
        (copy / name).write_text("{]\n\x00")
    section = next(s for s in shard_report(copy, clips=1).sections if s.title.startswith("Omitted stems"))
    assert sum(sentence.startswith("Not known: ") for sentence in section.text) == 3


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_links_beside_the_shards_are_reported_and_not_opened(
    make: Callable[[Path], object], hostile_set: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(hostile_set, copy)
    (copy / "failures.jsonl").unlink()
    for name in ("failures.jsonl", "catalog.csv", "hierarchy.yaml", "plan.yaml", "clips.csv"):
        make(copy / name)
    section = next(s for s in shard_report(copy, clips=1).sections if s.title.startswith("Omitted stems"))
    assert sum("regular file" in sentence or "link" in sentence for sentence in section.text) == 3


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9, 20])
def test_clips_are_spread_over_the_splits(hostile_set: Path, count: int) -> None:
    shards = open_shards(hostile_set)
    chosen = spread(shards, count)
    assert len(chosen) == len(set(chosen)) == min(count, 9)
    assert chosen == sorted(chosen)
    per_split = Counter(shards[number].split for number in chosen)
    if count <= 6:
        assert abs(per_split["train"] - per_split["test"]) <= 1


def test_a_kind_of_mask_added_at_run_time_reads_as_it_says(
    hostile_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entry: masks of it are made, listed, verified, and read on the page."""
    monkeypatch.setitem(MASK_KINDS, "top", MaskKind(lambda node: node.level == 2, "the coarsest nodes <b>"))
    folder = Path(shutil.copytree(hostile_set, tmp_path / "set"))
    assert add_mask(folder, Mask.parse("top-50")) == 3
    lacking = ~open_shards(folder, "train").mask("top:50")
    assert lacking.any(0).tolist() == [column.level == 2 for column in open_shards(folder).nodes]
    assert [finding.what for finding in verify(folder) if finding.file.startswith("masks")] == []
    report = shard_report(folder)
    (table,) = (block for block in blocks(report, Table) if block.title == "Masks")
    assert [row["withholds"] for row in table.rows] == ["level 1 and finer", "the coarsest nodes <b>"]
    assert "the coarsest nodes &lt;b&gt;" in render_page(report).decode()


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        ({"query_levels": [1, 2]}, "any node of levels 1, 2"),
        ({"target": "guitars", "query_levels": None}, "guitars"),
        ({"query_levels": 5}, "any node"),
        ({"target": ["guitars"]}, "['guitars']"),
    ],
)
def test_what_clips_were_drawn_for(
    hostile_set: Path, tmp_path: Path, made: dict[str, Any], shown: str
) -> None:
    """Whatever the parameters of a set from elsewhere are."""
    copy = shutil.copytree(hostile_set, tmp_path / "set")
    index = json.loads((copy / "index.json").read_text())
    (copy / "index.json").write_text(json.dumps(index | {"parameters": made}))
    (facts,) = blocks(shard_report(copy, clips=0), Facts)
    assert facts.rows["Target"] == shown

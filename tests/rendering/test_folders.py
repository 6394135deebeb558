"""A folder of shards: same bytes however it was made, resumed after faults, never mixed with another plan."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slakh_hier as sh
from slakh_hier.errors import AudioError, FaultError, InputError, LockedError
from slakh_hier.files import file_sha256
from slakh_hier.locks import folder_lock
from slakh_hier.parallel import Result, run
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask
from slakh_hier.shards.verify import verify

OPTIONS: dict[str, Any] = {"sample_rate": 8000, "shard_mb": 0.8, "masks": ["leaf:50"]}
"""How the fixture ``small_set`` is rendered."""


def digests(folder: Path) -> dict[str, str]:
    """sha256 of everything in a folder that is not hidden."""
    return {
        path.name: file_sha256(path)
        for path in sorted(folder.iterdir())
        if path.name[0] != "." and path.is_file()
    }


@pytest.mark.parametrize(
    "how", [{"jobs": 4}, {"jobs": 2, "backend": "threading"}, {"jobs": 2, "backend": "dask"}]
)
def test_every_backend_gives_the_same_bytes(
    how: dict[str, Any], small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    sh.render(small_plan, tmp_path / "out", **OPTIONS, **how)
    assert digests(tmp_path / "out") == digests(small_set)
    assert len(digests(small_set)) > 8


def test_the_order_in_which_shards_are_made_changes_no_byte(
    small_plan: sh.Plan, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def backwards(function: Any, tasks: Mapping[str, Any], **options: Any) -> Iterator[Result[Any]]:
        return run(function, dict(reversed(list(tasks.items()))), **options)

    monkeypatch.setattr("slakh_hier.output.items.run", backwards)
    sh.render(small_plan, tmp_path / "out", jobs=1, **OPTIONS)
    assert digests(tmp_path / "out") == digests(small_set)


def test_a_saved_plan_and_parts_of_a_job_array_give_the_same_bytes(
    small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    plan = sh.Plan.load(small_set, small_plan.catalog.root)
    for part in (1, 2):
        report = sh.render(plan, tmp_path / "out", jobs=1, part=(part, 2), **OPTIONS)
        assert not report.finished
        assert not (tmp_path / "out" / "index.json").exists()
    last = sh.render(plan, tmp_path / "out", jobs=1, **OPTIONS)
    assert (last.made, last.finished) == (0, True)
    assert digests(tmp_path / "out") == digests(small_set)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "exchange", "foreign"])
def test_only_a_damaged_shard_is_made_again(
    damage: str, small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    victim, other = sorted(out.glob("train-*.h5"))[:2]
    data = bytearray(victim.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "truncate":
        victim.write_bytes(data[: len(data) // 3])
    elif damage == "delete":
        victim.unlink()
    elif damage == "exchange":
        shutil.copy(other, victim)
    else:  # of the same name, in a set of another seed
        foreign = sh.plan_clips(
            small_plan.catalog, small_plan.hierarchy, clips=small_plan.parameters.clips, clip_seconds=2, step=0.5,
            seed=1, jobs=1,
        )  # fmt: skip
        sh.render(foreign, tmp_path / "foreign", jobs=1, **OPTIONS)
        shutil.copy(tmp_path / "foreign" / victim.name, victim)
        assert victim.read_bytes() != data
    assert any(victim.name in str(finding.file) for finding in verify(out, full=True))
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5") if path != victim}
    report = sh.render(small_plan, out, jobs=1, **OPTIONS)
    assert report.made == 1
    assert digests(out) == digests(small_set)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.h5") if path != victim} == times
    assert verify(out, full=True) == []


CATALOG_FREE = {"size", "mtime_ns", "artist", "bleed", "category", "why"}
"""Columns of catalog.csv that do not decide the audio; nor do the levels, which are made from the tree."""


@pytest.mark.parametrize("name", ["clips.csv", "catalog.csv"])
def test_a_changed_table_beside_the_shards_is_found_and_written_again(
    name: str, small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    header, *rows = [line.split(",") for line in (out / name).read_text().splitlines()]
    columns = [c for c in header if c not in CATALOG_FREE and not c.startswith("level_")]
    assert len(columns) > 8
    for number, column in enumerate(columns):
        row = rows[number % len(rows)]
        changed = list(row)
        changed[header.index(column)] = "7" if row[header.index(column)] != "7" else "8"
        lines = [header, *(changed if each is row else each for each in rows)]
        (out / name).write_text("".join(",".join(line) + "\n" for line in lines))
        (finding,) = verify(out, full=True)
        assert finding.file == name, column
    (out / name).unlink()
    (finding,) = verify(out, full=True)
    assert finding.what == "cannot be read: No such file or directory"
    sh.render(small_plan, out, jobs=1, **OPTIONS)
    assert digests(out) == digests(small_set)
    assert verify(out, full=True) == []


def test_a_mask_added_later_survives_a_repair(small_plan: sh.Plan, small_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    add_mask(out, Mask.parse("all:90"))
    min(out.glob("test-*.h5")).unlink()
    sh.render(small_plan, out, jobs=1, **OPTIONS)
    assert set(sh.open_shards(out).masks) == {"leaf-50", "all-90"}
    assert verify(out, full=True) == []


@pytest.mark.parametrize(
    "change", [{"sample_rate": 4000}, {"masks": []}, {"levels": [1, 2]}, {"dtype": "float32"}]
)
def test_another_rendering_is_refused_with_the_difference(
    change: dict[str, Any], small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    before = digests(out)
    with pytest.raises(InputError, match=f"(?s)nothing was changed.*{next(iter(change))}"):
        sh.render(small_plan, out, jobs=1, **{**OPTIONS, **change})
    assert digests(out) == before
    sh.render(small_plan, out, jobs=1, overwrite=True, **{**OPTIONS, **change})
    assert verify(out, full=True) == []


@pytest.mark.parametrize(
    ("tree", "seed", "difference"),
    [
        ("slakh34", 1, r"\n  seed +588 +1\n"),
        ("combo", 588, r"\n  hierarchy\.name +slakh34 +combo\n"),
    ],
)
def test_another_plan_is_refused_too(
    tree: str, seed: int, difference: str, small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    other = sh.plan_clips(
        small_plan.catalog,
        sh.load_hierarchy(tree),
        clips={"train": 3},
        clip_seconds=2,
        step=0.5,
        seed=seed,
        jobs=1,
    )
    shutil.copytree(small_set, tmp_path / "out")
    before = digests(tmp_path / "out")
    with pytest.raises(InputError, match=difference):
        sh.render(other, tmp_path / "out", jobs=1, **OPTIONS)
    (tmp_path / "out" / "index.json").unlink()
    with pytest.raises(InputError, match="now"):
        sh.render(other, tmp_path / "out", jobs=1, **OPTIONS)
    assert digests(tmp_path / "out") == {
        name: digest for name, digest in before.items() if name != "index.json"
    }


def test_a_dry_run_writes_nothing(small_plan: sh.Plan, small_set: Path, tmp_path: Path) -> None:
    report = sh.render(small_plan, tmp_path / "out", dry_run=True, **OPTIONS)
    assert not (tmp_path / "out").exists()
    done = sum(path.stat().st_size for path in small_set.glob("*.h5"))
    assert report.shards == len(list(small_set.glob("*.h5")))
    assert 0.5 * done < report.bytes < 1.5 * done


def test_no_room_is_said_before_any_work(
    small_plan: sh.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FaultError, match=r"needs .* MB, but only"):
        sh.render(small_plan, tmp_path / "out", jobs=1, **OPTIONS)
    assert not list((tmp_path / "out").glob("*.h5"))


def test_a_second_run_is_refused_at_once(small_plan: sh.Plan, small_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    before = digests(out)
    with folder_lock(out), pytest.raises(LockedError, match="process"):
        sh.render(small_plan, out, jobs=1, overwrite=True, **OPTIONS)
    assert digests(out) == before


def test_what_is_left_behind_is_removed_under_the_lock_only(
    small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    """It may be what the run that holds the lock is just writing."""
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    (out / ".tmp-0123").touch()
    (out / "masks").mkdir(exist_ok=True)
    (out / "masks" / ".tmp-0123").touch()
    with folder_lock(out):
        with pytest.raises(LockedError):
            sh.render(small_plan, out, jobs=1, **OPTIONS)
        with pytest.raises(LockedError):
            add_mask(out, Mask("leaf", 90))
        assert len(list(out.rglob(".tmp-*"))) == 2
    sh.render(small_plan, out, jobs=1, **OPTIONS)
    add_mask(out, Mask("leaf", 90))
    assert not list(out.rglob(".tmp-*"))


def test_a_stem_that_breaks_stops_the_run_or_costs_its_clips(small_slakh: Path, tmp_path: Path) -> None:
    root = tmp_path / "slakh"
    shutil.copytree(small_slakh, root)
    catalog = sh.scan(root, sh.load_hierarchy("slakh34"), split_scheme="folders")
    plan = sh.plan_clips(
        catalog,
        catalog.hierarchy,
        clips={"train": 12, "test": 4},
        clip_seconds=2,
        step=0.5,
        queries=False,
        jobs=1,
    )
    rows = catalog.usable[catalog.usable["track"] == plan.clips["track"].iloc[0]]
    stem = root / rows["path"].iloc[0]
    data = bytearray(stem.read_bytes())
    for place in range(len(data) // 3, len(data), 97):
        data[place] ^= 0x55
    stem.write_bytes(data)
    with pytest.raises(AudioError, match=f"{rows['track'].iloc[0]}/{rows['stem'].iloc[0]}"):
        sh.render(plan, tmp_path / "out", jobs=1, **OPTIONS)
    assert not (tmp_path / "out" / "index.json").exists()
    report = sh.render(plan, tmp_path / "out", jobs=1, on_broken="skip", **OPTIONS)
    lines = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert report.failures == len(lines) > 0
    assert {json.loads(line)["stem"] for line in lines} == {rows["stem"].iloc[0]}
    assert len(sh.open_shards(tmp_path / "out")) == len(plan.clips) - report.failures
    assert verify(tmp_path / "out", full=True) == []
    again = sh.render(plan, tmp_path / "out", jobs=1, on_broken="skip", **OPTIONS)
    assert (again.made, again.failures) == (0, report.failures)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)]
)
def test_a_stopped_run_leaves_nothing_half_made_and_resumes(
    number: signal.Signals, code: int, small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "slakh_hier",
        "render",
        str(small_plan.catalog.root),
        "--plan",
        str(small_set),
    ]
    command += ["-o", str(out), "-j", "1", "--sample-rate", "8000", "--shard-mb", "0.8", "--mask", "leaf:50"]
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.h5")) and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    began = time.monotonic()
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    if run.returncode != 0:  # else it was done before the signal came
        assert run.returncode == code
        assert code < 0 or "again to resume" in said
        assert code < 0 or time.monotonic() - began < 10
        assert not (out / "index.json").exists()
    reference = digests(small_set)
    assert all(reference[path.name] == file_sha256(path) for path in out.glob("*.h5"))
    sh.render(small_plan, out, jobs=1, **OPTIONS)
    assert digests(out) == reference
    assert not list(out.glob(".tmp-*"))


def test_the_finest_rendered_nodes_add_up(small_plan: sh.Plan, tmp_path: Path) -> None:
    sh.render(small_plan, tmp_path / "out", levels=[0, 2], sample_rate=8000, dtype="float32", jobs=1)
    shards = sh.open_shards(tmp_path / "out")
    for clip in shards:
        for parent in range(len(shards.nodes)):
            children = [node.name for node in shards.nodes if node.parent == parent]
            if children:
                total = np.sum([clip[name] for name in children], axis=0)
                assert np.abs(total - clip[shards.nodes[parent].name]).max() < 1e-5

"""What a process that renders needs: room for one shard, whatever the number of shards and tracks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import slakh_hier as sh
from slakh_hier.testing import make_slakh

PROGRAM = """
import resource, sys
import slakh_hier as sh
few, many = sys.argv[1:]
plans = [sh.Plan.load(f"{folder}/plan", f"{folder}/slakh") for folder in (few, few, many)]
for number, plan in enumerate(plans):  # the first time only fills what libraries keep
    sh.render(plan, f"{many if number == 2 else few}/out-{number}", jobs=1, shard_mb=0.8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def planned(folder: Path, tracks: int) -> Path:
    """A data set and a plan of three clips a track, saved."""
    root = make_slakh(
        folder / "slakh", tracks=tracks, seconds=4, sample_rate=16000, stems=4, every_category=False
    )
    catalog = sh.scan(root, sh.load_hierarchy("slakh34"), split_scheme="folders", cache=False, jobs=1)
    clips = {"train": tracks * 3 // 2, "validation": tracks * 3 // 4, "test": tracks * 3 // 4}
    plan = sh.plan_clips(
        catalog, catalog.hierarchy, clips=clips, clip_seconds=2, step=0.5, queries=False,
        activity=folder / "activity.h5", jobs=1,
    )  # fmt: skip
    plan.save(folder / "plan")
    return folder


def test_six_times_as_many_tracks_and_shards_need_no_more(tmp_path: Path) -> None:
    few, many = planned(tmp_path / "few", 4), planned(tmp_path / "many", 24)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, few, many], capture_output=True, text=True, check=True
    )
    _, one, six = map(int, done.stdout.split())  # KiB
    shards = [len(list(folder.glob("*.h5"))) for folder in (few / "out-1", many / "out-2")]
    assert shards[1] >= 5 * shards[0] >= 20
    written = sum(path.stat().st_size for path in (many / "out-2").glob("*.h5")) / 1024
    assert six - one < written / 10, (
        f"{six - one} KiB more; the further shards have some {written * 5 / 6:.0f} KiB"
    )

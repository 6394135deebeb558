"""Memory does not depend on the length of a track, and hardly on their number."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import numpy as np
import soundfile

from slakh_hier.submix.tasks import TrackTasks

RATE = 8_000
MINUTES = 10
PROGRAM = """
import resource, sys
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.slakh import scan
from slakh_hier.submix import write_submixes
tree = load_hierarchy("band")
for root, out in zip(sys.argv[1::2], sys.argv[2::2]):
    write_submixes(scan(root, tree, cache=False), out, level=1, sample_rate=11025, audio_format="wav", jobs=1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_ten_minutes_need_no_more_than_two(make_track, tmp_path):
    """One process, so that what libraries take is the same: the long track may not raise the peak of the short one."""
    minute = (np.sin(np.arange(60 * RATE) / 9) * 3000).astype(np.int16)
    root = make_track(dict.fromkeys((0, 24, 128), np.tile(minute, 2)), rate=RATE, subtype="PCM_16")
    short = root.rename(tmp_path / "short")
    long = make_track({0: minute[:9], 24: minute[:9], 128: minute[:9]}, rate=RATE)
    for path in (long / "Track00001" / "stems").iterdir():
        with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16", compression_level=0) as file:
            for _ in range(MINUTES):
                file.write(minute)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(short), str(tmp_path / "a"), str(long), str(tmp_path / "b")],
        capture_output=True,
        text=True,
        check=True,
    )
    two, ten = map(int, done.stdout.split())  # KiB
    written = soundfile.info(tmp_path / "b" / "Track00001" / "mix.wav")
    assert written.frames == MINUTES * 60 * 11025
    signal = written.frames * 4 / 1024
    assert ten - two < signal / 10, f"{ten - two} KiB more, where one signal has {signal:.0f} KiB"


def test_the_work_of_a_track_is_made_when_it_is_sent(catalog):
    tasks = TrackTasks(catalog, 1, [])
    made = tasks["Track00001"]
    assert list(tasks) == sorted(set(catalog.usable["track"]))
    assert [stem.stem for stem in made.stems] == catalog.usable_by_track["Track00001"]["stem"].tolist()
    outline = tasks.outlines["Track00001"]
    assert outline == (made.target, len(made.files.outputs), made.frames, made.sample_rate, 1)
    kept = weakref.ref(made)
    del made
    gc.collect()
    assert kept() is None

"""CPU seconds that ``scan`` takes for 2,100 tracks, over reading and parsing the same metadata with nothing else.

    python tests/benchmarks/scan.py [--tracks 2100] [--rounds 3] [--jobs 2]

Makes a data set with Slakh2100's songs, metadata of the true shape and size, and stems of a FLAC header each,
then measures in turns, in one process each time: reading every metadata.yaml and yaml.CSafeLoader (the floor);
a scan without a cache; a scan from its cache. CSV on stdout; the last line is scan over floor.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import yaml
from harness import cpu_seconds, in_turns, read_options, report, workspace

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.slakh import scan
from slakh_hier.testing.instruments import INSTRUMENTS

STEMS = 11  # Slakh2100 has 10.5 a track
RATE, FRAMES = 44100, 44100 * 246


def main() -> None:
    options = read_options(__doc__, tracks=2100, rounds=3, jobs=2)
    with workspace() as folder:
        root = folder / "slakh"
        os.environ["SLAKH_HIER_CACHE"] = str(folder / "cache")
        stems = make(root, options.tracks)
        tree = load_hierarchy("slakh34")

        def counted(run: Callable[[], int]) -> None:
            if (found := run()) != stems:
                sys.exit(f"{found} of {stems} stems seen")

        medians = in_turns(
            {
                "floor": lambda: counted(lambda: floor(root)),
                "scan": lambda: counted(lambda: len(scan(root, tree, cache=False, jobs=options.jobs).frame)),
                "scan from cache": lambda: counted(lambda: len(scan(root, tree, jobs=options.jobs).frame)),
            },
            options.rounds,
            cpu_seconds,
        )
    rows = {f"{what}: {options.tracks} tracks, {stems} stems": median for what, median in medians.items()}
    report(
        rows,
        "cpu_seconds",
        medians["scan"] / medians["floor"],
        cache_speedup=medians["scan"] / medians["scan from cache"],
    )


def floor(root: Path) -> int:
    """Read and parse every metadata.yaml, one after another; the number of stems they name."""
    stems = 0
    for path in sorted(root.glob("*/*/metadata.yaml")):
        stems += len(yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)["stems"])
    return stems


def make(root: Path, tracks: int) -> int:
    """A data set of FLAC headers; returns the number of its stems."""
    text = resources.files("slakh_hier.slakh").joinpath("splits.csv").read_text(encoding="utf-8")
    header = flac_header(RATE, FRAMES)
    instruments = list(INSTRUMENTS.values())
    lines = list(csv.DictReader(text.splitlines()))[:tracks]
    for number, line in enumerate(lines):
        folder = root / line["redux"] / line["track"]
        (folder / "stems").mkdir(parents=True)
        entries = []
        for i in range(STEMS):
            instrument = instruments[(number + 5 * i) % len(instruments)]
            entries.append(ENTRY.format(stem=i, instrument=instrument, drum=str(instrument.is_drum).lower()))
            (folder / "stems" / f"S{i:02d}.flac").write_bytes(header)
        (folder / "metadata.yaml").write_text(
            METADATA.format(song=line["midi_md5"], entries="".join(entries))
        )
    return len(lines) * STEMS


def flac_header(rate: int, frames: int) -> bytes:
    """fLaC and a STREAMINFO block of 16-bit mono audio (RFC 9639, section 8.2)."""
    packed = rate << 44 | 0 << 41 | 15 << 36 | frames
    block = (4096).to_bytes(2, "big") * 2 + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC" + bytes([0x80]) + len(block).to_bytes(3, "big") + block


METADATA = """\
UUID: {song}
audio_dir: stems
lmd_midi_dir: lmd_matched/O/O/H/TROOHTB128F931F9DF/{song}.mid
midi_dir: MIDI
normalization_factor: -13.0
normalized: true
overall_gain: 0.18270259567062658
stems:
{entries}target_peak: -1.0
"""
ENTRY = """\
  S{stem:02d}:
    audio_rendered: true
    inst_class: {instrument.inst_class}
    integrated_loudness: -16.590526818369444
    is_drum: {drum}
    midi_program_name: {instrument.midi_program_name}
    midi_saved: true
    plugin_name: {instrument.patch}
    program_num: {instrument.program}
"""


if __name__ == "__main__":
    main()

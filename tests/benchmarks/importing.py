"""CPU seconds of ``import FOLDER`` over the floor: read every file once, resample it, write FLAC once.

    python tests/benchmarks/importing.py [--songs 4] [--seconds 60] [--rate 44100] [--rounds 3]

Stereo WAV files at 44.1 kHz, six stems and their mixture a song, as people have them. The floor neither checks nor adds up:
it reads, resamples where ``--rate`` differs (soxr HQ), and writes stems and mix with soundfile. CSV on stdout, with seconds of
songs per CPU second; the last line is import over floor.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import soundfile
import soxr
from harness import cpu_seconds, in_turns, read_options, report, workspace

from slakh_hier.importing import import_data_set

RATE = 44_100
MAP = """\
schema: 1
instruments:
  bass: {files: [bass], program: 33}
  drums: {files: [drums], drums: true}
  guitar: {files: [guitar], program: 27}
  piano: {files: [piano], program: 0}
  strings: {files: [strings], program: 48}
  vocals: {files: [vocals]}
mix: [mixture]
"""
NAMES = ("bass", "drums", "guitar", "piano", "strings", "vocals")


def main() -> None:
    options = read_options(__doc__, songs=4, seconds=60.0, rate=RATE, rounds=3)
    with workspace() as work:
        files = songs(work / "songs", options.songs, options.seconds)
        (work / "map.yaml").write_text(MAP, encoding="utf-8")

        def ours() -> None:
            import_data_set(
                work / "songs",
                work / "out",
                map_file=work / "map.yaml",
                sample_rate=options.rate,
                overwrite=True,
                jobs=1,
            )

        def floor() -> None:
            shutil.rmtree(work / "floor", ignore_errors=True)
            (work / "floor").mkdir()
            for number, file in enumerate(files):
                samples, rate = soundfile.read(file, dtype="float32")
                if rate != options.rate:
                    samples = soxr.resample(samples, rate, options.rate, quality="HQ")
                soundfile.write(work / "floor" / f"{number}.flac", samples, options.rate)

        medians = in_turns({"floor": floor, "import": ours}, options.rounds, cpu_seconds)
    report(
        medians,
        "cpu_seconds",
        medians["import"] / medians["floor"],
        seconds_of_songs_per_cpu_second=options.songs * options.seconds / medians["import"],
    )


def songs(folder: Path, count: int, seconds: float) -> list[Path]:
    """Stems of noise that swells and pauses, and their sum; the files."""
    rng = np.random.default_rng(0)
    made = []
    for song in range(count):
        place = folder / f"Artist {song} - Song"
        place.mkdir(parents=True)
        total = np.zeros((round(seconds * RATE), 2), np.float32)
        for name in NAMES:
            swell = np.repeat(rng.uniform(0, 1, int(seconds) + 1) > 0.3, RATE)[: len(total), None]
            stem = rng.standard_normal(total.shape, np.float32) * (0.02 * swell).astype(np.float32)
            total += stem
            made.append(place / f"{name}.wav")
            soundfile.write(made[-1], stem, RATE, subtype="PCM_16")
        made.append(place / "mixture.wav")
        soundfile.write(made[-1], total, RATE, subtype="PCM_16")
    return made


if __name__ == "__main__":
    main()

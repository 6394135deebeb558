"""What real data sets suffer from, put into a generated one at known places."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.output import METADATA
from slakh_hier.output.audio import AudioFormat
from slakh_hier.testing.track import TrackSpec, metadata, write_audio, write_metadata
from slakh_hier.wording import did_you_mean

WHITE_NOISE_SONG = "2dfc2e66f4cace81c83f18e2d2f12f74"
"""The song of Slakh2100's Track00357, whose S03 is white noise."""


@dataclass(frozen=True)
class Place:
    """Where a defect is put: a track and, for defects of a stem, its id."""

    root: Path
    specs: Sequence[TrackSpec]
    spec: TrackSpec
    stem: str

    @property
    def folder(self) -> Path:
        return self.root / self.spec.folder

    @property
    def file(self) -> Path:
        """The stem's audio file as it stands."""
        return next((self.folder / "stems").glob(f"{self.stem}.*"))

    @property
    def frames(self) -> int:
        """Samples of every stem of the track."""
        return int(soundfile.info(str(next(self.folder.glob("mix.*")))).frames)

    @property
    def sample_rate(self) -> int:
        return self.spec.stems[0].sample_rate

    def samples(self) -> NDArray[np.int16]:
        """What the stem would be without the defect, int16 (frames, channels)."""
        stem = next(stem for stem in self.spec.stems if stem.stem == self.stem)
        return stem.samples(0, self.frames)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the track's metadata as they stand."""
        path = self.folder / METADATA
        content = yaml.safe_load(path.read_bytes())
        change(content)
        write_metadata(path, content)


@dataclass(frozen=True)
class Defect:
    """A defect and its place.

    ``track`` counts from 1 (-1: the last); ``stem`` is an id, or "" for a defect of the whole track. ``present`` is
    False for a stem that only the defect makes.
    """

    what: str
    track: int
    stem: str
    put: Callable[[Place], None]
    flac_only: bool = False
    present: bool = True

    def apply(self, root: Path, specs: Sequence[TrackSpec]) -> None:
        """Put the defect into the data set ``root`` that was written from ``specs``."""
        self.put(Place(root, specs, specs[self.track - 1 if self.track > 0 else self.track], self.stem))


def check_defects(defects: Collection[str], tracks: int, stems: int, audio_format: AudioFormat) -> None:
    """Raise InputError for a name that does not exist or a data set too small to hold it."""
    if isinstance(defects, str):
        raise InputError(f"defects is a collection of names; write [{defects!r}]")
    for name in defects:
        if name not in DEFECTS:
            raise InputError(f"no defect is called {name!r}: {did_you_mean(name, DEFECTS)}")
        defect = DEFECTS[name]
        needed = max(defect.track, 2)
        if tracks < needed:
            raise InputError(f"the defect {name} needs {needed} tracks or more, not {tracks}")
        if defect.stem and defect.present and int(defect.stem[1:]) >= stems:
            raise InputError(
                f"the defect {name} lies at {defect.stem}: it needs {int(defect.stem[1:]) + 1} stems or more"
            )
        if defect.flac_only and audio_format != "flac":
            raise InputError(f"the defect {name} needs audio_format='flac'")


def _missing_stem(place: Place) -> None:
    place.file.unlink()


def _unrendered(place: Place) -> None:
    place.file.unlink()
    place.edit(lambda content: content["stems"][place.stem].update(audio_rendered=False))


def _stem_without_metadata(place: Place) -> None:
    first = next((place.folder / "stems").glob("S00.*"))
    (place.folder / "stems" / f"S20{first.suffix}").write_bytes(first.read_bytes())


def _truncated(place: Place) -> None:
    data = place.file.read_bytes()
    place.file.write_bytes(data[: len(data) * 2 // 3])


def _bit_flip(place: Place) -> None:
    data = bytearray(place.file.read_bytes())
    data[len(data) // 2] ^= 0x10
    place.file.write_bytes(data)


def _wrong_rate(place: Place) -> None:
    write_audio(place.file, place.samples(), 48000 if place.sample_rate != 48000 else 44100)


def _stereo(place: Place) -> None:
    left = place.samples()[:, 0]
    write_audio(place.file, np.stack([left, -(left // 2)], axis=1), place.sample_rate)


def _nan(place: Place) -> None:
    samples = place.samples().astype(np.float32) / 32768
    samples[len(samples) // 2] = np.nan
    place.file.unlink()
    write_audio(place.folder / "stems" / f"{place.stem}.wav", samples, place.sample_rate, subtype="FLOAT")


def _not_audio(place: Place) -> None:
    place.file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _shorter(place: Place) -> None:
    write_audio(place.file, place.samples()[: place.frames * 3 // 4], place.sample_rate)


def _silent(place: Place) -> None:
    write_audio(place.file, np.zeros(place.frames, np.int16), place.sample_rate)


def _white_noise(place: Place) -> None:
    seed = place.spec.stems[0].seed
    noise = np.random.default_rng(seed).integers(-3000, 3000, place.frames, dtype=np.int16)
    write_audio(place.file, noise, place.sample_rate)
    place.edit(lambda content: content.update(UUID=WHITE_NOISE_SONG))


def _symlink_out(place: Place) -> None:
    path = place.file
    path.unlink()
    path.symlink_to(os.devnull)


def _unassigned(place: Place) -> None:
    def change(content: dict[str, Any]) -> None:
        content["stems"][place.stem].update(
            inst_class="Sound effects", midi_program_name="FX 8 (sci-fi)", plugin_name="None", program_num=103
        )

    place.edit(change)


def _duplicate_song(place: Place) -> None:
    place.edit(lambda content: content.update(UUID=place.specs[0].song))


def _lying_metadata(place: Place) -> None:
    def change(content: dict[str, Any]) -> None:
        content.update(audio_dir="../../../etc", midi_dir="/Volumes/data/MIDI")
        for name in ("normalization_factor", "target_peak", "overall_gain"):
            del content[name]
        for stem in content["stems"].values():
            stem.update(audio_rendered=False, midi_saved=False)
            del stem["integrated_loudness"]
            stem["plugin_name"] = "/Volumes/samples/" + stem["plugin_name"]

    place.edit(change)


def _unreadable_metadata(place: Place) -> None:
    text = yaml.safe_dump(metadata(place.spec)).replace("stems:\n", "stems: [\n")
    (place.folder / METADATA).write_text(text)


DEFECTS = {
    "missing_stem": Defect("a stem that was rendered has no file", 1, "S01", _missing_stem),
    "unrendered_stem": Defect("a stem that was never rendered", 1, "S03", _unrendered),
    "stem_without_metadata": Defect(
        "a file S20 that no metadata name", 1, "S20", _stem_without_metadata, present=False
    ),
    "truncated_flac": Defect("the last third of a file is gone", 1, "S02", _truncated, flac_only=True),
    "bit_flip": Defect("one bit of a file is turned over", 1, "S04", _bit_flip, flac_only=True),
    "wrong_rate": Defect("a stem at another sample rate than its track", 2, "S01", _wrong_rate),
    "stereo_stem": Defect("a stem with two different channels", 2, "S02", _stereo),
    "nan": Defect("a float WAV file with one NaN in its middle", 2, "S04", _nan),
    "not_audio": Defect("a text file under the name of a stem", 2, "S05", _not_audio),
    "lying_metadata": Defect("every hint of the metadata is wrong", 2, "", _lying_metadata),
    "shorter_stem": Defect("a stem of three quarters of the length", 3, "S01", _shorter),
    "silent_stem": Defect("a stem of zeros", 3, "S02", _silent),
    "white_noise": Defect("a known erratum: the song of Slakh's Track00357", 3, "S03", _white_noise),
    "unassigned_program": Defect("a program that no category of slakh34 has", 3, "S04", _unassigned),
    "symlink_out": Defect("a link that points outside the data set", 3, "S05", _symlink_out),
    "unreadable_metadata": Defect("a metadata.yaml that is not YAML", 4, "", _unreadable_metadata),
    "duplicate_song": Defect("the last track is the same song as the first", -1, "", _duplicate_song),
}
"""Every defect by name, with its place."""

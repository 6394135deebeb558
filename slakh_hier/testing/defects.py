"""What real data sets suffer from, put into a generated one at known places."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from slakh_hier.errors import InputError
from slakh_hier.testing.track import AudioFormat, StemSpec, TrackSpec, metadata, write_audio, write_metadata

WHITE_NOISE_SONG = "2dfc2e66f4cace81c83f18e2d2f12f74"


@dataclass(frozen=True)
class Place:
    """Where a defect is put."""

    root: Path
    specs: Sequence[TrackSpec]
    spec: TrackSpec
    stem: StemSpec | None

    @property
    def folder(self) -> Path:
        return self.root / self.spec.folder

    @property
    def file(self) -> Path:
        """The stem's audio file as it stands."""
        assert self.stem is not None
        return next((self.folder / "stems").glob(f"{self.stem.stem}.*"))

    @property
    def frames(self) -> int:
        import soundfile

        return int(soundfile.info(str(next(self.folder.glob("mix.*")))).frames)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the track's metadata as they stand."""
        path = self.folder / "metadata.yaml"
        content = yaml.safe_load(path.read_bytes())
        change(content)
        write_metadata(path, content)


@dataclass(frozen=True)
class Defect:
    """A defect and its place: ``track`` counts from 1 (-1: the last), ``stem`` is an id or None for the track."""

    what: str
    track: int
    stem: str | None
    put: Callable[[Place], None]
    flac_only: bool = False

    def apply(self, root: Path, specs: Sequence[TrackSpec]) -> None:
        spec = specs[self.track - 1 if self.track > 0 else self.track]
        stem = next((s for s in spec.stems if s.stem == self.stem), None)
        self.put(Place(root, specs, spec, stem))


def check_defects(defects: Collection[str], tracks: int, stems: int, audio_format: AudioFormat) -> None:
    """Raise InputError for a name that does not exist or a data set too small to hold it."""
    if isinstance(defects, str):
        raise InputError(f"defects is a collection of names; write [{defects!r}]")
    for name in defects:
        if name not in DEFECTS:
            near = difflib.get_close_matches(name, DEFECTS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"no defect is called {name!r}; {hint}There are: {', '.join(DEFECTS)}")
        defect = DEFECTS[name]
        needed = defect.track if defect.track > 0 else 2
        if tracks < needed or (defect.stem and defect.stem < "S20" and int(defect.stem[1:]) >= stems):
            raise InputError(
                f"the defect {name} lies at track {needed}, {defect.stem}: ask for more tracks or stems"
            )
        if defect.flac_only and audio_format != "flac":
            raise InputError(f"the defect {name} needs audio_format='flac'")


def _missing_stem(place: Place) -> None:
    place.file.unlink()


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
    assert place.stem is not None
    rate = 48000 if place.stem.sample_rate != 48000 else 44100
    write_audio(place.file, place.stem.samples(0, place.frames), rate)


def _stereo(place: Place) -> None:
    assert place.stem is not None
    left = place.stem.samples(0, place.frames)
    write_audio(place.file, np.stack([left, -(left // 2)], axis=1), place.stem.sample_rate)


def _nan(place: Place) -> None:
    assert place.stem is not None
    samples = place.stem.samples(0, place.frames).astype(np.float32) / 32768
    samples[len(samples) // 2] = np.nan
    place.file.unlink()
    write_audio(
        place.folder / "stems" / f"{place.stem.stem}.wav", samples, place.stem.sample_rate, subtype="FLOAT"
    )


def _not_audio(place: Place) -> None:
    place.file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _shorter(place: Place) -> None:
    assert place.stem is not None
    write_audio(place.file, place.stem.samples(0, place.frames * 3 // 4), place.stem.sample_rate)


def _silent(place: Place) -> None:
    assert place.stem is not None
    write_audio(place.file, np.zeros(place.frames, np.int16), place.stem.sample_rate)


def _white_noise(place: Place) -> None:
    assert place.stem is not None
    noise = np.random.default_rng(place.stem.seed).integers(-3000, 3000, place.frames, dtype=np.int16)
    write_audio(place.file, noise, place.stem.sample_rate)
    place.edit(lambda content: content.update(UUID=WHITE_NOISE_SONG))


def _symlink_out(place: Place) -> None:
    place.file.unlink()
    (place.folder / "stems" / f"{place.stem.stem if place.stem else ''}.flac").symlink_to("/etc/passwd")


def _unassigned(place: Place) -> None:
    def change(content: dict[str, Any]) -> None:
        assert place.stem is not None
        content["stems"][place.stem.stem].update(
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
    (place.folder / "metadata.yaml").write_text(text)


DEFECTS = {
    "missing_stem": Defect("a stem of the metadata has no file", 1, "S01", _missing_stem),
    "stem_without_metadata": Defect("a file S20 that no metadata name", 1, "S20", _stem_without_metadata),
    "truncated_flac": Defect("the last third of a file is gone", 1, "S02", _truncated, flac_only=True),
    "bit_flip": Defect("one bit of a file is turned over", 1, "S04", _bit_flip, flac_only=True),
    "wrong_rate": Defect("a stem at another sample rate than its track", 2, "S01", _wrong_rate),
    "stereo_stem": Defect("a stem with two different channels", 2, "S02", _stereo),
    "nan": Defect("a float WAV file with one NaN in its middle", 2, "S04", _nan),
    "not_audio": Defect("a text file under the name of a stem", 2, "S05", _not_audio),
    "lying_metadata": Defect("every hint of the metadata is wrong", 2, None, _lying_metadata),
    "shorter_stem": Defect("a stem of three quarters of the length", 3, "S01", _shorter),
    "silent_stem": Defect("a stem of zeros", 3, "S02", _silent),
    "white_noise": Defect("a known erratum: the song of Slakh's Track00357", 3, "S03", _white_noise),
    "unassigned_program": Defect("a program that no category of slakh34 has", 3, "S04", _unassigned),
    "symlink_out": Defect("a link that leads out of the data set", 3, "S05", _symlink_out, flac_only=True),
    "unreadable_metadata": Defect("a metadata.yaml that is not YAML", 4, None, _unreadable_metadata),
    "duplicate_song": Defect("the last track is the same song as the first", -1, None, _duplicate_song),
}
"""Every defect by name, with its place."""

"""One generated track: what it plays, and how it is written in Slakh's layout."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from slakh_hier.files import md5
from slakh_hier.output import METADATA, SOURCE_MIDI
from slakh_hier.output.audio import AudioFormat, AudioWriter, Encoding, Subtype
from slakh_hier.testing.formula import formula_stem
from slakh_hier.testing.instruments import Instrument

EARLY = 11
"""Samples by which the channels of a stereo stem differ."""


@dataclass(frozen=True)
class StemSpec:
    """One generated stem: what it is called, what it plays, and its samples."""

    track: str
    stem: str
    instrument: Instrument
    sample_rate: int
    seed: int
    channels: int = 1

    def samples(self, start: int, count: int) -> NDArray[np.int16]:
        """Samples from ``start``, int16 (count, channels), as :func:`~slakh_hier.testing.formula_stem` gives them.

        The right channel is :data:`EARLY` samples ahead of the left one.
        """
        found = formula_stem(
            self.track,
            self.stem,
            self.instrument.program,
            start,
            count + (self.channels - 1) * EARLY,
            sample_rate=self.sample_rate,
            seed=self.seed,
        )
        return np.stack([found[channel * EARLY :][:count] for channel in range(self.channels)], axis=1)


@dataclass(frozen=True)
class TrackSpec:
    """One generated track. ``split`` is its folder ("" without folders), ``song`` the metadata's UUID."""

    track: str
    split: str
    song: str
    stems: tuple[StemSpec, ...]

    @property
    def folder(self) -> Path:
        """Place of the track, relative to the data set's root."""
        return Path(self.split, self.track)


def write_track(root: Path, spec: TrackSpec, count: int, audio_format: AudioFormat) -> None:
    folder = root / spec.folder
    (folder / "stems").mkdir(parents=True)
    (folder / "MIDI").mkdir()
    mix = np.zeros((count, max(stem.channels for stem in spec.stems)), np.int32)
    for stem in spec.stems:
        samples = stem.samples(0, count)
        mix += samples
        write_audio(folder / "stems" / f"{stem.stem}.{audio_format}", samples, stem.sample_rate)
        (folder / "MIDI" / f"{stem.stem}.mid").write_bytes(midi_bytes(stem.stem))
    loudest = np.clip(mix, -32768, 32767).astype(np.int16)
    write_audio(folder / f"mix.{audio_format}", loudest, spec.stems[0].sample_rate)
    (folder / SOURCE_MIDI).write_bytes(midi_bytes(spec.track, spec.stems[0].seed))
    write_metadata(folder / METADATA, metadata(spec))


def metadata(spec: TrackSpec) -> dict[str, Any]:
    """The content of a track's metadata.yaml, with the keys of the real ones."""
    return {
        "UUID": spec.song,
        "audio_dir": "stems",
        "lmd_midi_dir": f"formula/{spec.song}.mid",
        "midi_dir": "MIDI",
        "normalization_factor": -13.0,
        "normalized": True,
        "overall_gain": 1.0,
        "stems": {
            stem.stem: {
                "audio_rendered": True,
                "inst_class": stem.instrument.inst_class,
                "integrated_loudness": -13.0,
                "is_drum": stem.instrument.is_drum,
                "midi_program_name": stem.instrument.midi_program_name,
                "midi_saved": True,
                "plugin_name": stem.instrument.patch,
                "program_num": stem.instrument.program,
            }
            for stem in spec.stems
        },
        "target_peak": -1.0,
    }


def song_of(track: str, seed: int) -> str:
    """The song id of a generated track: as in Slakh, the MD5 of its all_src.mid."""
    return md5(midi_bytes(track, seed))


def write_audio(path: Path, samples: NDArray[Any], sample_rate: int, subtype: Subtype = "PCM_16") -> None:
    """Write samples (count,) or (count, channels) in the format that the suffix names."""
    signal = np.atleast_2d(samples.T)
    encoding = Encoding("flac" if path.suffix == ".flac" else "wav", subtype)
    # The fastest FLAC level: the files are for tests.
    level = 0.0 if encoding.format == "flac" else None
    with AudioWriter(path, sample_rate, len(signal), signal.shape[1], encoding, level=level) as writer:
        writer.write(signal)


def write_metadata(path: Path, content: Any) -> None:
    """Write metadata.yaml in block style with sorted keys, as Slakh's."""
    path.write_text(yaml.dump(content, Dumper=_Dumper, default_flow_style=False), encoding="utf-8")


def midi_bytes(name: str, seed: int = 0) -> bytes:
    """A valid standard MIDI file without notes, whose text holds ``name`` and ``seed``."""
    text = f"slakh-hier {seed} {name}".encode()
    events = b"\x00\xff\x01" + bytes([len(text)]) + text + b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(events)) + events


_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

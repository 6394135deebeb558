"""One song becomes one track in Slakh's layout: stems, mix, MIDI and metadata, or nothing at all.

By Slakh's recipe: every stem is brought to -13 LUFS, then the whole track to a mix that peaks at -1 dBFS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, log10
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.errors import SongError
from slakh_hier.files import md5
from slakh_hier.output import METADATA, SOURCE_MIDI
from slakh_hier.output.audio import LARGEST, Encoding, write_sums
from slakh_hier.output.folder import Target
from slakh_hier.output.items import Made, make_track
from slakh_hier.output.tracks import MAX_STEMS, TrackRecord, stem_name
from slakh_hier.synth.gm import instrument_class, program_name
from slakh_hier.synth.instruments import category_of, draw_patch
from slakh_hier.synth.loudness import LoudnessMeter, gain_to
from slakh_hier.synth.read_song import read_song
from slakh_hier.synth.reorchestrate import reorchestrate
from slakh_hier.synth.scratch import BLOCK, Scratch
from slakh_hier.synth.songs import Part, Song
from slakh_hier.synth.synthesise import Synthesiser, synthesise
from slakh_hier.synth.write_song import song_midi

RATE = 44_100
STEM_LUFS = -13.0
LEAST_LUFS = -60.0
"""A stem below is not raised to the others: of a note that is muted as it begins, the click would be as loud as music."""
PEAK_DBFS = -1.0
TAIL_SECONDS = 2.0
"""How long the last notes may ring on after the song."""

FLAC_SHARE = 0.25
"""Of the size as plain samples: 0.21 to 0.30 were measured, Slakh2100 has 0.2. Only for estimates."""

_FADE_SECONDS, _CUT_SECONDS = 0.5, 0.02
_REFINEMENTS = 3
_LEVEL_TOLERANCE = 0.005  # dB


@dataclass(frozen=True)
class Source:
    """A song to be made into a track: its name for the metadata, the md5 of its bytes, and where they are."""

    track: str
    name: str
    md5: str
    path: str | None = None
    data: bytes | None = None

    def read(self) -> bytes:
        """The MIDI file's bytes; a SongError where they changed since they were listed."""
        if self.data is not None:
            return self.data
        assert self.path is not None
        try:
            data = Path(self.path).read_bytes()
        except OSError as error:
            raise SongError(f"cannot be read: {error.strerror}") from error
        if md5(data) != self.md5:
            raise SongError("changed while it was read; run again")
        return data


@dataclass(frozen=True)
class Settings:
    """How all tracks of a data set are made. ``soundfont`` is a path, ``max_seconds`` None for whole songs."""

    soundfont: str
    synthesiser: Synthesiser
    reorchestrate: bool
    max_seconds: float | None
    seed: int


def synthesise_track(
    target: Target, place: str, digest: str, source: Source, settings: Settings
) -> Made[TrackRecord]:
    """Make one track below the output folder.

    Raises
    ------
    SongError
        The MIDI file cannot be used; nothing is left behind.
    FaultError
        The disk is full.
    """

    def fill(folder: Path) -> TrackRecord:
        data = source.read()
        song = _song(data, source, settings)
        if len(song.parts) > MAX_STEMS:
            raise SongError(f"has {len(song.parts)} parts; a track holds {MAX_STEMS} stems at most")
        for name in ("stems", "MIDI"):
            (folder / name).mkdir()
        (folder / SOURCE_MIDI).write_bytes(data)
        return _fill(folder, source, song, settings)

    return make_track(target, place, digest, TrackRecord, fill)


def estimated_bytes(source: Source, settings: Settings) -> int:
    """About how much disk space the track will take; 0 where its song cannot be used."""
    try:
        song = _song(source.read(), source, settings)
    except SongError:
        return 0
    sounding = sum(category_of(part.program_num) is not None for part in song.parts)
    files = sounding + 1 if sounding else 0  # and the mix
    return round(2 * _frames(song, settings)[0] * files * FLAC_SHARE)


def _song(data: bytes, source: Source, settings: Settings) -> Song:
    """The song as it is played."""
    song = read_song(data, max_seconds=settings.max_seconds)
    if settings.reorchestrate:
        song = replace(song, parts=reorchestrate(song.parts, _identity(source, settings)))
    return song


def _identity(source: Source, settings: Settings) -> str:
    """What all that is drawn for a track is drawn from."""
    return f"{settings.seed}/{source.md5}"


def _frames(song: Song, settings: Settings) -> tuple[int, bool]:
    """Length of the track in samples, and whether its end is cut off."""
    seconds = song.end + TAIL_SECONDS
    cut = settings.max_seconds is not None and seconds > settings.max_seconds
    if cut and settings.max_seconds is not None:
        seconds = settings.max_seconds
    return max(1, round(seconds * RATE)), cut


@dataclass
class _Stem:
    """A stem on its way: its part, its patch, and once rendered its level."""

    name: str
    part: Part
    patch: str | None
    meter: LoudnessMeter = field(default_factory=lambda: LoudnessMeter(RATE))
    loudness: float | None = None
    gain: float = 1.0

    @property
    def silent(self) -> bool:
        return self.meter.peak == 0

    @property
    def raised(self) -> bool:
        """Whether it is brought to the others' level; not so what is silence but for the beginning of a note."""
        return self.loudness is not None and self.loudness >= LEAST_LUFS


def _fill(folder: Path, source: Source, song: Song, settings: Settings) -> TrackRecord:
    identity = _identity(source, settings)
    stems = [
        _Stem(stem_name(i), part, draw_patch(part.program_num, Random(f"{identity}/{i}")))
        for i, part in enumerate(song.parts)
    ]
    sounding = [stem for stem in stems if stem.patch is not None]
    if not sounding:
        programs = sorted({program_name(part.program_num) for part in song.parts})
        raise SongError(
            f"has no part that Slakh's categories know, only {', '.join(programs)}; try --reorchestrate"
        )
    frames, cut = _frames(song, settings)
    scratch = Scratch(folder / "stems", frames, len(sounding))
    fade = _CUT_SECONDS if cut else _FADE_SECONDS
    for stem in sounding:
        _render(stem, scratch, settings, fade)
        (folder / "MIDI" / f"{stem.name}.mid").write_bytes(song_midi([stem.part], song))
    overall = _levels(sounding, scratch)
    paths = [*(folder / "stems" / f"{stem.name}.flac" for stem in sounding), folder / "mix.flac"]
    every = tuple(range(len(sounding)))
    # The same integers go into the stems and into the mix: it is exactly their sum.
    levels = write_sums(
        _blocks(sounding, scratch, overall),
        [*((i,) for i in every), every],
        paths,
        RATE,
        frames,
        Encoding("flac"),
    )
    assert levels.fits, f"{source.name}: {levels.peaks}"
    for stem in sounding:
        scratch.remove(stem.name)
    (folder / METADATA).write_text(_metadata(source, overall, stems), encoding="utf-8")
    return TrackRecord(
        frames / RATE,
        len(sounding),
        sum(stem.silent for stem in sounding),
        len(stems) - len(sounding),
        (*song.remarks, *_all_but_silent(sounding)),
    )


def _all_but_silent(stems: Sequence[_Stem]) -> list[str]:
    return [
        f"{stem.name} ({program_name(stem.part.program_num)}) is all but silent ({stem.loudness:.0f} LUFS, muted as soon as it "
        "begins?) and was not raised to the others' level"
        for stem in stems
        if not stem.silent and not stem.raised
    ]


def _render(stem: _Stem, scratch: Scratch, settings: Settings, fade: float) -> None:
    """Render a stem to the scratch folder and measure it."""
    scratch.add(stem.name, np.float32)
    place = 0
    for block in synthesise(
        stem.part,
        frames=scratch.frames,
        rate=RATE,
        soundfont=settings.soundfont,
        synthesiser=settings.synthesiser,
        fade=fade,
    ):
        stem.meter.add(block)
        scratch.write(stem.name, place, block)
        place += len(block)
    if not stem.silent:
        gain = gain_to(stem.meter, STEM_LUFS)
        loudness = stem.meter.integrated()
        # Under the gate at its own level: what the gain makes up for.
        stem.loudness = loudness if isfinite(loudness) else STEM_LUFS - 20 * log10(gain)
        stem.gain = gain if stem.raised else 1.0


def _levels(stems: Sequence[_Stem], scratch: Scratch) -> float:
    """The track's gain over stems at -13 LUFS; the stems' gains are made to hold at their final level.

    The loudness gate lies at -70 LUFS whatever the level: a stem of -13 LUFS with a long quiet tail is not exactly 12 LU
    softer when it is turned down by 12 dB. So the stems' gains are found again at the level they end at.
    """
    overall = _track_gain(stems, scratch)
    for _ in range(_REFINEMENTS):
        target = STEM_LUFS + 20 * log10(overall)
        gains = [gain_to(stem.meter, target) / overall if stem.raised else 1.0 for stem in stems]
        steps = [abs(20 * log10(gain / stem.gain)) for gain, stem in zip(gains, stems, strict=True)]
        if max(steps) < _LEVEL_TOLERANCE:
            break
        for gain, stem in zip(gains, stems, strict=True):
            stem.gain = gain
        overall = _track_gain(stems, scratch)
    return overall


def _track_gain(stems: Sequence[_Stem], scratch: Scratch) -> float:
    peak = 0.0
    for place in scratch.places():
        mix = sum(stem.gain * scratch.read(stem.name, place).astype(np.float64) for stem in stems)
        peak = max(peak, float(np.abs(mix).max()))
    if peak == 0:
        raise SongError("is silent: the SoundFont has no sound for its parts, or their volume is zero")
    # Stems may cancel in the mix: none of them may clip by itself.
    loudest = max(stem.gain * stem.meter.peak for stem in stems)
    return float(min(10 ** (PEAK_DBFS / 20) / peak, LARGEST / FULL_SCALE / loudest))


def _blocks(stems: Sequence[_Stem], scratch: Scratch, overall: float) -> Iterator[list[NDArray[np.float64]]]:
    """The stems at their levels, (1, samples) each, in units of 16-bit integers."""
    gains = [np.float64(stem.gain * overall * FULL_SCALE) for stem in stems]
    step = max(1 << 12, BLOCK // len(stems))  # all stems at a time
    for place in range(0, scratch.frames, step):
        yield [
            scratch.read(stem.name, place, step)[None] * gain for stem, gain in zip(stems, gains, strict=True)
        ]


def _metadata(source: Source, overall: float, stems: list[_Stem]) -> str:
    """metadata.yaml, with the keys of Slakh2100's and their meaning there.

    ``integrated_loudness`` is a stem's before it was normalised; a silent one has none.
    """
    entries: dict[str, dict[str, Any]] = {}
    for stem in stems:
        program = stem.part.program_num
        entry: dict[str, Any] = {
            "audio_rendered": stem.patch is not None,
            "inst_class": instrument_class(program),
            "is_drum": stem.part.is_drum,
            "midi_program_name": program_name(program),
            "midi_saved": stem.patch is not None,
            "plugin_name": stem.patch or "None",
            "program_num": program,
        }
        if stem.loudness is not None:
            entry["integrated_loudness"] = float(stem.loudness)
        entries[stem.name] = entry
    content = {
        "UUID": source.md5,
        "audio_dir": "stems",
        "lmd_midi_dir": source.name,
        "midi_dir": "MIDI",
        "normalization_factor": STEM_LUFS,
        "normalized": True,
        "overall_gain": float(overall),
        "stems": entries,
        "target_peak": PEAK_DBFS,
    }
    return yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=1000)

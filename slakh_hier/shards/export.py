"""A clip as audio files that people can listen to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.errors import InputError
from slakh_hier.files import make_folder, publish_json
from slakh_hier.hierarchy import MIX
from slakh_hier.output.audio import AudioFormat, Encoding, audio_files, check_audio
from slakh_hier.paths import StrPath
from slakh_hier.shards.clip import Clip
from slakh_hier.shards.read import open_shards

CLIP_FILE = "clip.json"


def export_clip(
    folder: StrPath,
    clip: int,
    out: StrPath,
    *,
    split: str | None = None,
    audio_format: AudioFormat = "wav",
) -> list[Path]:
    """Write the sounding nodes of a clip, its query and ``clip.json``; returns the paths.

    Files are called ``0_mix.wav``, ``LEVEL_NODE.wav`` (``category_NODE.wav`` at level 0) and ``query.wav``.
    Nothing is ever clipped, and the files of a clip keep their relative levels:

    * Where every signal fits into 16 bits, files are 16-bit and equal to the shard bit by bit.
    * Else (a signal exceeds full scale, or the set is float32) all WAV files of the clip are 32-bit float. FLAC
      has no float: all files are 24-bit and divided by the smallest power of two that makes the loudest fit,
      which ``clip.json`` gives as ``gain``.

    Parameters
    ----------
    clip
        Number of the clip within its split, from 0.
    split
        By default the set's first split that has clips.

    Raises
    ------
    InputError
        The set has no such split or clip.
    """
    check_audio(audio_format)
    if split is None:
        with open_shards(folder) as everything:
            split = next((shard.split for shard in everything.index.shards if shard.clips), None)
    with open_shards(folder, split) as shards:
        if not 0 <= clip < len(shards):
            raise InputError(
                f"{folder}: split {split} has {len(shards)} clips, numbered from 0; there is no clip {clip}"
            )
        target = make_folder(Path(out))
        chosen = shards[clip]
        signals = _signals(chosen)
        encoding, gain = _encoding(list(signals.values()), shards.index.dtype, audio_format)
        paths = [target / f"{name}.{audio_format}" for name in signals]
        with audio_files(paths, shards.sample_rate, shards.channels, shards.samples, encoding) as writers:
            for writer, samples in zip(writers, signals.values(), strict=True):
                scaled = samples.astype(np.float64) * (gain * encoding.full_scale)
                writer.write(scaled if encoding.subtype == "FLOAT" else np.rint(scaled))
        publish_json(target / CLIP_FILE, _about(chosen, gain, encoding))
    return [*paths, target / CLIP_FILE]


def _signals(clip: Clip) -> dict[str, NDArray[np.float32]]:
    signals = {
        file_name(column.name, column.level): clip[column.name]
        for column in clip.shards.nodes
        if clip.state(column.name) == "sounding"
    }
    if (query := clip.query) is not None:
        signals["query"] = query
    return signals


def file_name(node: str, level: int) -> str:
    """``0_mix``, ``1_guitars``, ``category_piano``: without the ending."""
    return f"0_{node}" if node == MIX else f"{level}_{node}" if level else f"category_{node}"


def _encoding(
    signals: list[NDArray[np.float32]], dtype: str, audio_format: AudioFormat
) -> tuple[Encoding, float]:
    """How the files are stored, and the gain they all get: 1 or a power of two below it."""
    if dtype == "int16" and all(_fits_16_bit(samples) for samples in signals):
        return Encoding(audio_format), 1.0
    if audio_format == "wav":
        return Encoding("wav", "FLOAT"), 1.0
    encoding = Encoding("flac", "PCM_24")
    peak, gain = max((float(np.abs(samples).max()) for samples in signals), default=0.0), 1.0
    while np.rint(peak * gain * encoding.full_scale) > encoding.full_scale - 1:
        gain /= 2
    return encoding, gain


def _fits_16_bit(samples: NDArray[np.float32]) -> bool:
    steps = samples * np.float32(FULL_SCALE)
    return bool((steps == np.rint(steps)).all() and steps.max() < FULL_SCALE)


def _about(clip: Clip, gain: float, encoding: Encoding) -> dict[str, Any]:
    shards = clip.shards
    available = {name: clip.available(name) for name in shards.masks}
    nodes = {}
    for column in shards.nodes:
        state, rms = clip.state(column.name), clip.rms(column.name)
        nodes[column.name] = {
            "level": column.level,
            "parent": shards.nodes[column.parent].name if column.parent >= 0 else None,
            "state": state,
            "rms_dbfs": round(rms, 2) if state == "sounding" else None,
            "file": f"{file_name(column.name, column.level)}.{encoding.format}"
            if state == "sounding"
            else None,
            "withheld_by": [mask for mask, nodes_of in available.items() if not nodes_of[column.name]],
        }
    return {
        "set": shards.folder.name,
        "split": clip.split,
        "clip": clip.number,
        "track": clip.track,
        "song": clip.song,
        "start": clip.start,
        "seconds": shards.clip_seconds,
        "sample_rate": shards.sample_rate,
        "channels": shards.channels,
        "target": clip.target,
        "query": None
        if clip.query_track is None
        else {"track": clip.query_track, "start": clip.query_start, "file": f"query.{encoding.format}"},
        "subtype": encoding.subtype,
        "gain": gain,
        "nodes": nodes,
    }

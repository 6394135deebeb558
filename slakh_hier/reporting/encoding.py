"""Clips as FLAC inside a page: as good as its size allows, with a note on what was reduced."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import soundfile
import soxr

from slakh_hier.audio import FULL_SCALE
from slakh_hier.reporting.document import PlayerClip

AUDIO_BYTES: Final = 12_000_000
"""Base64 text of all clips of a page: leaves 3 MB of 15 for its figures."""


@dataclass(frozen=True)
class Quality:
    """How clips are stored: at most so many Hz, bits a sample, and the leading share of each clip."""

    rate: int | None
    bits: int
    share: float = 1.0


# After the number of clips, the rate that people hear least, then the noise floor (-74 dBFS at 12 bits), then the length.
LADDER: Final = (
    Quality(None, 16),
    Quality(22_050, 16),
    Quality(16_000, 16),
    Quality(16_000, 12),
    Quality(11_025, 12),
    Quality(8_000, 12),
    *(Quality(8_000, 12, 0.5**halvings) for halvings in range(1, 7)),
)


@dataclass(frozen=True)
class Sound:
    """The clips that are kept, what the page's player gets of each, and a note on what was left out or reduced."""

    kept: list[PlayerClip]
    clips: list[dict[str, Any]]
    note: str


def encode_clips(clips: Sequence[PlayerClip], limit: int = AUDIO_BYTES, *, least: int | None = None) -> Sound:
    """Encode as many clips as well as their size allows.

    Parameters
    ----------
    limit
        Bytes of base64 text of all clips together. First clips are left out, evenly, down to ``least``; then the best
        quality is taken that stays below the limit, the lowest otherwise.
    least
        None: all clips.
    """
    least = len(clips) if least is None else min(least, len(clips))
    qualities = _worth_trying(clips)
    for quality in qualities:
        found = _fitting(clips, least, quality, None if quality == qualities[-1] else limit)
        if found is not None:
            break
    assert found is not None  # the last quality has no limit
    kept = [clips[place] for place in found]
    note = "" if len(kept) == len(clips) else f"{len(kept)} of the {len(clips)} fit into this page. "
    return Sound(
        kept,
        [
            {
                "target": clip.target,
                "note": clip.note + _turned_down(clip),
                "rate": _rate(clip, quality),
                "lanes": [asdict(lane) for lane in clip.lanes],
                "sounds": sounds,
            }
            for clip, sounds in zip(kept, found.values(), strict=True)
        ],
        note + _note(kept, quality),
    )


def _worth_trying(clips: Sequence[PlayerClip]) -> list[Quality]:
    highest = max((clip.sample_rate for clip in clips), default=0)
    return [q for q in LADDER if q.rate is None or q.bits < 16 or q.rate < highest]


def _fitting(
    clips: Sequence[PlayerClip], least: int, quality: Quality, limit: int | None
) -> dict[int, list[str]] | None:
    """By place, the signals of the most clips that stay below the limit as base64 text; None: not even the least do."""
    texts: dict[int, list[str]] = {}

    def size(count: int) -> int:
        for place in spread(len(clips), count):
            if place not in texts:
                texts[place] = [base64.b64encode(data).decode() for data in _files(clips[place], quality)]
        return sum(len(text) for place in spread(len(clips), count) for text in texts[place])

    if limit is not None and size(least) > limit:
        return None
    count = len(clips)
    while limit is not None and count > least and size(count) > limit:
        count -= 1
    size(count)
    return {place: texts[place] for place in spread(len(clips), count)}


def spread(there: int, count: int) -> list[int]:
    """So many places at even distances."""
    return [number * there // count for number in range(count)]


def _files(clip: PlayerClip, quality: Quality) -> Iterator[bytes]:
    gain, rate, step = _gain(clip), _rate(clip, quality), 2 ** (16 - quality.bits)
    for part in clip.parts:
        frames = part[..., : max(1, round(part.shape[-1] * quality.share))].T * np.float32(gain)
        if rate != clip.sample_rate:
            frames = soxr.resample(frames, clip.sample_rate, rate, quality="HQ")
        # FLAC stores the lowest bits for nothing when all of them are zero.
        values = (
            np.clip(np.rint(frames * (FULL_SCALE / step)), -FULL_SCALE // step, FULL_SCALE // step - 1) * step
        )
        buffer = io.BytesIO()
        soundfile.write(buffer, values.astype(np.int16), rate, subtype="PCM_16", format="FLAC")
        yield buffer.getvalue()


def _rate(clip: PlayerClip, quality: Quality) -> int:
    return clip.sample_rate if quality.rate is None else min(quality.rate, clip.sample_rate)


def _gain(clip: PlayerClip) -> float:
    """One for all parts of a clip, so that their relative levels stay: 1, or what makes the loudest lane and part fit."""
    lanes = [np.sum([clip.parts[n] for n in lane.sounds], axis=0) for lane in clip.lanes if lane.sounds]
    peak = max((float(np.abs(signal).max(initial=0)) for signal in [*lanes, *clip.parts]), default=0.0)
    return 1.0 if peak < 1 else 0.999 / peak


def _turned_down(clip: PlayerClip) -> str:
    gain = _gain(clip)
    return "" if gain == 1 else f" Turned down by {-20 * np.log10(gain):.1f} dB: a signal exceeds full scale."


def _note(clips: Sequence[PlayerClip], quality: Quality) -> str:
    if not clips:
        return ""
    highest = max(clip.sample_rate for clip in clips)
    rate = max(_rate(clip, quality) for clip in clips)
    reduced = [f"resampled from {highest:,} to {rate:,} Hz"] if rate < highest else []
    if quality.bits < 16:
        reduced.append(f"rounded to {quality.bits} bits")
    if quality.share < 1:
        reduced.append(f"cut to the first {quality.share:.0%} of each clip")
    if not reduced:
        return f"Audio: FLAC, {rate:,} Hz, 16 bits."
    return f"Audio: FLAC, {', '.join(reduced)}, to keep this page small. The files have the full quality."

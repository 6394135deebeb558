"""From a part to its sound, block by block, behind one function for all synthesisers.

``builtin`` plays SoundFonts with this package's own sampler. ``fluidsynth`` needs that library installed, and adds vibrato
and moving filters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np

from slakh_hier.errors import check_choice
from slakh_hier.synth.sampler import FloatArray, Sampler
from slakh_hier.synth.songs import Curve, Part

Synthesiser = Literal["builtin", "fluidsynth"]
SYNTHESISERS: tuple[str, ...] = get_args(Synthesiser)
BLOCK_SECONDS = 30.0
_SMOOTHING = 0.01  # s over which a step of the volume is taken: a jump would click


def synthesise(
    part: Part,
    *,
    frames: int,
    rate: int,
    soundfont: str,
    synthesiser: Synthesiser = "builtin",
    fade: float = 0.0,
) -> Iterator[FloatArray]:
    """The sound of a part, in blocks of at most half a minute: float32, ``frames`` samples in all.

    The same part gives the same samples, however it is cut and whatever was rendered before.

    Parameters
    ----------
    rate
        Hz.
    soundfont
        Path of an SF2 or SF3 file.
    fade
        Seconds at the end over which the sound is faded out.

    Raises
    ------
    InputError
        No such synthesiser, or the SoundFont cannot be used.
    MissingExtraError
        The synthesiser's library is not installed.
    """
    check_choice("synthesiser", synthesiser, SYNTHESISERS)
    if synthesiser == "builtin":
        blocks = _in_blocks(Sampler(soundfont, part, rate), part, frames, rate)
    else:
        from slakh_hier.synth.fluidsynth_player import fluidsynth_blocks

        blocks = fluidsynth_blocks(soundfont, part, frames, rate, int(BLOCK_SECONDS * rate))
    place = 0
    for block in blocks:
        block = block * _gains(part.gain, place, len(block), rate)
        yield _faded(block, place, frames, round(fade * rate))
        place += len(block)


def _in_blocks(player: Sampler, part: Part, frames: int, rate: int) -> Iterator[FloatArray]:
    """Play note by note in the order of their starts; what rings on is carried into the next block."""
    block = int(BLOCK_SECONDS * rate)
    rest = np.zeros(0, np.float32)
    done = 0
    for place in range(0, frames, block):
        count = min(block, frames - place)
        # Compared in samples, so that rounding cannot put a note's start before its block.
        last = done
        while last < len(part.notes) and round(part.notes[last].start * rate) < place + count:
            last += 1
        out = player.play(part.notes[done:last], place / rate, rest)
        done = last
        if len(out) < count:
            out = np.concatenate([out, np.zeros(count - len(out), np.float32)])
        yield out[:count]
        rest = out[count:].copy()


def _gains(curve: Curve, start: int, count: int, rate: int) -> FloatArray:
    """The curve at ``count`` samples from ``start``, each step taken as a short ramp on a grid of its own."""
    if curve.constant:
        return np.full(count, curve.values[0], np.float32)
    step = round(_SMOOTHING * rate)
    grid = np.arange(start // step, (start + count) // step + 2)
    index = np.searchsorted(curve.times, grid * (step / rate), side="right") - 1
    values = np.asarray(curve.values)[np.maximum(index, 0)]
    return np.asarray(np.interp(np.arange(start, start + count), grid * step, values), np.float32)


def _faded(block: FloatArray, place: int, frames: int, fade: int) -> FloatArray:
    begin = frames - fade
    if fade <= 0 or place + len(block) <= begin:
        return block
    levels = (frames - np.arange(place, place + len(block), dtype=np.float32)) / fade
    return np.asarray(block * np.minimum(levels, 1), np.float32)

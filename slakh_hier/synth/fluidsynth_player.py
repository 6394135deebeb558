"""FluidSynth, where its library is installed: as the built-in sampler, with vibrato and moving filters."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import numpy as np

from slakh_hier.errors import InputError, MissingExtraError
from slakh_hier.synth.sampler import FloatArray, open_soundfont
from slakh_hier.synth.songs import Part
from slakh_hier.synth.soundfont import DRUM_BANK, preset_order

_GAIN = 0.2
_POLYPHONY = 1024
_OFF, _BEND, _ON = 0, 1, 2  # at one sample, ends come first


def fluidsynth_blocks(soundfont: str, part: Part, frames: int, rate: int, block: int) -> Iterator[FloatArray]:
    """The sound of a part, ``frames`` samples in blocks of ``block``: float32, the mean of both channels.

    Reverb and chorus are off: a stem is its instrument, and silence stays silence.

    Raises
    ------
    MissingExtraError
        pyfluidsynth is missing.
    InputError
        FluidSynth itself is missing, or does not take the SoundFont.
    """
    open_soundfont(soundfont)  # FluidSynth's own message about a bad file goes to stderr only
    fluidsynth = _library()
    settings: dict[str, Any] = {
        "synth.reverb.active": 0,
        "synth.chorus.active": 0,
        "synth.polyphony": _POLYPHONY,
        "synth.cpu-cores": 1,
    }
    synth = fluidsynth.Synth(gain=_GAIN, samplerate=float(rate), channels=16, **settings)
    try:
        font = synth.sfload(soundfont)
        if font < 0:
            raise InputError(f"{soundfont}: FluidSynth cannot load it")
        channel = 9 if part.is_drum else 0
        for bank, program in preset_order(DRUM_BANK if part.is_drum else part.bank, part.program):
            if synth.program_select(channel, font, bank, program) == 0:
                break
        widest = max(2, int(np.ceil(max(map(abs, part.bend.values)))))
        for control, value in ((101, 0), (100, 0), (6, widest), (38, 0), (7, 127), (11, 127)):
            synth.cc(channel, control, value)
        yield from _play(fluidsynth, synth, channel, _events(part, rate, widest), frames, block)
    finally:
        synth.delete()


def _library() -> Any:
    try:
        import fluidsynth
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyfluidsynth", "synth") from error
    except ImportError as error:
        raise InputError(
            "the FluidSynth library is not installed (Debian, Ubuntu: apt install libfluidsynth3; macOS: brew install "
            "fluid-synth); or take --synthesiser builtin"
        ) from error
    return fluidsynth


def _events(part: Part, rate: int, widest: int) -> list[tuple[int, int, int, int]]:
    events = []
    for start, end, key, velocity in part.notes:
        first = round(start * rate)
        events.append((first, _ON, key, velocity))
        events.append((max(first + 1, round(end * rate)), _OFF, key, 0))
    for time, bend in zip(part.bend.times, part.bend.values, strict=True):
        events.append((round(time * rate), _BEND, round(bend / widest * 8191), 0))
    return sorted(events)


def _play(
    fluidsynth: Any,
    synth: Any,
    channel: int,
    events: list[tuple[int, int, int, int]],
    frames: int,
    block: int,
) -> Iterator[FloatArray]:
    write = fluidsynth.cfunc(
        "fluid_synth_write_float", ctypes.c_int, ("synth", ctypes.c_void_p, 1), ("len", ctypes.c_int, 1),
        ("left", ctypes.c_void_p, 1), ("loff", ctypes.c_int, 1), ("lincr", ctypes.c_int, 1),
        ("right", ctypes.c_void_p, 1), ("roff", ctypes.c_int, 1), ("rincr", ctypes.c_int, 1),
    )  # fmt: skip
    position = 0
    for start in range(0, frames, block):
        count = min(block, frames - start)
        stereo = np.zeros((2, count), np.float32)
        done = 0
        while done < count:
            while position < len(events) and events[position][0] <= start + done:
                _, kind, first, second = events[position]
                if kind == _ON:
                    synth.noteon(channel, first, second)
                elif kind == _OFF:
                    synth.noteoff(channel, first)
                else:
                    synth.pitch_bend(channel, first)
                position += 1
            upto = min(count, events[position][0] - start) if position < len(events) else count
            place = stereo.ctypes.data
            write(synth.synth, upto - done, place, done, 1, place + 4 * count, done, 1)
            done = upto
        yield stereo.mean(axis=0, dtype=np.float32)

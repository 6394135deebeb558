"""Composing a planned song: every player plays every section; then swing, touch, and a MIDI file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from slakh_hier.files import md5
from slakh_hier.hierarchy import DRUM_PROGRAM
from slakh_hier.synth.compose.form import Section, lay_out
from slakh_hier.synth.compose.harmony_players import arpeggio, comp, inner, ostinato, pad, power
from slakh_hier.synth.compose.material import BeatNote, Voice
from slakh_hier.synth.compose.melody import counter, lead, riff
from slakh_hier.synth.compose.plan import Player, SongPlan
from slakh_hier.synth.compose.rhythm_section import bass, drums, timpani
from slakh_hier.synth.gm import Register, register
from slakh_hier.synth.write_song import TICKS, TrackScore, score_midi

_JOBS: dict[str, Callable[[Voice, Section], list[BeatNote]]] = {
    "drums": drums, "timpani": timpani, "bass": bass, "comp": comp, "arpeggio": arpeggio, "pad": pad, "power": power,
    "inner": inner, "ostinato": ostinato, "lead": lead, "counter": counter, "riff": riff,
}  # fmt: skip
_WIDTH = 22
"""Keys that a part keeps to; hands and lips do not wander over the whole instrument."""

_TIMING = 0.007  # beats, standard deviation
_SLOWING = 0.86  # tempo of the last bar
_EXPRESSION, _SOFTEST = 11, 86


@dataclass(frozen=True)
class ComposedSong:
    """A MIDI file in memory: its name, the md5 of its bytes, the bytes."""

    name: str
    md5: str
    data: bytes


def compose_song(plan: SongPlan, seconds: float) -> ComposedSong:
    """Compose a song of about ``seconds`` and write it as a MIDI file.

    The same plan and length give the same bytes.

    Raises
    ------
    MissingExtraError
        mido is not installed.
    """
    random = Random(f"{plan.name}/{plan.key}/{plan.tempo}/{plan.players}")
    style = plan.style
    sections = lay_out(plan.key, style.beats, plan.tempo, seconds, plan.progressions)
    last_bar = round(sections[-1].start * TICKS)
    tempos = [(0, float(plan.tempo)), (last_bar, plan.tempo * _SLOWING)]
    tracks = []
    for number, player in enumerate(plan.players):
        own = Random(f"{random.random()}/{number}")
        notes = _played(plan, player, sections, own)
        if notes:
            tracks.append(_track(plan, player, sections, notes, own))
    data = score_midi(tempos, [(0, style.beats, 4)], tracks)
    return ComposedSong(plan.name, md5(data), data)


def comfortable(program: int, role_register: str, job: str) -> Register:
    """The part of an instrument's register that a role keeps to."""
    whole = register(program)
    if job in ("bass", "timpani", "drums") or whole.high - whole.low <= _WIDTH:
        return whole
    margin = 2
    lowest = {
        "low": whole.low + margin,
        "middle": (whole.low + whole.high - _WIDTH) // 2,
        "high": whole.high - _WIDTH - margin,
    }[role_register]
    return Register(max(lowest, whole.low), min(lowest + _WIDTH, whole.high), whole.chords)


def _played(plan: SongPlan, player: Player, sections: Sequence[Section], random: Random) -> list[BeatNote]:
    role = player.role
    voice = Voice(plan.key, comfortable(player.program, role.register, role.job), random, player.variant)
    return [
        note
        for section in sections
        if section.kind not in role.rests
        for note in _JOBS[role.job](voice, section)
    ]


def _track(
    plan: SongPlan,
    player: Player,
    sections: Sequence[Section],
    notes: Sequence[BeatNote],
    random: Random,
) -> TrackScore:
    is_drum = player.program == DRUM_PROGRAM
    track = TrackScore(player.role.name, 0 if is_drum else player.program, is_drum)
    machine = plan.style.name == "electronic"
    for note in sorted(notes):
        start = _swung(note.start, plan.style.swing)
        end = _swung(note.start + note.length, plan.style.swing)
        if not machine:
            start = max(0.0, start + random.gauss(0, _TIMING))
        velocity = min(max(round(note.velocity + random.gauss(0, 3)), 1), 127)
        first = round(start * TICKS)
        track.notes.append((first, max(30, round(end * TICKS) - first), note.key, velocity))
    if player.role.job == "pad":
        for section in sections:
            for beat in range(int(section.length)):
                rise = math.sin(math.pi * (beat + 1) / (section.length + 1))
                value = round(_SOFTEST + (127 - _SOFTEST) * rise)
                tick = round((section.start + beat) * TICKS)
                track.controls.append((tick, _EXPRESSION, value))
    return track


def _swung(beat: float, swing: float) -> float:
    """A beat with its second half beginning at ``swing`` instead of 0.5."""
    whole = math.floor(beat)
    part = beat - whole
    if part < 0.5:
        return whole + part * swing / 0.5
    return whole + swing + (part - 0.5) * (1 - swing) / 0.5

"""Melodies from motifs: a rhythm and a contour that come back, chord tones where it counts, a rest to breathe."""

from __future__ import annotations

from slakh_hier.synth.compose.form import Section
from slakh_hier.synth.compose.material import BeatNote, Motif, Voice, steps, strength
from slakh_hier.synth.compose.theory import nearest, within

_MOTIFS: dict[int, dict[str, tuple[str, ...]]] = {
    4: {
        "calm": ("x---x---x-------", "x-----x-x---x---", "x-------x---x-x-", "..x-x-x-x-------", "x---x-x-x---x---"),
        "lively": ("x-x-x---x-x-x---", "x--x--x-x---x-x-", "..x-x-x-x-xxx---", "x-xxx-x-..x-x---", "x---..x-x-x-x-x-"),
        "syncopated": ("x--x--x---x-x---", "..x--x--x-.x-x--", "x-.x-.x-x--x----", ".x-x-x--x--x-x--", "x--x-x-x--x-----"),
    },
    3: {
        "calm": ("x-------x---", "x---x---x---", "x-----x-x---", "x-----------"),
        "lively": ("x---x-x-x---", "x-x-x-x-x---", "x-----x-x-x-", "x---x---x-x-"),
    },
}  # fmt: skip
_CONTOURS: tuple[tuple[float, ...], ...] = ((0, 2, 5, 0), (4, 0, 2, -3), (0, 0, 6, 1), (0, -3, 2, 0))
_WAVES: tuple[tuple[int, ...], ...] = ((0, 2, 4, 1, -1), (0, -2, 1, 4, 2), (2, 1, 0, -3, 0), (0, 4, 6, 3, 2))
_RIFFS = ("..x-x-.xX---....", "....x-x-..X-x---", "x-.x-.X-....x-..", "......x-x-x-X---")


def lead(voice: Voice, section: Section) -> list[BeatNote]:
    """The tune of a section: bars a, a', a, b, the same each time the section comes back, a little varied."""
    if section.kind == "ending":
        key = _end(voice, section, section.start)
        return [BeatNote(section.start, section.length, key, 82)]
    motif = _motif(voice, section)
    notes: list[BeatNote] = []
    for bar in range(section.bars):
        start = section.start + bar * section.beats
        if bar == section.bars - 1:
            key = _end(voice, section, start)
            notes.append(BeatNote(start, (section.beats - 1) * 0.94, key, strength(section, start, 78)))
            break
        for i, (place, length, _) in enumerate(steps(motif.b if bar % 4 == 2 else motif.a)):
            beat = start + place
            goal = voice.centre + motif.contour[bar % 4] + motif.wave[i % len(motif.wave)]
            key = _next(voice, section, beat, goal, place)
            notes.append(BeatNote(beat, length * 0.94, key, strength(section, beat, 78)))
    return notes


def counter(voice: Voice, section: Section) -> list[BeatNote]:
    """Long notes under the tune that move where it rests: at the ends of bars, and against its direction."""
    notes = []
    for bar in range(section.bars):
        start = section.start + bar * section.beats
        chord = section.chord_at(start)
        tones = within(chord.tones, voice.register.low, voice.register.high)
        way = -2 if bar % 2 else 3
        before = voice.centre if voice.memory.key is None else voice.memory.key
        key = nearest(tones, 0.75 * (before + way) + 0.25 * voice.centre)
        half = section.beats - 1.0
        notes.append(BeatNote(start, half * 0.97, key, strength(section, start, 68, 3)))
        if section.kind != "ending":
            scale = within(voice.key.scale_over(chord), voice.register.low, voice.register.high)
            for i in range(2):
                key = _stepped(scale, key, -1 if way > 0 else 1)
                beat = start + half + i / 2
                notes.append(BeatNote(beat, 0.46, key, strength(section, beat, 66, 3)))
        voice.memory.key = key
    return notes


def riff(voice: Voice, section: Section) -> list[BeatNote]:
    """A short figure every other bar, as a horn player answers a singer."""
    memory = voice.memory
    memory.rhythm = memory.rhythm or voice.random.choice(_RIFFS)
    notes = []
    for bar in range(section.bars):
        if bar % 2 == 0 and section.kind != "chorus":
            continue
        start = section.start + bar * section.beats
        goal = voice.centre + 2
        for place, length, accent in steps(memory.rhythm):
            beat = start + place
            tones = within(section.chord_at(beat).tones, voice.register.low, voice.register.high)
            key = nearest(tones, goal)
            goal = key + voice.random.choice((-4, -2, 3, 5))
            if abs(goal - voice.centre) > 8:
                goal = voice.centre
            notes.append(BeatNote(beat, length * 0.85, key, strength(section, beat, 74) + 8 * accent))
    return notes


def _motif(voice: Voice, section: Section) -> Motif:
    kind = "verse" if section.kind == "intro" else section.kind
    motifs = voice.memory.motifs
    if kind not in motifs:
        random = voice.random
        lift = 3.0 if kind == "chorus" else 0.0
        first, second = random.sample(_MOTIFS[section.beats][voice.variant], 2)
        contour = tuple(lift + height for height in random.choice(_CONTOURS))
        motifs[kind] = Motif(first, second, contour, random.choice(_WAVES))
    return motifs[kind]


def _next(voice: Voice, section: Section, beat: float, goal: float, place: float) -> int:
    """Chord tone near the goal on strong beats, a step of the scale towards it elsewhere."""
    chord = section.chord_at(beat)
    low, high = voice.register.low, voice.register.high
    before = voice.memory.key
    if before is None:
        key = nearest(within(chord.tones, low, high), goal)
    elif place in (0.0, 2.0):
        key = nearest(within(chord.tones, low, high), 0.6 * goal + 0.4 * before)
    else:
        scale = within(voice.key.scale_over(chord), low, high)
        way = 1 if goal >= before else -1
        key = _stepped(scale, before, way if voice.random.random() < 0.85 else 2 * way)
    voice.memory.key = key
    return key


def _end(voice: Voice, section: Section, beat: float) -> int:
    """The root, third or fifth nearest to where the tune is."""
    tones = section.chord_at(beat).tones[:3]
    before = voice.centre if voice.memory.key is None else voice.memory.key
    key = nearest(within(tones, voice.register.low, voice.register.high), 0.7 * before + 0.3 * voice.centre)
    voice.memory.key = key
    return key


def _stepped(scale: list[int], key: int, step: int) -> int:
    index = scale.index(nearest(scale, key)) + step
    return scale[min(max(index, 0), len(scale) - 1)]

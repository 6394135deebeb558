"""Players of chords: strummed, plucked, held, struck; and single inner voices."""

from __future__ import annotations

from slakh_hier.synth.compose.form import ChordSpan, Section
from slakh_hier.synth.compose.material import BeatNote, Voice, steps, strength
from slakh_hier.synth.compose.theory import nearest, voicing, within

_STRUM = 0.018  # beats between the strings of a guitar

_RHYTHMS = {
    "eighths": ("X-x-x-x-X-x-x-x-", "X-x-x-x-X-x-x-x-"),
    "chop": ("..xX..x.x.xX.xx.", ".xxX..xx.x.X..xx"),
    "offbeat": ("..x-..x-..x-..x-", "..x-..xx..x-..xx"),
    "quarters": ("X--.x--.X--.x--.", "X--.x--.X--.x--."),
    "stabs": ("x-....x---..x-..", "..x-..X-....x---"),
    "bossa": ("X--x--x---x--x--", "X--x---x--x--x--"),
    "montuno": ("X.x..xx.x.x..xx.", "x.xx.xx.xx.x.xx."),
    "clave": ("X-.x-.x-..x-x-..", "..x-x-..X-.x-.x-"),
    "halves": ("X------.x------.", "X------.x---x---"),
    "waltz": ("X---x--.x--.", "X---x-x-x--."),
}
_ARPEGGIOS = {
    "up": (0, 1, 2, 3),
    "travis": (0, 2, 1, 3, 0, 2, 1, 2),
    "wave": (0, 1, 2, 3, 2, 1),
    "broken": (0, 2, 1, 2),
    "spread": (0, 1, 2, 3, 1, 2, 3, 2),
}
_OSTINATI = ((0, 1, 2, 1), (0, 0, 2, 1), (0, 2, 0, 1, 0, 2, 1, 2))


def comp(voice: Voice, section: Section) -> list[BeatNote]:
    """Chords in a rhythm: strummed guitars, pianos, organs, brass stabs."""
    notes = []
    guitar = voice.variant in ("chop", "bossa", "eighths")
    marks = _RHYTHMS[voice.variant][section.kind == "chorus"]
    for span in section.spans:
        keys = _voiced(voice, span, 4 if guitar else 3)
        if section.kind == "ending":
            notes += _rolled(span.start, span.length, keys, 84, _STRUM if guitar else 0.0)
            continue
        offset = (span.start - section.start) % section.beats
        for i, (start, length, accent) in enumerate(steps(marks)):
            if not offset - 0.01 <= start < offset + span.length - 0.01:
                continue
            beat = span.start - offset + start
            short = 0.5 if voice.variant in ("chop", "stabs") else 0.95
            length = min(length, offset + span.length - start) * short
            velocity = strength(section, beat, 62) + 8 * accent
            order = keys if i % 2 == 0 else keys[::-1]  # down and up strokes
            notes += _rolled(beat, length, order, velocity, _STRUM if guitar else 0.0)
    return notes


def arpeggio(voice: Voice, section: Section) -> list[BeatNote]:
    """Broken chords in eighths, in sixteenths where the song is strong: picked guitars, harps, sequencers."""
    order = _ARPEGGIOS[voice.variant.removesuffix("16")]
    step = 0.25 if voice.variant.endswith("16") else 0.5
    notes = []
    for span in section.spans:
        keys = _voiced(voice, span, 4)
        if section.kind == "ending":
            notes += _rolled(span.start, span.length, keys, 78, 0.08)
            continue
        count = round(span.length / step)
        for i in range(count):
            beat = span.start + i * step
            key = keys[order[i % len(order)] % len(keys)]
            # Strings ring into each other, to the end of the chord at most.
            length = min(4 * step, span.start + span.length - beat)
            notes.append(BeatNote(beat, length, key, strength(section, beat, 64, 10)))
    return notes


def pad(voice: Voice, section: Section) -> list[BeatNote]:
    """Held chords that move as little as they can."""
    notes: list[BeatNote] = []
    for span in section.spans:
        for key in _voiced(voice, span, 3):
            notes.append(BeatNote(span.start, span.length * 0.98, key, strength(section, span.start, 60, 2)))
    return _tied(notes)


def power(voice: Voice, section: Section) -> list[BeatNote]:
    """Root, fifth and octave, low: driven in choruses, left to ring elsewhere."""
    notes = []
    marks = "X-x-x-x-X-x-x-x-" if section.kind in ("chorus", "bridge") else "X-------x---x---"
    for span in section.spans:
        low = voice.register.low
        root = nearest(within((span.chord.root,), low, low + 14), low + 5)
        for start, length, accent in steps(marks[: int(4 * span.length)]):
            beat = span.start + start
            for key in (root, root + 7, root + 12):
                notes.append(BeatNote(beat, length * 0.96, key, strength(section, beat, 68) + 6 * accent))
    return notes


def inner(voice: Voice, section: Section) -> list[BeatNote]:
    """One voice of the harmony: chord tones a bar or half a bar long, with a passing note here and there."""
    notes = []
    low, high = voice.register.low, voice.register.high
    for span in section.spans:
        before = voice.centre if voice.memory.key is None else voice.memory.key
        tones = within(span.chord.tones[1:], low, high)
        key = nearest(tones, 0.7 * before + 0.3 * voice.centre)
        halves = 2 if span.length >= 3 and section.intensity > 0.5 and voice.random.random() < 0.6 else 1
        length = span.length / halves
        for half in range(halves):
            if half:
                near = [k for k in tones if k != key and abs(k - key) <= 7]
                key = voice.random.choice(near) if near else key
            beat = span.start + half * length
            notes.append(BeatNote(beat, length * 0.97, key, strength(section, beat, 66, 4)))
        voice.memory.key = key
    return notes


def ostinato(voice: Voice, section: Section) -> list[BeatNote]:
    """A figure of eighths on two or three notes of the chord, over and over: strings, marimba, sequencer."""
    memory = voice.memory
    memory.shape = memory.shape or voice.random.choice(_OSTINATI)
    notes = []
    for span in section.spans:
        keys = _voiced(voice, span, 3)
        for i in range(round(span.length * 2)):
            beat = span.start + i / 2
            if section.kind == "ending" and i:
                break
            key = keys[memory.shape[i % len(memory.shape)] % len(keys)]
            length = span.length if section.kind == "ending" else 0.42
            notes.append(BeatNote(beat, length, key, strength(section, beat, 64, 10)))
    return notes


def _voiced(voice: Voice, span: ChordSpan, voices: int) -> tuple[int, ...]:
    memory, register = voice.memory, voice.register
    memory.chord = voicing(span.chord, register.low, register.high, voices, memory.chord, voice.centre)
    return memory.chord


def _rolled(
    start: float, length: float, keys: tuple[int, ...], velocity: float, spread: float
) -> list[BeatNote]:
    return [
        BeatNote(start + i * spread, max(0.1, length - i * spread), key, velocity - 2 * i * bool(spread))
        for i, key in enumerate(keys)
    ]


def _tied(notes: list[BeatNote]) -> list[BeatNote]:
    """Notes that stay from one chord to the next are held through."""
    tied: list[BeatNote] = []
    last: dict[int, int] = {}
    for note in notes:
        i = last.get(note.key)
        if i is not None and note.start - (tied[i].start + tied[i].length) < 0.2:
            tied[i] = tied[i]._replace(length=note.start + note.length - tied[i].start)
        else:
            last[note.key] = len(tied)
            tied.append(note)
    return tied

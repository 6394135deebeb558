"""Drums, timpani and basses."""

from __future__ import annotations

from slakh_hier.synth.compose.form import ChordSpan, Section
from slakh_hier.synth.compose.material import BeatNote, Voice, steps, strength
from slakh_hier.synth.compose.theory import Chord, nearest, within

KICK, RIM, SNARE, CLAP, LOW_TOM, HAT, MID_TOM, OPEN_HAT, HIGH_TOM, CRASH, RIDE = (
    36, 37, 38, 39, 41, 42, 45, 46, 48, 49, 51,
)  # fmt: skip
COWBELL, HIGH_CONGA, LOW_CONGA, SHAKER = 56, 63, 64, 70

_KITS: dict[str, dict[int, str]] = {
    "rock": {KICK: "X.....x.x.x.....", SNARE: "....X.......X...", HAT: "X.x.X.x.X.x.X.x."},
    "rock_busy": {KICK: "X..x....x.x..x..", SNARE: "....X..x....X..x", HAT: "X.x.X.x.X.x.X.x."},
    "funk": {KICK: "X..x..x...x..x..", SNARE: "....X..x.x..X..x", HAT: "XxxxXxxxXxxxXx.x", OPEN_HAT: "..............x."},
    "swing": {KICK: "x.......x.......", RIDE: "X...X.x.X...X.x.", HAT: "....x.......x...", SNARE: "......x........."},
    "four": {KICK: "X...X...X...X...", CLAP: "....X.......X...", OPEN_HAT: "..x...x...x...x.", HAT: "x.xxx.xxx.xxx.xx"},
    "bossa": {KICK: "X..xx..xX..xx..x", RIM: "X..x..X...X..x..", SHAKER: "XxxxXxxxXxxxXxxx"},
    "salsa": {KICK: "...x..x....x..x.", COWBELL: "X.x.X.x.X.x.X.x.", HIGH_CONGA: "x...X...x.x.....", LOW_CONGA: "............x.X.",
              RIM: "X..x..x...x.x..."},
    "march": {KICK: "X.......X.......", SNARE: "x.xxX.x.x.xxX.xx"},
    "waltz": {KICK: "X...........", RIM: "....x...x...", HAT: "x.x.x.x.x.x."},
    "brushes": {KICK: "x...........", RIDE: "X...x.x.x...", SNARE: "....x...x..."},
}  # fmt: skip
_LEVEL = {KICK: 12, SNARE: 12, CLAP: 6, RIM: 0, HAT: -14, OPEN_HAT: -8, RIDE: -6, SHAKER: -22,
          COWBELL: -10, HIGH_CONGA: 0, LOW_CONGA: 4}  # fmt: skip


def drums(voice: Voice, section: Section) -> list[BeatNote]:
    """A kit: the pattern of the song, a crash on a new section, a fill into the next."""
    if section.kind == "ending":
        return [BeatNote(section.start, 1, key, 100) for key in (KICK, CRASH)]
    pattern = _KITS[voice.variant]
    fill_from = section.end - (2 if section.last else 0)
    notes = []
    for bar in range(section.bars):
        place = section.start + bar * section.beats
        for key, marks in pattern.items():
            if section.kind == "intro" and key in (SNARE, CLAP, KICK) and bar < section.bars - 1:
                continue
            for start, _, accent in steps(marks):
                beat = place + start
                if beat >= fill_from or (not accent and voice.random.random() < 0.08):
                    continue
                velocity = strength(section, beat, 70) + _LEVEL[key] + 10 * accent
                notes.append(BeatNote(beat, 0.25, key, velocity))
    if section.kind == "chorus" or (section.repeat == 0 and section.kind != "intro"):
        notes.append(BeatNote(section.start, 1, CRASH, 78 + 20 * section.intensity))
    if section.last:
        notes += _fill(voice, fill_from, section)
    return notes


def _fill(voice: Voice, start: float, section: Section) -> list[BeatNote]:
    shapes = (
        (SNARE, SNARE, HIGH_TOM, HIGH_TOM, MID_TOM, MID_TOM, LOW_TOM, LOW_TOM),
        (KICK, None, SNARE, None, HIGH_TOM, MID_TOM, LOW_TOM, None),
        (SNARE, None, None, SNARE, None, SNARE, LOW_TOM, LOW_TOM),
    )
    shape = voice.random.choice(shapes)
    base = 56 + 40 * section.intensity
    return [
        BeatNote(start + i / 4, 0.25, key, base + 3 * i) for i, key in enumerate(shape) if key is not None
    ]


def timpani(voice: Voice, section: Section) -> list[BeatNote]:
    """Strokes on root and fifth where a bar begins, and a roll into the next section."""
    notes = []
    for span in section.spans:
        drums_at = within((span.chord.root, span.chord.fifth), voice.register.low, voice.register.high)
        key = nearest([k for k in drums_at if k % 12 == span.chord.root] or drums_at, 45)
        notes.append(BeatNote(span.start, 1, key, strength(section, span.start, 66)))
        if section.intensity > 0.5 and span.length >= 3:
            fifth = nearest(drums_at, key + 7)
            notes.append(BeatNote(span.start + 2, 0.5, fifth, strength(section, span.start + 2, 56)))
            notes.append(BeatNote(span.start + 2.5, 0.5, key, strength(section, span.start, 54)))
    if section.last and section.kind != "ending":
        key = nearest(
            within((voice.key.tonic, (voice.key.tonic + 7) % 12), voice.register.low, voice.register.high), 45
        )
        begin = section.end - 2
        notes = [note for note in notes if note.start < begin - 0.01]
        notes += [BeatNote(begin + i / 8, 0.12, key, 40 + 3 * i) for i in range(16)]
    return notes


def bass(voice: Voice, section: Section) -> list[BeatNote]:
    """A bass line in the song's manner: eighths, walking, funk, bossa, two to the bar, or held."""
    notes: list[BeatNote] = []
    for i, span in enumerate(section.spans):
        following = section.spans[i + 1].chord if i + 1 < len(section.spans) else section.spans[0].chord
        if section.kind == "ending":
            notes.append(BeatNote(span.start, span.length, _root(voice, span.chord), 90))
        elif pattern := _PATTERNS.get(voice.variant):
            notes += _pattern(voice, section, span, *pattern)
        else:
            notes += _LINES[voice.variant](voice, section, span, following)
    return notes


def _root(voice: Voice, chord: Chord) -> int:
    low = voice.register.low
    return nearest(within((chord.root,), low, low + 18), low + 8)


def _fifth(voice: Voice, chord: Chord) -> int:
    root = _root(voice, chord)
    return nearest(within((chord.fifth,), voice.register.low, voice.register.low + 20), root + 5)


def _pattern(voice: Voice, section: Section, span: ChordSpan, marks: str, tones: str) -> list[BeatNote]:
    """Notes of a rhythm; ``tones`` says which, in turn: r root, f fifth, o octave, s seventh or sixth, a approach."""
    root, fifth = _root(voice, span.chord), _fifth(voice, span.chord)
    keys = {"r": root, "f": fifth, "o": root + 12, "s": root + 10, "a": root - 1}
    notes = []
    for i, (start, length, accent) in enumerate(steps(marks)):
        if start < span.length - 0.01:
            beat = span.start + start
            velocity = strength(section, beat, 74) + 8 * accent
            notes.append(
                BeatNote(beat, min(length, span.length - start) * 0.92, keys[tones[i % len(tones)]], velocity)
            )
    return notes


def _eighths(voice: Voice, section: Section, span: ChordSpan, following: Chord) -> list[BeatNote]:
    marks = "X-x-x-x-X-x-x-x-" if section.intensity > 0.7 else "X-----x-X-----x-"
    return _pattern(voice, section, span, marks, "rrrrrrro" if section.intensity > 0.7 else "rrrf")


def _walking(voice: Voice, section: Section, span: ChordSpan, following: Chord) -> list[BeatNote]:
    """Root on the chord, chord and scale tones between, the last a step from the next root."""
    low, high = voice.register.low, voice.register.low + 22
    scale = within(voice.key.scale_over(span.chord), low, high)
    chord = within(span.chord.tones, low, high)
    before = low + 9 if voice.memory.key is None else voice.memory.key
    key = nearest([k for k in chord if k % 12 == span.chord.root], before)
    target = nearest(within((following.root,), low, high), key)
    notes = []
    for beat in range(int(span.length)):
        if beat > 0:
            if beat == int(span.length) - 1:
                key = voice.random.choice(
                    [k for k in (target - 1, target + 1, target + 2) if low <= k <= high]
                )
            else:
                way = 1 if target >= key else -1
                pool = chord if beat % 2 == 0 else scale
                onward = [k for k in pool if 0 < (k - key) * way <= 5]
                key = voice.random.choice(onward) if onward else nearest(pool, key - 3 * way)
        notes.append(BeatNote(span.start + beat, 0.9, key, strength(section, span.start + beat, 78, 4)))
    voice.memory.key = key
    return notes


def _funk(voice: Voice, section: Section, span: ChordSpan, following: Chord) -> list[BeatNote]:
    memory = voice.memory
    if not memory.rhythm:
        memory.rhythm, memory.tones = voice.random.choice(_FUNK)
    return _pattern(voice, section, span, memory.rhythm, memory.tones)


def _two(voice: Voice, section: Section, span: ChordSpan, following: Chord) -> list[BeatNote]:
    marks = "X------.x------." if section.beats == 4 else "X----------."
    return _pattern(voice, section, span, marks, "rf")


def _held(voice: Voice, section: Section, span: ChordSpan, following: Chord) -> list[BeatNote]:
    return [
        BeatNote(span.start, span.length * 0.97, _root(voice, span.chord), strength(section, span.start, 66))
    ]


_FUNK = (("X..x..x-..x.X.xx", "rrorsror"), ("X.x...xx.x..X.x.", "rorsfro"), ("X-.x..x.x-.x..xx", "rrosrfa"))

_LINES = {"eighths": _eighths, "walking": _walking, "funk": _funk, "two": _two, "held": _held}
_PATTERNS = {
    "bossa": ("X----.x-X----.x-", "rffr"),
    "tumbao": ("x.....X-----x---", "rfo"),
    "offbeat": ("..x-..x-..x-..xx", "rrrro"),
}

"""The styles: tempo, feel, chords, and who plays what.

Every style has a clean guitar and at least one more instrument of the middle (keys, strings, other guitars) that play nearly
throughout, so that clips of the paper's guitar path can be drawn from any song.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A player of a style."""

    name: str
    """Of the track."""
    job: str
    """What it does: a key of the players in ``song``."""
    programs: tuple[int, ...]
    """General MIDI programs to choose from; the choice prefers categories that the set has used least."""
    variants: tuple[str, ...] = ("",)
    """Patterns to choose from."""
    rests: tuple[str, ...] = ()
    """Kinds of section in which it is silent."""
    register: str = "middle"
    """Where in its instrument's register it plays: low, middle, high."""


@dataclass(frozen=True)
class Style:
    """A kind of music.

    ``tempo`` is a range (beats a minute); ``swing`` where the off-beat eighth falls in its beat (0.5: straight);
    ``progressions`` are (scale, verse, chorus, bridge), a chord a bar; ``colours`` is how many of the optional roles
    play; ``extras`` are programs without a category that Slakh lists without audio.
    """

    name: str
    beats: int
    tempo: tuple[int, int]
    swing: float
    progressions: tuple[tuple[str, str, str, str], ...]
    roles: tuple[Role, ...]
    optional: tuple[Role, ...]
    colours: int
    extras: tuple[int, ...] = ()


_DRUMS = (128,)
_PIANOS, _ELECTRIC_PIANOS, _ORGANS = (0, 1), (4, 5), (16, 17, 18)
_CLEAN, _ACOUSTIC = (26, 27), (24, 25)

ROCK = Style(
    "rock band", 4, (104, 144), 0.5,
    (("major", "I V vi IV", "IV I V vi", "vi IV I V"),
     ("minor", "i bVI bIII bVII", "bVI bVII i i", "iv i bVII bVI"),
     ("mixolydian", "I bVII IV I", "IV I bVII IV", "bVII IV I I")),
    (Role("Drums", "drums", _DRUMS, ("rock", "rock_busy")),
     Role("Bass", "bass", (33, 34), ("eighths",)),
     Role("Clean guitar", "arpeggio", (27, 25), ("travis", "broken", "spread")),
     Role("Distortion guitar", "power", (29, 30), rests=("intro", "verse"), register="low"),
     Role("Organ", "pad", (16, 18), rests=("intro",)),
     Role("Lead", "lead", (81, 66, 30, 65), ("lively", "syncopated"), rests=("intro",))),
    (Role("Strings", "pad", (48, 50, 89), rests=("intro", "verse"), register="high"),
     Role("Piano", "comp", (0, 4), ("eighths", "quarters"), rests=("verse",)),
     Role("Backing voices", "pad", (52, 53), rests=("intro", "verse")),
     Role("Synth", "ostinato", (88, 80), rests=("verse",))), 2)  # fmt: skip

FUNK = Style(
    "funk", 4, (94, 112), 0.53,
    (("dorian", "i7 IV9 i7 IV9", "bVIImaj7 IV9 i7 i7", "bVI7 bVII7 i7 i7"),
     ("mixolydian", "I9 I9 IV9 I9", "IV9 IV9 I9 I9", "ii7 V9 ii7 V9")),
    (Role("Drums", "drums", _DRUMS, ("funk",)),
     Role("Slap bass", "bass", (36, 37, 33), ("funk",)),
     Role("Funk guitar", "comp", (27, 28), ("chop",), register="high"),
     Role("Clavinet", "comp", (7, 4), ("stabs", "clave")),
     Role("Organ", "pad", (16, 17), register="high"),
     Role("Horns", "riff", (61,), rests=("intro",)),
     Role("Sax", "lead", (65, 66, 67), ("syncopated",), rests=("intro",))),
    (Role("Synth lead", "riff", (80, 81, 84), rests=("intro", "verse")),
     Role("Trumpet", "counter", (56, 59), rests=("intro", "verse"), register="high"),
     Role("Trombone", "counter", (57,), rests=("intro", "verse")),
     Role("Vibraphone", "arpeggio", (11,), ("up",), rests=("verse",))), 2)  # fmt: skip

CHAMBER = Style(
    "chamber orchestra", 3, (92, 120), 0.5,
    (("major", "I vi IV V7", "I IV ii7 V7", "vi iii IV V7"),
     ("minor", "i iv bVII bIII", "bVI iv V7 i", "iv bVII bIII V7"),
     ("major", "I V7 I IV", "IV I V7 I", "ii7 V7 vi V7")),
    (Role("Contrabass", "bass", (43,), ("two", "held"), register="low"),
     Role("Cello", "inner", (42,), register="middle"),
     Role("Viola", "inner", (41,), register="middle"),
     Role("Violin", "lead", (40,), ("calm", "lively")),
     Role("Guitar", "arpeggio", (24,), ("spread", "wave", "up")),
     Role("Woodwind", "counter", (68, 71, 69, 73), rests=("intro",))),
    (Role("Bassoon", "inner", (70,), rests=("intro",)),
     Role("Horn", "inner", (60,), rests=("intro", "verse")),
     Role("Harp", "arpeggio", (46,), ("up", "wave"), rests=("verse",)),
     Role("Harpsichord", "comp", (6,), ("waltz",), rests=("intro",)),
     Role("English horn", "counter", (69,), rests=("intro", "verse")),
     Role("Timpani", "timpani", (47,), rests=("intro", "verse"))), 3)  # fmt: skip

BIG_BAND = Style(
    "big band", 4, (126, 176), 0.64,
    (("major", "Imaj7,vi7 ii7,V7 Imaj7,vi7 ii7,V7", "IVmaj7 #ivo Imaj7 VI7", "III7 VI7 II7 V7"),
     ("mixolydian", "I7 IV7 I7 I7", "IV7 IV7 I7 VI7", "ii7 V7 I7 V7"),
     ("minor", "i7 iih7,V7 i7 V7", "iv7 bVII7 bIIImaj7 bVImaj7", "iih7 V7 i7 i7")),
    (Role("Drums", "drums", _DRUMS, ("swing",)),
     Role("Bass", "bass", (32,), ("walking",)),
     Role("Guitar", "comp", (26, 25), ("quarters",)),
     Role("Piano", "comp", (0, 1), ("stabs",)),
     Role("Trumpet", "lead", (56, 59), ("syncopated", "lively"), rests=("intro",)),
     Role("Saxes", "comp", (65, 66, 67), ("stabs",), rests=("intro",)),
     Role("Trombone", "counter", (57,), rests=("intro",))),
    (Role("Baritone sax", "inner", (67,), register="low"),
     Role("Clarinet", "counter", (71,), rests=("intro", "verse"), register="high"),
     Role("Tuba", "inner", (58,), rests=("intro",), register="low"),
     Role("Tenor sax", "riff", (66,), rests=("intro",)),
     Role("Brass section", "riff", (61,), rests=("intro", "verse")),
     Role("Vibraphone", "comp", (11,), ("stabs",), rests=("intro",))), 3)  # fmt: skip

ELECTRONIC = Style(
    "electronic", 4, (116, 128), 0.5,
    (("minor", "i bVI bIII bVII", "bVI bVII i bIII", "iv bVI i bVII"),
     ("minor", "i i bVI bVII", "iv bVI bIII bVII", "bVI bVI bVII i"),
     ("major", "vi IV I V", "IV V vi I", "ii7 IV vi V")),
    (Role("Drums", "drums", _DRUMS, ("four",)),
     Role("Bass", "bass", (35, 33), ("offbeat", "eighths")),
     Role("Muted guitar", "arpeggio", (28, 27), ("broken16", "up16")),
     Role("Pad", "pad", (89, 91, 90)),
     Role("Sequence", "ostinato", (80, 81)),
     Role("Synth strings", "pad", (50, 51), rests=("intro",), register="high"),
     Role("Synth lead", "lead", (81, 80, 87), ("syncopated", "lively"), rests=("intro",))),
    (Role("Voices", "pad", (54, 53), rests=("intro", "verse")),
     Role("Marimba", "ostinato", (12, 13), rests=("intro",)),
     Role("Electric piano", "comp", (5, 4), ("offbeat", "clave"), rests=("intro",)),
     Role("Bells", "arpeggio", (14, 9, 11), ("up",), rests=("verse",))), 2, extras=(38, 99))  # fmt: skip

CHORALE = Style(
    "choir and organ", 4, (68, 88), 0.5,
    (("major", "I IV I V", "vi ii7 V7 I", "IV I ii7 V7"),
     ("major", "I iii IV V7", "IV V7 vi IV", "ii7 V7 I vi"),
     ("minor", "i iv bVII bIII", "bVI bVII i V7", "iv i V7 i")),
    (Role("Choir", "pad", (52,)),
     Role("Organ", "comp", (19, 20), ("halves",)),
     Role("Guitar", "arpeggio", (24, 25), ("wave", "spread")),
     Role("Cello", "inner", (42,), register="low"),
     Role("Flute", "lead", (73, 74, 40), ("calm",), rests=("intro",)),
     Role("Bass", "bass", (32, 43), ("held", "two"), register="low")),
    (Role("Trumpet", "counter", (56,), rests=("intro", "verse"), register="high"),
     Role("Trombone", "inner", (57,), rests=("intro", "verse")),
     Role("Tuba", "bass", (58,), ("held",), rests=("intro", "verse")),
     Role("Timpani", "timpani", (47,), rests=("intro", "verse")),
     Role("Oboe", "counter", (68,), rests=("intro", "verse")),
     Role("Horn", "inner", (60,), rests=("intro",))), 3)  # fmt: skip

LATIN = Style(
    "latin", 4, (118, 138), 0.5,
    (("minor", "i7 i7 iv7 V7", "iv7 bVII7 bIIImaj7 V7", "iih7 V7 i7 i7"),
     ("major", "Imaj7 II7 ii7 V7", "Imaj7 vi7 ii7 V7", "IVmaj7 iv6 iii7 VI7"),
     ("dorian", "i7 IV7 i7 IV7", "bVIImaj7 IV7 i7 V7", "iv7 iv7 i7 V7")),
    (Role("Drums", "drums", _DRUMS, ("bossa", "salsa")),
     Role("Bass", "bass", (32,), ("bossa", "tumbao")),
     Role("Guitar", "comp", (24,), ("bossa",)),
     Role("Piano", "comp", (0, 2), ("montuno", "clave")),
     Role("Lead", "lead", (73, 56, 65, 75), ("syncopated",), rests=("intro",)),
     Role("Brass", "riff", (61, 57), rests=("intro", "verse"))),
    (Role("Vibraphone", "counter", (11, 12), rests=("verse",)),
     Role("Strings", "pad", (48, 49), rests=("intro", "verse"), register="high"),
     Role("Trombone", "counter", (57,), rests=("intro",)),
     Role("Electric piano", "comp", (4, 5), ("halves",), rests=("intro",)),
     Role("Clarinet", "counter", (71,), rests=("intro", "verse"))), 2)  # fmt: skip

FOLK = Style(
    "folk", 3, (96, 126), 0.5,
    (("major", "I IV I V", "IV I V I", "vi IV V V"),
     ("mixolydian", "I bVII IV I", "I IV bVII I", "bVII IV I V"),
     ("dorian", "i bVII i IV", "bIII bVII i i", "IV i bVII i")),
    (Role("Steel guitar", "arpeggio", (25,), ("wave", "spread", "up")),
     Role("Fiddle", "lead", (40,), ("lively", "calm"), rests=("intro",)),
     Role("Accordion", "comp", (21, 22), ("waltz",), rests=("intro",)),
     Role("Bass", "bass", (32, 35), ("two",)),
     Role("Kit", "drums", _DRUMS, ("waltz", "brushes"), rests=("intro",)),
     Role("Whistle", "counter", (78, 72, 74), rests=("intro", "verse"))),
    (Role("Cello", "inner", (42,), rests=("intro",), register="low"),
     Role("Viola", "inner", (41,), rests=("intro",)),
     Role("Harp", "arpeggio", (46,), ("up",), rests=("verse",)),
     Role("Clarinet", "counter", (71,), rests=("intro", "verse")),
     Role("Bassoon", "inner", (70,), rests=("intro",)),
     Role("Piano", "comp", (0, 1), ("waltz",), rests=("intro", "verse"))), 2)  # fmt: skip

SCORE = Style(
    "film score", 4, (92, 124), 0.5,
    (("minor", "i bVI iv bVII", "bVI bVII i bIII", "iv bVI bVII V7"),
     ("dorian", "i i bVII IV", "bIII bVII i IV", "bVI bVII i i"),
     ("minor", "i V7 i bVI", "bVI bIII bVII i", "iv i V7 i")),
    (Role("Strings", "ostinato", (48, 45), register="middle"),
     Role("Low strings", "bass", (43, 42), ("eighths",), register="low"),
     Role("Electric guitar", "arpeggio", (27, 26), ("broken", "spread")),
     Role("Horns", "lead", (60,), ("calm",), rests=("intro",)),
     Role("Timpani", "timpani", (47,), rests=("intro",)),
     Role("Choir", "pad", (52, 53), rests=("intro", "verse")),
     Role("Piano", "comp", (0, 1), ("quarters", "halves"))),
    (Role("Trombones", "inner", (57,), rests=("intro", "verse")),
     Role("Tuba", "bass", (58,), ("held",), rests=("intro", "verse"), register="low"),
     Role("Harp", "arpeggio", (46,), ("up16",), rests=("verse",)),
     Role("Oboe", "counter", (68, 69), rests=("intro", "chorus")),
     Role("Drums", "drums", _DRUMS, ("march",), rests=("intro", "verse")),
     Role("Bassoon", "inner", (70,), rests=("intro",)),
     Role("Tubular bells", "counter", (14,), rests=("verse",))), 3, extras=(96,))  # fmt: skip

STYLES = (ROCK, FUNK, CHAMBER, BIG_BAND, ELECTRONIC, CHORALE, LATIN, FOLK, SCORE)

"""General MIDI: the names that metadata use, and what the instruments behind the programs can play."""

from __future__ import annotations

from dataclasses import dataclass

from slakh_hier.hierarchy import DRUM_PROGRAM

PROGRAM_NAMES = (
    "Acoustic Grand Piano", "Bright Acoustic Piano", "Electric Grand Piano", "Honky-tonk Piano",
    "Electric Piano 1", "Electric Piano 2", "Harpsichord", "Clavinet",
    "Celesta", "Glockenspiel", "Music Box", "Vibraphone", "Marimba", "Xylophone", "Tubular Bells", "Dulcimer",
    "Drawbar Organ", "Percussive Organ", "Rock Organ", "Church Organ", "Reed Organ", "Accordion", "Harmonica",
    "Tango Accordion",
    "Acoustic Guitar (nylon)", "Acoustic Guitar (steel)", "Electric Guitar (jazz)", "Electric Guitar (clean)",
    "Electric Guitar (muted)", "Overdriven Guitar", "Distortion Guitar", "Guitar Harmonics",
    "Acoustic Bass", "Electric Bass (finger)", "Electric Bass (pick)", "Fretless Bass", "Slap Bass 1",
    "Slap Bass 2", "Synth Bass 1", "Synth Bass 2",
    "Violin", "Viola", "Cello", "Contrabass", "Tremolo Strings", "Pizzicato Strings", "Orchestral Harp", "Timpani",
    "String Ensemble 1", "String Ensemble 2", "Synth Strings 1", "Synth Strings 2", "Choir Aahs", "Voice Oohs",
    "Synth Voice", "Orchestra Hit",
    "Trumpet", "Trombone", "Tuba", "Muted Trumpet", "French Horn", "Brass Section", "Synth Brass 1",
    "Synth Brass 2",
    "Soprano Sax", "Alto Sax", "Tenor Sax", "Baritone Sax", "Oboe", "English Horn", "Bassoon", "Clarinet",
    "Piccolo", "Flute", "Recorder", "Pan Flute", "Blown bottle", "Shakuhachi", "Whistle", "Ocarina",
    "Lead 1 (square)", "Lead 2 (sawtooth)", "Lead 3 (calliope)", "Lead 4 chiff", "Lead 5 (charang)",
    "Lead 6 (voice)", "Lead 7 (fifths)", "Lead 8 (bass + lead)",
    "Pad 1 (new age)", "Pad 2 (warm)", "Pad 3 (polysynth)", "Pad 4 (choir)", "Pad 5 (bowed)", "Pad 6 (metallic)",
    "Pad 7 (halo)", "Pad 8 (sweep)",
    "FX 1 (rain)", "FX 2 (soundtrack)", "FX 3 (crystal)", "FX 4 (atmosphere)", "FX 5 (brightness)",
    "FX 6 (goblins)", "FX 7 (echoes)", "FX 8 (sci-fi)",
    "Sitar", "Banjo", "Shamisen", "Koto", "Kalimba", "Bagpipe", "Fiddle", "Shanai",
    "Tinkle Bell", "Agogo", "Steel Drums", "Woodblock", "Taiko Drum", "Melodic Tom", "Synth Drum",
    "Reverse Cymbal",
    "Guitar Fret Noise", "Breath Noise", "Seashore", "Bird Tweet", "Telephone Ring", "Helicopter", "Applause",
    "Gunshot",
)  # fmt: skip
"""Names of the programs 0 to 127, spelt as in Slakh2100's metadata."""

_CLASSES = (
    "Piano", "Chromatic Percussion", "Organ", "Guitar", "Bass", "Strings", "Strings (continued)", "Brass", "Reed",
    "Pipe", "Synth Lead", "Synth Pad", "Sound Effects", "Ethnic", "Percussive", "Sound effects",
)  # fmt: skip
_REVERSE_CYMBAL = 119
"""Slakh counts it among the sound effects (chart of slakh-utils), General MIDI among the percussive instruments."""


def program_name(program: int) -> str:
    """``midi_program_name`` of a program (0 to 127; drums 128)."""
    return "Drums" if program == DRUM_PROGRAM else PROGRAM_NAMES[program]


def instrument_class(program: int) -> str:
    """``inst_class`` of a program (0 to 127; drums 128)."""
    if program == _REVERSE_CYMBAL:
        return _CLASSES[-1]
    return "Drums" if program == DRUM_PROGRAM else _CLASSES[program // 8]


@dataclass(frozen=True)
class Register:
    """Keys that an instrument can play (inclusive), and whether it plays more than one at a time."""

    low: int
    high: int
    chords: bool

    def holds(self, low: int, high: int) -> bool:
        return self.low <= low and high <= self.high


def register(program: int) -> Register:
    """What the instrument of a program can play: sounding ranges as orchestration books give them.

    Synthesizers and organs take the range in which their General MIDI sounds are of use.
    """
    *_, found = (row for row in _REGISTERS if row[0] <= program)
    return Register(*found[1:])


_REGISTERS = (
    (0, 28, 103, True), (6, 29, 89, True), (7, 36, 84, True), (8, 60, 96, True), (9, 72, 96, True),
    (10, 60, 96, True), (11, 53, 89, True), (12, 45, 96, True), (13, 65, 96, True), (14, 60, 77, True),
    (15, 55, 88, True), (16, 36, 96, True), (21, 53, 89, True), (24, 40, 84, True), (32, 28, 62, False),
    (40, 55, 96, False), (41, 48, 84, False), (42, 36, 76, False), (43, 28, 60, False), (44, 36, 92, True),
    (46, 31, 96, True), (47, 38, 57, False), (48, 36, 92, True), (52, 43, 80, True), (55, 36, 96, True),
    (56, 54, 84, False), (57, 40, 72, False), (58, 28, 58, False), (59, 54, 82, False), (60, 38, 77, False),
    (61, 40, 82, True), (64, 56, 87, False), (65, 49, 80, False), (66, 44, 75, False), (67, 37, 68, False),
    (68, 58, 91, False), (69, 52, 81, False), (70, 34, 72, False), (71, 50, 89, False), (72, 74, 98, False),
    (73, 60, 93, False), (80, 43, 91, False), (88, 36, 88, True), (96, 36, 96, True),
)  # fmt: skip
"""(first program, low, high, chords): each holds up to the first program of the next."""

"""The instruments that generated data sets use: one for each of Slakh2100's categories."""

from __future__ import annotations

from dataclasses import dataclass

from slakh_hier.hierarchy import DRUM_PROGRAM


@dataclass(frozen=True)
class Instrument:
    """What metadata.yaml says about a stem of this instrument.

    ``category`` is the name in the shipped tree slakh34; ``program`` is 0-based, drums 128.
    """

    category: str
    program: int
    patch: str
    inst_class: str
    midi_program_name: str

    @property
    def is_drum(self) -> bool:
        return self.program == DRUM_PROGRAM


_INSTRUMENTS = (
    Instrument("acoustic_piano", 0, "concert_grand.nkm", "Piano", "Acoustic Grand Piano"),
    Instrument("electric_piano", 4, "scarbee_mark_I.nkm", "Piano", "Electric Piano 1"),
    Instrument("chromatic_percussion", 11, "marimba.nkm", "Chromatic Percussion", "Vibraphone"),
    Instrument("organ", 16, "tonewheel_organ_b3.nkm", "Organ", "Drawbar Organ"),
    Instrument("acoustic_guitar", 24, "nylon_guitar.nkm", "Guitar", "Acoustic Guitar (nylon)"),
    Instrument("clean_electric_guitar", 27, "funk_guitar.nkm", "Guitar", "Electric Guitar (clean)"),
    Instrument("distorted_electric_guitar", 30, "elektrik_guitar.nkm", "Guitar", "Distortion Guitar"),
    Instrument("acoustic_bass", 32, "upright_bass.nkm", "Bass", "Acoustic Bass"),
    Instrument("electric_bass", 33, "pop_bass.nkm", "Bass", "Electric Bass (finger)"),
    Instrument("violin", 40, "violin_solo.nkm", "Strings", "Violin"),
    # solo_strings.nkm, saxophone_section.nkm and the like serve several categories: the program decides.
    Instrument("viola", 41, "solo_strings.nkm", "Strings", "Viola"),
    Instrument("cello", 42, "cello_solo.nkm", "Strings", "Cello"),
    Instrument("contrabass", 43, "double_bass_solo.nkm", "Strings", "Contrabass"),
    Instrument("string_ensemble", 48, "string_ensemble.nkm", "Strings (continued)", "String Ensemble 1"),
    Instrument("timpani", 47, "timpani.nkm", "Strings", "Timpani"),
    Instrument("orchestral_harp", 46, "harp.nkm", "Strings", "Orchestral Harp"),
    Instrument("synth_strings", 50, "string_ensemble.nkm", "Strings (continued)", "Synth Strings 1"),
    Instrument("choir_and_voice", 52, "choir_a.nkm", "Strings (continued)", "Choir Aahs"),
    Instrument("trumpet", 56, "trumpet.nkm", "Brass", "Trumpet"),
    Instrument("trombone", 57, "trombone.nkm", "Brass", "Trombone"),
    Instrument("tuba", 58, "tuba.nkm", "Brass", "Tuba"),
    Instrument("french_horn", 60, "horn_1_essential.nkm", "Brass", "French Horn"),
    Instrument("brass_section", 61, "brass_quartet_essential.nkm", "Brass", "Brass Section"),
    Instrument("soprano_alto_sax", 65, "alto_saxophone.nkm", "Reed", "Alto Sax"),
    Instrument("tenor_sax", 66, "saxophone_section.nkm", "Reed", "Tenor Sax"),
    Instrument("baritone_sax", 67, "baritone_saxophone.nkm", "Reed", "Baritone Sax"),
    Instrument("oboe", 68, "oboe.nkm", "Reed", "Oboe"),
    Instrument("english_horn", 69, "english_horn.nkm", "Reed", "English Horn"),
    Instrument("bassoon", 70, "bassoon.nkm", "Reed", "Bassoon"),
    Instrument("clarinet", 71, "clarinet.nkm", "Reed", "Clarinet"),
    Instrument("pipe", 73, "flute.nkm", "Pipe", "Flute"),
    Instrument("synth_lead", 81, "december_saw.nkm", "Synth Lead", "Lead 2 (sawtooth)"),
    Instrument("synth_pad", 89, "ambibella.nkm", "Synth Pad", "Pad 2 (warm)"),
    Instrument("drum_kit", 128, "pop_kit.nkm", "Drums", "Drums"),
    Instrument("harpsichord", 6, "harpsichord.nkm", "Piano", "Harpsichord"),
    Instrument("woodwind_ensemble", 71, "woodwind_ensemble_essential.nkm", "Reed", "Clarinet"),
)
INSTRUMENTS = {instrument.category: instrument for instrument in _INSTRUMENTS}

GUITARS = ("acoustic_guitar", "clean_electric_guitar")
"""Stem S00 of every track is one of these, so that the clean-guitar path can always be drawn."""

PAIRS = (
    ("acoustic_piano", "acoustic_piano"),
    ("electric_bass", "electric_bass"),
    ("drum_kit", "timpani"),
    ("chromatic_percussion", "chromatic_percussion"),
    ("acoustic_bass", "acoustic_bass"),
    ("violin", "viola"),
    ("distorted_electric_guitar", "distorted_electric_guitar"),
    ("trumpet", "trombone"),
    ("choir_and_voice", "choir_and_voice"),
    ("soprano_alto_sax", "tenor_sax"),
    ("pipe", "pipe"),
    ("oboe", "english_horn"),
    ("synth_lead", "synth_pad"),
    ("electric_piano", "electric_piano"),
    ("organ", "organ"),
    ("baritone_sax", "clarinet"),
    ("woodwind_ensemble", "woodwind_ensemble"),
    ("tuba", "french_horn"),
    ("cello", "contrabass"),
    ("orchestral_harp", "harpsichord"),
    ("string_ensemble", "synth_strings"),
    ("bassoon", "bassoon"),
    ("brass_section", "brass_section"),
)
"""Categories of the further stems: neighbours share a coarse node, the two of a pair the finest one.

Two tracks of a split take the two sides, so that a query from another song exists for each of their nodes.
"""

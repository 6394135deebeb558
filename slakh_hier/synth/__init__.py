"""Data sets from MIDI: songs in, tracks in Slakh's layout out (:func:`make_data_set`)."""

from slakh_hier.synth.run import SplitSummary, SynthReport, make_data_set
from slakh_hier.synth.synthesise import SYNTHESISERS, Synthesiser

__all__ = ["SYNTHESISERS", "SplitSummary", "SynthReport", "Synthesiser", "make_data_set"]

"""Data sets from MIDI: songs in, tracks in Slakh's layout out (:func:`make_data_set`)."""

from slakh_hier.output.tracks import DataSetReport
from slakh_hier.synth.run import make_data_set
from slakh_hier.synth.synthesise import Synthesiser

__all__ = ["DataSetReport", "Synthesiser", "make_data_set"]

"""Small data sets in Slakh layout, made from formulas, so that users can test too."""

from slakh_hier.testing.dataset import make_slakh, plan_tracks
from slakh_hier.testing.defects import DEFECTS
from slakh_hier.testing.formula import AMPLITUDE, NOTE_SECONDS, formula_stem
from slakh_hier.testing.recordings import make_recordings
from slakh_hier.testing.track import StemSpec, TrackSpec

__all__ = [
    "AMPLITUDE",
    "DEFECTS",
    "NOTE_SECONDS",
    "StemSpec",
    "TrackSpec",
    "formula_stem",
    "make_recordings",
    "make_slakh",
    "plan_tracks",
]

"""Full-length submixes as audio files: one file per node of the tree and track, or one per stem."""

from slakh_hier.submix.run import SubmixReport, write_submixes

__all__ = ["SubmixReport", "write_submixes"]

"""Full-length submixes as audio files: one file a node of the tree and track, or one a stem."""

from slakh_hier.submix.run import SubmixReport, write_submixes

__all__ = ["SubmixReport", "write_submixes"]

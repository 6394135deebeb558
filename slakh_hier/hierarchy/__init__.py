"""Instrument trees: the model, strict reading of their YAML files, matching stems to categories."""

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, Match, StemLabel, patch_key, word_key
from slakh_hier.hierarchy.model import MIX, UNASSIGNED, Category, Column, Hierarchy, Node, Override, Rule

__all__ = [
    "DRUM_PROGRAM",
    "MIX",
    "UNASSIGNED",
    "Category",
    "Column",
    "Hierarchy",
    "Match",
    "Node",
    "Override",
    "Rule",
    "StemLabel",
    "patch_key",
    "word_key",
]

"""Instrument trees: the model, strict reading of their YAML files, matching stems to categories."""

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, Match, StemLabel, patch_key, word_key
from slakh_hier.hierarchy.model import MIX, UNASSIGNED, Category, Column, Hierarchy, Node, Override, Rule
from slakh_hier.hierarchy.reader import load_hierarchy, parse_hierarchy, shipped

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
    "load_hierarchy",
    "parse_hierarchy",
    "patch_key",
    "shipped",
    "word_key",
]

"""Instrument trees: the model, strict reading of their YAML files, matching stems to categories."""

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, Match, StemLabel, label_key, word_key
from slakh_hier.hierarchy.model import (
    MIX,
    UNASSIGNED,
    Category,
    Clips,
    Column,
    Companion,
    Hierarchy,
    Node,
    Override,
    Rule,
)
from slakh_hier.hierarchy.reader import load_hierarchy, parse_hierarchy, shipped
from slakh_hier.hierarchy.schema import DEFAULT_SALIENCE_DB

__all__ = [
    "DEFAULT_SALIENCE_DB",
    "DRUM_PROGRAM",
    "MIX",
    "UNASSIGNED",
    "Category",
    "Clips",
    "Column",
    "Companion",
    "Hierarchy",
    "Match",
    "Node",
    "Override",
    "Rule",
    "StemLabel",
    "label_key",
    "load_hierarchy",
    "parse_hierarchy",
    "shipped",
    "word_key",
]

"""The file that ``slakh-hier hierarchy new`` writes: a small tree with a comment at every part."""

from __future__ import annotations

import re
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.files import publish
from slakh_hier.hierarchy.model import Hierarchy
from slakh_hier.hierarchy.reader import load_hierarchy, parse_hierarchy
from slakh_hier.hierarchy.schema import name_from
from slakh_hier.paths import StrPath
from slakh_hier.wording import escaped

_STARTER = """\
# An instrument tree for slakh-hier.
#   slakh-hier hierarchy validate {file}     checks it, and reports every problem with its line
#   slakh-hier hierarchy show {file}         draws it
# docs/hierarchies.md explains every key.

schema: 1
name: {name}
description: Say here when to take this tree

# Level 1 is the finest, here levels: 2 is the coarsest. Every finest node must lie that deep.
levels: 2

# Nodes, from the coarsest level down. Names of nodes and categories are letters, digits, _ and -, and each stands for
# one thing only. A finest node lists categories, or holds a rule of its own under match:.
tree:
  rhythm:
    drums: {{match: {{drums: true}}}}
    basses: [acoustic_bass, electric_bass]
  harmony:
    keys: {{match: {{programs: [0-7, 16-23]}}}}
    guitars: [acoustic_guitar, electric_guitar]
  melody:
    strings: {{match: {{programs: [40-51]}}}}
    winds: [brass, woodwinds]

# Which stems belong to a category. MIDI programs count from 0; each belongs to one category only. What stays out of
# all rules (here percussion, voices, synthesizers and effects) is unassigned, see below.
categories:
  acoustic_bass: {{programs: [32]}}
  electric_bass: {{programs: [33-39]}}
  acoustic_guitar: {{programs: [24, 25]}}
  electric_guitar: {{programs: [26-31]}}
  brass: {{programs: [56-63]}}
  woodwinds:
    programs: [64-79]
    # Stems without a program that the tree knows go by their names in the metadata, if given here.
    inst_class: [Reed, Pipe]

# Patches that belong elsewhere than their program says: this one is a guitar, used for the programs of synth leads.
patch_overrides:
  guitar_lead.nkm: {{node: guitars, category: lead_guitar}}

# Stems without a category: keep (in the mix only), drop, or error.
unassigned: keep
"""


def write_new(file: StrPath, template: StrPath | None = None) -> Hierarchy:
    """Write a tree file to start from, and return its tree.

    Parameters
    ----------
    file
        Must not exist. The tree is named after it.
    template
        A tree (name or path) to copy under the new name; by default a small one with comments at every part.

    Raises
    ------
    InputError
        The file exists (nothing is overwritten), or its folder does not.
    """
    path = Path(file)
    if path.exists() or path.is_symlink():
        raise InputError(f"{file}: exists, and is not overwritten. Choose another name, or remove it first")
    if not path.parent.is_dir():
        raise InputError(f"{file}: the folder {path.parent} does not exist. Create it first")
    name = name_from(path.stem) or "my_tree"
    if template is None:
        text = _STARTER.format(file=escaped(path.name), name=name)
    else:
        text = _renamed(load_hierarchy(template), name)
    tree = parse_hierarchy(text, str(file))
    publish(path, text.encode())
    return tree


def _renamed(tree: Hierarchy, name: str) -> str:
    text, found = re.subn(r"(?m)^name:.*$", f"name: {name}", tree.text, count=1)
    if not found:
        raise InputError(
            f"{tree.file}: its name is not on a line of its own, so that it cannot be taken as a start"
        )
    return text

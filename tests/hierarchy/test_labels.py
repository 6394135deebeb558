"""Labels of recordings: which path decides, and that the shipped trees know every label of their data sets."""

from __future__ import annotations

import pytest

from slakh_hier.hierarchy import Hierarchy, StemLabel, label_key, load_hierarchy, parse_hierarchy
from slakh_hier.hierarchy.compare import compare

TEXT = """\
schema: 1
name: t
levels: 1
tree:
  kick: {match: {labels: [drums/kick_drum]}}
  drums: {match: {labels: [drums], drums: true}}
  bass: {match: {labels: [bass, Keys/Synth  bass], programs: [32-39]}}
"""


@pytest.fixture(scope="module")
def tree() -> Hierarchy:
    return parse_hierarchy(TEXT, "t.yaml")


@pytest.mark.parametrize(
    ("labels", "node"),
    [
        ("drums/kick_drum", "kick"),
        ("drums/kick_drum/beater", "kick"),
        ("Drums/Kick drum", "kick"),
        ("drums/kick", "drums"),
        ("drums", "drums"),
        ("bass/bass_guitar", "bass"),
        ("keys/synth_bass", "bass"),
        ("keys", None),
        ("keys/piano", None),
        ("kick_drum", None),
        ("drumsticks", None),
    ],
)
def test_the_longest_path_that_the_labels_begin_with_decides(
    tree: Hierarchy, labels: str, node: str | None
) -> None:
    found = tree.match(StemLabel(None, None, False, labels=labels))
    assert (found.node if found else None) == node
    assert found is None or found.how == "labels"


def test_labels_come_before_programs_which_come_where_no_label_is_known(tree: Hierarchy) -> None:
    both = StemLabel(None, 33, False, labels="drums")
    unknown = StemLabel(None, 33, False, labels="strings/cello")
    assert [found and (found.node, found.how) for found in map(tree.match, (both, unknown))] == [
        ("drums", "labels"),
        ("bass", "program"),
    ]
    assert tree.why_unassigned(StemLabel(None, None, False, labels="strings/cello")) == (
        "strings/cello has no category in the tree t"
    )


def test_keys_of_labels() -> None:
    assert label_key(" Strings / Acoustic  Guitar") == ("strings", "acoustic_guitar")
    assert label_key(None) == label_key("") == label_key("/") == ()


def test_trees_that_differ_in_labels_alone_differ(tree: Hierarchy) -> None:
    other = parse_hierarchy(TEXT.replace("drums/kick_drum", "drums/kick"), "o.yaml")
    same = parse_hierarchy(TEXT.replace("drums/kick_drum", "Drums / KICK drum"), "s.yaml")
    assert tree != other
    assert tree == same
    assert [(c.change, c.what, c.name) for c in compare(tree, other)] == [
        ("removed", "labels", "drums/kick_drum"),
        ("added", "labels", "drums/kick"),
    ]
    assert compare(tree, same) == []


def test_four_stems_of_moisesdb() -> None:
    """Facts: the usual four stems of MoisesDB are vocals, bass, drums, and the eight other stems."""
    stems = load_hierarchy("moisesdb").level_nodes(2)
    musdb = load_hierarchy("musdb")
    found = {stem: musdb.match(StemLabel(None, None, False, labels=f"{stem}/anything")) for stem in stems}
    four = {stem: match.node for stem, match in found.items() if match}
    assert len(stems) == len(four) == 11
    assert {stem: node for stem, node in four.items() if node != "other"} == {
        "vocals": "vocals",
        "bass": "bass",
        "drums": "drums",
    }

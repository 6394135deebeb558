"""The tables of facts fit each other and the shipped trees."""

from __future__ import annotations

from collections import Counter

from slakh_hier.hierarchy import StemLabel, load_hierarchy
from slakh_hier.importing.layouts import LAYOUTS
from slakh_hier.importing.layouts.ensembleset import INSTRUMENTS as ENSEMBLESET
from slakh_hier.importing.layouts.parts import label, song_key
from slakh_hier.importing.layouts.tables import errata, moisesdb_types, rows, taxonomy, type_key
from slakh_hier.importing.layouts.urmp import INSTRUMENTS as URMP


def test_moisesdbs_tree_is_its_taxonomy() -> None:
    tree = load_hierarchy("moisesdb")
    assert (len(tree.level_nodes(2)), len(tree.level_nodes(1)), len(moisesdb_types())) == (11, 45, 45)
    for found in moisesdb_types().values():
        match = tree.match(StemLabel(None, None, False, labels="/".join(found.path)))
        assert match is not None
        assert tree.path(match.node) == (found.path[1], found.path[0])
    texts = Counter(type_key(row["type"]) for row in rows("moisesdb.csv"))
    assert set(texts.values()) == {1}


def test_medleydbs_tree_is_its_taxonomy() -> None:
    tree = load_hierarchy("medleydb")
    assert len(taxonomy()) == len(tree.level_nodes(1)) == 123
    for found in taxonomy().values():
        match = tree.match(StemLabel(None, None, False, labels="/".join(found.path)))
        assert match is not None
        family, *middle = found.path[:-1]
        assert tree.path(match.node) == (found.path[-1], *(middle or [f"{family}-2"]), family)


def test_words_of_urmp_and_ensembleset_are_in_the_taxonomy() -> None:
    assert (len(URMP), len(ENSEMBLESET)) == (13, 11)
    assert all(label(word) in taxonomy() for word in (*URMP.values(), *ENSEMBLESET.values()))


def test_programs_are_those_of_general_midi() -> None:
    tree = load_hierarchy("general_midi")
    found = {
        name: tree.match(StemLabel(None, kind.program, kind.program == 128))
        for name, kind in taxonomy().items()
        if kind.program is not None
    }
    families = {name: match.node for name, match in found.items() if match}
    assert families["piano"] == families["tack_piano"] == families["electric_piano"]
    assert families["violin"] == families["double_bass"] == families["harp"]
    assert (
        len({families[name] for name in ("trumpet", "trombone", "tuba", "french_horn", "brass_section")}) == 1
    )
    assert len({families[name] for name in ("oboe", "clarinet", "alto_saxophone", "bassoon")}) == 1
    assert families["kick_drum"] == families["drum_set"] == "drums"


def test_errata_name_songs_and_stems_of_their_layouts() -> None:
    assert {row["layout"] for row in rows("errata.csv")} <= set(LAYOUTS)
    assert len(errata("musdb18hq")) == 8
    assert len(errata("medleydb")) == 5
    assert [fault.stem for fault in errata("musdb18hq")[song_key("Leaf - Wicked")]] == ["drums", "vocals"]

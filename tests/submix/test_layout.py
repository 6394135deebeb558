"""Which stems go into which file."""

from __future__ import annotations

import pytest

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy
from slakh_hier.slakh import scan
from slakh_hier.submix import write_submixes
from slakh_hier.submix.layout import check_level, files_of

CATEGORIES = {"S00": "acoustic_guitar", "S01": "distorted_electric_guitar", "S02": "drum_kit", "S05": None}


def test_slakh34_guitars(tree):
    outputs = {output.name: output for output in files_of(tree, None, CATEGORIES).outputs}
    assert outputs["mix"].stems == ("S00", "S01", "S02", "S05")
    assert outputs["guitars"] == ("guitars", 2, "midrange_strings_keys", ("S00", "S01"))
    assert outputs["clean_guitars"] == ("clean_guitars", 1, "guitars", ("S00",))
    assert outputs["unassigned"] == ("unassigned", 1, "mix", ("S05",))
    assert "choir" not in outputs


def test_every_node_is_there_or_named_absent(tree):
    files = files_of(tree, None, CATEGORIES)
    names = {output.name for output in files.outputs} | set(files.absent)
    assert names == {*tree.nodes, "mix", "unassigned"}
    assert len(files.outputs) + len(files.absent) == len(names)


@pytest.mark.parametrize("level", [1, 2, 3, 0, "category", "stems"])
def test_each_stem_is_in_one_file_of_a_level(tree, level):
    files = files_of(tree, level, CATEGORIES)
    stems = [stem for output in files.outputs[1:] for stem in output.stems]
    assert sorted(stems) == sorted(CATEGORIES)


def test_one_level_hangs_below_the_mix(tree):
    assert {output.parent for output in files_of(tree, 1, CATEGORIES).outputs[1:]} == {"mix"}


def test_category_level_takes_implicit_ones_too(mixed_tree):
    """A finest node with its own rule is its category: without it, a level's files would not add up."""
    files = files_of(mixed_tree, "category", {"S00": "kit", "S01": "keys", "S02": None})
    assert [(output.name, output.stems) for output in files.outputs[1:]] == [
        ("kit", ("S00",)),
        ("keys", ("S01",)),
        ("unassigned", ("S02",)),
    ]
    assert files.absent == ("low", "guitars")


@pytest.mark.parametrize(
    ("level", "message"), [(4, "has no level 4: it has 1"), ("leaf", "number, category or stems")]
)
def test_unknown_levels(tree, level, message):
    with pytest.raises(InputError, match=message):
        check_level(tree, level)


# The examples that slakh-utils publishes, by what they mean: which programs are in which submix.
BAND = {"bass": range(32, 40), "drums": [128], "guitar": range(24, 32), "piano": range(8)}
EXAMPLES = {"band": BAND, **{name: {name: BAND[name]} for name in ("bass", "guitar", "piano")}}
PROGRAMS = [0, 7, 8, 24, 31, 32, 39, 40, 96, 127, 128]


@pytest.mark.parametrize("example", EXAMPLES)
def test_slakh_utils_examples(example, make_track, tmp_path, plain):
    import numpy as np

    recipes = EXAMPLES[example]
    lines = "".join(f"  {name.title()}: {list(programs)}\n" for name, programs in recipes.items())
    file = tmp_path / f"{example}.yaml"
    file.write_text(f"Mixing key: program_num\nRecipes:\n{lines}")
    # A bit for each stem: a sum tells what is in it.
    root = make_track({program: np.full(50, 1 << bit, np.int16) for bit, program in enumerate(PROGRAMS)})
    write_submixes(scan(root, load_hierarchy(file)), tmp_path / "out", jobs=1)
    folder = tmp_path / "out" / "Track00001"
    found = {path.stem: int(plain.sound(path)[25]) for path in folder.glob("*.flac")}

    def bits(programs):
        return sum(1 << bit for bit, program in enumerate(PROGRAMS) if program in programs)

    taken = [program for programs in recipes.values() for program in programs]
    rest = [program for program in PROGRAMS if program not in taken]
    expected = {name: bits(programs) for name, programs in recipes.items()}
    assert found == {**expected, "unassigned": bits(rest), "mix": bits(PROGRAMS)}


def test_dropped_stems_are_not_in_the_mix(make_track, tmp_path, plain):
    import numpy as np

    tree = parse_hierarchy(
        "schema: 1\nname: t\nlevels: 1\nunassigned: drop\ntree:\n  keys: {match: {programs: [0-7]}}\n",
        "t.yaml",
    )
    root = make_track({0: np.full(9, 100, np.int16), 99: np.full(9, 7, np.int16)})
    write_submixes(scan(root, tree), tmp_path / "out", jobs=1)
    folder = tmp_path / "out" / "Track00001"
    assert {path.name for path in folder.glob("*.flac")} == {"mix.flac", "keys.flac"}
    assert plain.sound(folder / "mix.flac")[4] == 100
    assert list(plain.metadata(folder)["submix"]["left_out"]) == ["S01"]

"""What the strict reader refuses: where, and with which words."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from slakh_hier.errors import HierarchyError, InputError
from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy, shipped

HEAD = "schema: 1\nname: x\n"
GOOD = """\
schema: 1
name: good
levels: 2
categories:
  piano: {programs: [0-3], patches: [shared.nkm]}
  organ: {programs: [16-23], patches: [shared.nkm]}
tree:
  keys:
    pianos: [piano]
    organs: [organ]
  rest:
    guitars: {match: {programs: [24-31]}}
    winds: []
patch_overrides:
  flute.nkm: {node: winds, category: flutes}
"""


def problems(text: str) -> list[str]:
    """The problems of a text as ``line:column: message``."""
    with pytest.raises(HierarchyError) as caught:
        parse_hierarchy(text, "t.yaml")
    return [f"{p.line}:{p.column}: {p.message}" for p in caught.value.problems]


def changed(old: str, new: str) -> list[str]:
    assert GOOD.count(old) == 1
    return problems(GOOD.replace(old, new))


def test_the_good_file_is_good() -> None:
    tree = parse_hierarchy(GOOD, "t.yaml")
    assert (tree.name, tree.levels, tree.unassigned, tree.text) == ("good", 2, "keep", GOOD)


# A change to the good file, with an arrow at the place of the one problem that it makes.
SINGLE = {
    "duplicate key": ("  organ: {", "  →piano: {programs: [9]}\n  organ: {", "the key 'piano' appears twice (first in line 5)"),
    "unknown top key": ("levels: 2", "levels: 2\n→category: 1", "unknown key 'category': did you mean 'categories'?"),
    "unknown rule key": ("{programs: [24-31]}", "{→program: [24-31], drums: true}", "unknown key 'program': did you mean 'programs'?"),
    "unknown override key": ("{node: winds, ", "{node: winds, →catgory: a, ", "unknown key 'catgory': did you mean 'category'?"),
    "key beside match": ("{match: {programs: [24-31]}}", "{match: {programs: [24-31]}, →b: [c]}", "'b' beside match: a node holds either nodes or one rule"),
    "misspelt key is not missing, too": ("levels: 2", "→level: 2", "unknown key 'level': did you mean 'levels'?"),
    "newer version": ("schema: 1", "schema: →2", "this is a tree file of version 2, and this slakh-hier reads version 1: update slakh-hier"),
    "schema true": ("schema: 1", "schema: →yes", "the version of the format is a number: write schema: 1"),
    "schema in quotes": ("schema: 1", "schema: →'1'", "the version of the format is a number: write schema: 1"),
    "wrong levels": ("levels: 2", "levels: →3", "the tree is 2 levels deep, not 3: write levels: 2"),
    "no number of levels": ("levels: 2", "levels: →two", "levels must be a whole number, not 'two'"),
    "levels true": ("levels: 2", "levels: →yes", "levels must be a whole number, not yes, which YAML reads as true"),
    "too many levels": ("levels: 2", "levels: →99", "levels must be at most 24, not 99"),
    "unassigned": ("levels: 2", "levels: 2\nunassigned: →keeps", "unassigned must be 'keep', 'drop' or 'error', not 'keeps': did you mean keep?"),
    "unassigned no": ("levels: 2", "levels: 2\nunassigned: →no", "unassigned must be 'keep', 'drop' or 'error', not no, which YAML reads as false"),
    "unknown category": ("pianos: [piano]", "pianos: [→piamo]", "there is no category piamo: did you mean piano?"),
    "quite unknown category": ("pianos: [piano]", "pianos: [piano, →zzz]", "there is no category zzz"),
    "category used twice": ("organs: [organ]", "organs: [organ, →piano]", "the category piano is in the node pianos already (line 9)"),
    "category twice in a list": ("organs: [organ]", "organs: [organ, →organ]", "the category organ is in the node organs already (line 10)"),
    "category in no node": ("  organ: {", "  →flute: {programs: [73]}\n  organ: {", "the category flute is in no node: list it in a finest node, or remove it"),
    "node in a list": ("organs: [organ]", "organs: [organ, →guitars]", "guitars is a node: a finest node lists categories"),
    "drums of two": ("[24-31]", "[24-31, 128]}}\n    drums: {match: {drums: →true", "drums (program 128) cannot belong to drums: guitars claims it already (line 12)"),
    "program twice in a rule": ("[24-31]", "[24-31, →30]", "the program 30 appears twice in guitars"),
    "backwards": ("[24-31]", "[→31-24]", "the range 31-24 runs backwards: write 24-31"),
    "program too high": ("[24-31]", "[→129]", "the program 129 is out of range: they go from 0 to 127, and 128 stands for drums"),
    "program too low": ("[24-31]", "[→-1]", "the program -1 is out of range: they go from 0 to 127, and 128 stands for drums"),
    "range too high": ("[24-31]", "[→120-200]", "the program 120-200 is out of range: they go from 0 to 127, and 128 stands for drums"),
    "range with spaces": ("[24-31]", "[→24 - 31]", "a range is written with a hyphen, without spaces and leading zeros: 24-31"),
    "range with zeros": ("[24-31]", "[→024-031]", "a range is written with a hyphen, without spaces and leading zeros: 24-31"),
    "range with a dash": ("[24-31]", "[→24–31]", "a range is written with a hyphen, without spaces and leading zeros: 24-31"),
    "name of a program": ("[24-31]", "[→guitar]", "'guitar' is not a program (a number like 26, or a range like 24-31)"),
    "quoted program": ("[24-31]", "[→'24']", "'24' is not a program (a number like 26, or a range like 24-31): write 24"),
    "leading zero": ("[24-31]", "[→08]", "'08' is not a program (a number like 26, or a range like 24-31): write 8"),
    "broken program": ("[24-31]", "[→24.5]", "24.5 is not a program (a number like 26, or a range like 24-31)"),
    "no program": ("[24-31]", "[→~]", "an empty entry is not a program (a number like 26, or a range like 24-31)"),
    "true is no program": ("[24-31]", "[→yes]", "true is not a program (a number like 26, or a range like 24-31)"),
    "no list": ("[24-31]", "→24-31", "programs must be a list, not '24-31': write [24-31]"),
    "octal": ("[24-31]", "[→024]", "YAML reads 024 as the number 20: it is octal. Write 24, or put the text in quotes"),
    "sexagesimal": ("[24-31]", "[→12:30]", "YAML reads 12:30 as the number 750: write 12-30 for a range, or put the text in quotes"),
    "hexadecimal": ("[24-31]", "[→0x18]", "YAML reads 0x18 as the number 24: write 24, or put the text in quotes"),
    "empty list": ("[24-31]", "→[]", "programs is empty"),
    "empty rule": ("{programs: [24-31]}", "→{}", "the rule of guitars is empty: give programs or patches, or remove it"),
    "rule of nothing": ("{programs: [24-31]}", "→{drums: false}", "the rule of guitars is empty: give programs or patches, or remove it"),
    "empty match": ("{programs: [24-31]}", "→", "match must be keys with values, not empty"),
    "patch with folders": ("{programs: [24-31]}", "{patches: [→a/b.nkm]}", "a patch is a file name without folders or spaces around it: write b.nkm"),
    "no patch": ("{programs: [24-31]}", "{patches: [→None]}", "'None' stands for 'no patch' in Slakh's metadata: name a patch, or give programs"),
    "patch twice": ("{programs: [24-31]}", "{patches: [a.nkm, →A.nkm]}", "the patch A.nkm appears twice in guitars"),
    "shared patch, nobody decides": ("{programs: [24-31]}", "{patches: [→Shared.nkm]}", "the patch shared.nkm belongs to piano too (line 5), and the program cannot decide: guitars has no programs"),
    "class of two": ("{programs: [24-31]}", "{inst_class: [Guitar]}}\n    g: {match: {inst_class: [→guitar ]}", "the inst_class 'guitar' cannot belong to g: guitars claims it already (line 12)"),
    "class twice": ("{programs: [24-31]}", "{inst_class: [Guitar, →' guitar']}", "the inst_class ' guitar' appears twice in guitars"),
    "program name of two": ("{programs: [24-31]}", "{midi_program_name: [Banjo]}}\n    g: {match: {midi_program_name: [→banjo]}", "the midi_program_name 'banjo' cannot belong to g: guitars claims it already (line 12)"),
    "labels of two": ("{programs: [24-31]}", "{labels: [bass/lead bass]}}\n    g: {match: {labels: [→Bass/Lead_bass]}", "the labels 'Bass/Lead_bass' cannot belong to g: guitars claims it already (line 12)"),
    "labels twice": ("{programs: [24-31]}", "{labels: [bass, →Bass]}", "the labels 'Bass' appears twice in guitars"),
    "labels with a gap": ("{programs: [24-31]}", "{labels: [→bass//x]}", "'bass//x' is not a path of labels: write them from coarse to fine with / between them, as in bass/bass_guitar"),
    "uneven": ("levels: 2", "levels: 2\nuneven: →yes", "uneven must be 'refuse' or 'repeat', not yes, which YAML reads as true"),
    "companion": ("levels: 2", "levels: 2\nclips: {companion: →famly}", "companion must be 'family', 'any' or 'none', not 'famly': did you mean family?"),
    "unknown key of clips": ("levels: 2", "levels: 2\nclips: {→salience: -3, companion: any}", "unknown key 'salience': did you mean 'salience_db'?"),
    "loud salience": ("levels: 2", "levels: 2\nclips: {salience_db: →6}", "salience_db must be at most 0, not 6"),
    "salience no": ("levels: 2", "levels: 2\nclips: {salience_below_mix: →no}", "salience_below_mix must be a number, not no, which YAML reads as false"),
    "two saliences": ("levels: 2", "levels: 2\nclips: {salience_db: -3, →salience_below_mix: 3}", "salience_db and salience_below_mix exclude each other: a node sounds above a level, or above one relative to the mixture"),
    "clips without a value": ("levels: 2", "levels: 2\nclips: →true", "clips must be keys with values, not true"),
    "empty class": ("{programs: [24-31]}", "{inst_class: [→'']}", "the text is empty"),
    "class on": ("{programs: [24-31]}", "{inst_class: [→on]}", "an item of inst_class must be text, not on, which YAML reads as true: put text in quotes"),
    "drums 1": ("{programs: [24-31]}", "{drums: →1}", "drums must be true or false, not the number 1"),
    "empty node": ("    winds: []", "    winds: []\n    none: →[]", "the node none is empty: list its categories, or remove it"),
    "node without a value": ("    winds: []", "    winds: []\n    none:→", "a node holds nodes, a list of categories, or 'match:' with a rule, not empty"),
    "node with no nodes": ("    winds: []", "    winds: []\n    none: →{}", "none is empty"),
    "category without its list": ("    organs: [organ]", "    organs: →organ", "a node holds nodes, a list of categories, or 'match:' with a rule, not 'organ': write [organ]"),
    "node twice": ("    winds: []", "    winds: []\n    →organs: {match: {drums: true}}", "the node organs appears twice (also line 10)"),
    "node and category": ("    guitars:", "    →piano:", "piano is a node here and a category in line 5: give one of them another name"),
    "only case differs": ("    guitars:", "    →Pianos:", "Pianos and pianos (line 9) differ only in case: choose another name"),
    "reserved": ("    guitars:", "    →Mix:", "Mix is a reserved word (as are match, mix, unassigned): choose another name"),
    "bad name": ("    guitars:", "    →Clean guitars:", "'Clean guitars' is not a name (up to 64 letters a-z, digits, _ and -): write clean_guitars"),
    "name with an umlaut": ("name: good", "name: →Bläser", "'Bläser' is not a name (up to 64 letters a-z, digits, _ and -): write blaser"),
    "name that is a date": ("name: good", "name: →2001-01-01", "name must be text, not 2001-01-01, which YAML reads as a date: put text in quotes"),
    "key no": ("    guitars:", "    →no:", "a key must be text, not no, which YAML reads as false: put text in quotes"),
    "key that is a number": ("    guitars:", "    →5:", "a key must be text, not the number 5: put text in quotes"),
    "item no": ("organs: [organ]", "organs: [organ, →no]", "an item of organs must be text, not no, which YAML reads as false: put text in quotes"),
    "anchor": ("pianos: [piano]", "pianos: →&p [piano]", "the anchor &p is not allowed: write the value out where it is used"),
    "override to nowhere": ("node: winds, category: flutes}", "node: →wind, category: f}\n  a.nkm: {node: winds, category: flutes}", "there is no node wind: did you mean winds?"),
    "override to a coarse node": ("category: flutes}", "category: flutes}\n  a.nkm: {node: →keys, category: f}", "keys is not a finest node: the patch a.nkm needs one of pianos, organs"),
    "override to a category": ("category: flutes}", "category: flutes}\n  a.nkm: {node: →organ, category: f}", "organ is a category: name a finest node"),
    "override to an override's category": ("category: flutes}", "category: flutes}\n  a.nkm: {node: →flutes, category: f}", "flutes is a category: name a finest node"),
    "override without category": ("category: flutes}", "category: flutes}\n  a.nkm: →{node: organs}", "the key 'category' is missing: the node organs lists categories"),
    "override without node": ("category: flutes}", "category: flutes}\n  →a.nkm: {category: organ}", "the key 'node' is missing"),
    "override to another node's category": ("category: flutes}", "category: flutes}\n  a.nkm: {node: organs, category: →piano}", "the category piano is in the node pianos: the patch a.nkm needs another one to go to organs"),
    "override of a rule with a category": ("category: flutes}", "category: flutes}\n  a.nkm: {node: guitars, category: →f}", "the node guitars has its rule in match: and no categories: leave this out"),
    "override twice": ("category: flutes}", "category: flutes}\n  →Flute.nkm: {node: organs, category: organ}", "the patch Flute.nkm appears twice (also line 15)"),
    "override category in two nodes": ("category: flutes}", "category: flutes}\n  a.nkm: {node: →organs, category: flutes}", "the category flutes is in the node winds already, and cannot be in organs too"),
    "override category listed elsewhere": ("organs: [organ]", "organs: [organ, →flutes]", "patch_overrides puts the category flutes into winds, not organs"),
    "override of a path": ("  flute.nkm:", "  →a/flute.nkm: {node: organs, category: organ}\n  flute.nkm:", "a patch is a file name without folders or spaces around it: write flute.nkm"),
}  # fmt: skip


@pytest.mark.parametrize("case", SINGLE)
def test_one_mistake_makes_one_problem(case: str) -> None:
    old, new, message = SINGLE[case]
    assert GOOD.count(old) == 1
    before, after = GOOD.replace(old, new).split("→")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    assert problems(before + after) == [f"{line}:{column}: {message}"]


def test_one_mistake_with_its_problem_elsewhere() -> None:
    assert changed("levels: 2\n", "") == ["1:1: the key 'levels' is missing"]
    assert changed("category: flutes}", "category: flutes}\n  a.nkm: {node: organs, category: keys}") == [
        "8:3: keys is a node here and a category in line 16: give one of them another name"
    ]


def test_every_program_that_is_claimed_twice() -> None:
    assert changed("[24-31]", "[24-31, 16, 2-17]") == [
        "12:41: the program 16 cannot belong to guitars: organ claims it already (line 6)",
        "12:45: the program 16 appears twice in guitars",
        "12:45: the program 17 cannot belong to guitars: organ claims it already (line 6)",
        "12:45: the programs 2-3 cannot belong to guitars: piano claims it already (line 5)",
    ]


def test_shared_patch_of_categories_whose_programs_meet() -> None:
    found = changed("organ: {programs: [16-23], ", "organ: {programs: [2, 16-23], ")
    assert found == [
        "6:22: the program 2 cannot belong to organ: piano claims it already (line 5)",
        "6:43: the patch shared.nkm belongs to piano too (line 5), and the program cannot decide: "
        + "both claim the program 2",
    ]


def test_each_leaf_that_lies_elsewhere() -> None:
    text = HEAD + dedent(
        """\
        levels: 2
        tree:
          a: {match: {programs: [0]}}
          b:
            c: {match: {programs: [1]}}
            d:
              e: {match: {programs: [2]}}
        """
    )
    assert problems(text) == [
        "5:3: the node a lies 1 level deep, the others 2",
        "9:7: the node e lies 3 levels deep, the others 2",
    ]
    assert problems(text.replace("levels: 2", "levels: 3")) == [
        "5:3: the node a lies 1 level deep, the others 3",
        "7:5: the node c lies 2 levels deep, the others 3",
    ]


def test_every_problem_comes_in_one_report() -> None:
    """Mistakes of all stages together: YAML, traps, shapes, meaning."""
    text = dedent(
        """\
        schema: 1
        name: my tree
        levels: 3
        colour: red
        categories:
          piano: {programs: [0-7, 024]}
          piano: {programs: [8]}
          guitar: {programs: [7, 31-24]}
          bass: {programs: [32-39], patches: [a/b.nkm]}
        tree:
          keys: [piano, organ]
          Keys: *keys
          no: [guitar]
        patch_overrides:
          x.nkm: {node: basses}
        unassigned: kept
        """
    )
    assert problems(text) == [
        "2:7: 'my tree' is not a name (up to 64 letters a-z, digits, _ and -): write my_tree",
        "3:9: the tree is 1 level deep, not 3: write levels: 1",
        "4:1: unknown key 'colour': known here: schema, name, description, levels, uneven, "
        + "categories, tree, patch_overrides, unassigned, clips",
        "6:27: YAML reads 024 as the number 20: it is octal. Write 24, or put the text in quotes",
        "7:3: the key 'piano' appears twice (first in line 6)",
        "8:23: the program 7 cannot belong to guitar: piano claims it already (line 6)",
        "8:26: the range 31-24 runs backwards: write 24-31",
        "9:39: a patch is a file name without folders or spaces around it: write b.nkm",
        "11:17: there is no category organ",
        "12:3: Keys and keys (line 11) differ only in case: choose another name",
        "12:9: the alias *keys is not allowed: write the value out (put text that starts with * in quotes)",
        "13:3: a key must be text, not no, which YAML reads as false: put text in quotes",
        "15:17: there is no node basses",
        "16:13: unassigned must be 'keep', 'drop' or 'error', not 'kept': did you mean keep?",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a tree", "1:1: a tree file has keys (schema, name, levels, tree, ...), this one holds 'a tree'"),
        ("- a", "1:1: a tree file has keys (schema, name, levels, tree, ...), this one holds a list"),
        ("~", "1:1: a tree file has keys (schema, name, levels, tree, ...), this one holds ~, which YAML reads as empty"),
        ("", "1:1: the file holds nothing but comments or white space"),
        ("schema: [", "2:1: not YAML: did not find expected node content while parsing a flow node"),
        ("name: \ud800", "1:7: not UTF-8 text (byte 0xed): save the file as UTF-8"),
    ],
)  # fmt: skip
def test_files_that_are_no_trees(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_a_file_of_nothing_but_mistakes_is_read_quickly() -> None:
    text = HEAD + "levels: 1\ntree:\n  a: [" + ",".join(f"n{i}" for i in range(20_000)) + "]\n"
    assert len(problems(text)) == 20_000  # looking for the nearest name of each would take minutes


def test_loading_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shipped()[0] == "slakh34"
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD)
    assert load_hierarchy(file).name == load_hierarchy(str(file)).name == "good"
    assert load_hierarchy(file).file == str(file)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "band").write_text(GOOD)
    assert load_hierarchy("band").name == "band"
    assert load_hierarchy("./band").name == "good"


@pytest.mark.parametrize(
    ("name", "part"),
    [("slak34", "did you mean slakh34"), ("zzz.yaml", "there are slakh34, band"), (".", "cannot be read"), ("a\0b", "cannot be read")],
)  # fmt: skip
def test_what_cannot_be_loaded(name: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        load_hierarchy(name)


def test_problems_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"a: \xff")
    with pytest.raises(HierarchyError, match=f"^{file}:1:4: not UTF-8"):
        load_hierarchy(file)

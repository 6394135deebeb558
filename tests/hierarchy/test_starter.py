"""New tree files."""

from __future__ import annotations

from pathlib import Path

import pytest

from slakh_hier.errors import HierarchyError, InputError
from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy, shipped
from slakh_hier.hierarchy.compare import compare
from slakh_hier.hierarchy.starter import write_new

RECIPE = "Mixing key: program_num\nRecipes:\n  a: [1]\n"


def test_starter_is_valid_and_named_after_its_file(tmp_path: Path) -> None:
    file = tmp_path / "My Band (2).yaml"
    tree = write_new(file)
    assert tree.name == "my_band_2"
    assert load_hierarchy(file) == tree
    assert tree.level_nodes(0)
    assert tree.overrides
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("name", shipped())
def test_copy_differs_in_its_name_alone(name: str, tmp_path: Path) -> None:
    tree = write_new(tmp_path / "mine.yaml", name)
    original = load_hierarchy(name)
    assert tree.name == "mine"
    assert compare(original, tree) == []
    assert sum(a != b for a, b in zip(original.text.splitlines(), tree.text.splitlines(), strict=True)) == 1


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("precious")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "nowhere")
    for path in (file, tmp_path / "link.yaml", tmp_path):
        with pytest.raises(InputError, match="not overwritten"):
            write_new(path)
    assert file.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


def test_what_cannot_be_written_or_copied(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        write_new(tmp_path / "no" / "a.yaml")
    with pytest.raises(InputError, match="no such file"):
        write_new(tmp_path / "a.yaml", "no_such_tree")
    for name, text in (
        ("recipe.yaml", RECIPE),
        ("flow.yaml", "{schema: 1, name: a, levels: 1, tree: {b: {match: {drums: true}}}}"),
    ):
        parse_hierarchy(text, name)
        (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match="name is not on a line of its own"):
            write_new(tmp_path / "a.yaml", tmp_path / name)
    (tmp_path / "bad.yaml").write_text("schema: 1")
    with pytest.raises(HierarchyError):
        write_new(tmp_path / "a.yaml", tmp_path / "bad.yaml")
    assert not (tmp_path / "a.yaml").exists()

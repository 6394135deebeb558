"""Saved plans: loaded whole, refused when changed by hand, or with another data set."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from slakh_hier import Plan, load_hierarchy
from slakh_hier.errors import InputError, PlanError, SlakhHierError


@pytest.fixture
def saved(small_plan: Plan, tmp_path: Path) -> Path:
    small_plan.save(tmp_path / "plan")
    return tmp_path / "plan"


def test_a_saved_plan_loads_to_an_equal_one(small_plan: Plan, small_slakh: Path, saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == [
        "catalog.csv", "clips.csv", "hierarchy.yaml", "plan.yaml",
    ]  # fmt: skip
    plan = Plan.load(saved, small_slakh)
    assert plan.digest == small_plan.digest
    pd.testing.assert_frame_equal(plan.clips, small_plan.clips)
    pd.testing.assert_frame_equal(plan.catalog.frame, small_plan.catalog.frame)
    assert plan.parameters.as_dict() == small_plan.parameters.as_dict()
    assert plan.reports == small_plan.reports
    assert plan.hierarchy == small_plan.hierarchy
    again = saved.parent / "again"
    plan.save(again)
    for path in saved.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def edit_cell(name: str, value: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        table = pd.read_csv(folder / "clips.csv", dtype=str, keep_default_na=False)
        table.loc[2, name] = value
        table.to_csv(folder / "clips.csv", index=False)

    return edit


def drop_line(folder: Path) -> None:
    lines = (folder / "clips.csv").read_text().splitlines(keepends=True)
    (folder / "clips.csv").write_text("".join(lines[:-1]))


def drop_column(folder: Path) -> None:
    pd.read_csv(folder / "clips.csv", dtype=str).drop(columns="song").to_csv(
        folder / "clips.csv", index=False
    )


def empty_clips(folder: Path) -> None:
    (folder / "clips.csv").write_text("")


def other_salience(folder: Path) -> None:
    text = (folder / "plan.yaml").read_text()
    (folder / "plan.yaml").write_text(text.replace("salience_db: -30.0", "salience_db: -40.0"))


def other_tree(folder: Path) -> None:
    (folder / "hierarchy.yaml").write_text(load_hierarchy("band").text)


def other_status(folder: Path) -> None:
    text = (folder / "catalog.csv").read_text()
    (folder / "catalog.csv").write_text(text.replace(",audio,", ",excluded,", 1))


def unknown_parameter(folder: Path) -> None:
    document = yaml.safe_load((folder / "plan.yaml").read_text())
    document["parameters"]["volume"] = 11
    (folder / "plan.yaml").write_text(yaml.safe_dump(document))


def no_digest(folder: Path) -> None:
    document = yaml.safe_load((folder / "plan.yaml").read_text())
    del document["digest"]
    (folder / "plan.yaml").write_text(yaml.safe_dump(document))


def text_for_a_mapping(folder: Path) -> None:
    document = yaml.safe_load((folder / "plan.yaml").read_text())
    document["parameters"]["clips"] = "many"
    (folder / "plan.yaml").write_text(yaml.safe_dump(document))


def cut_yaml(folder: Path) -> None:
    text = (folder / "plan.yaml").read_text()
    (folder / "plan.yaml").write_text(text[: len(text) // 2] + ": [")


def newer_schema(folder: Path) -> None:
    text = (folder / "plan.yaml").read_text()
    (folder / "plan.yaml").write_text(text.replace("schema: 3", "schema: 4"))


def binary(folder: Path) -> None:
    (folder / "clips.csv").write_bytes(bytes(range(256)))


def missing(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    "change",
    [
        edit_cell("start", "1.0"),
        edit_cell("start", "soon"),
        edit_cell("target", "drums"),
        edit_cell("query_start", ""),
        edit_cell("draw", "first"),
        drop_line,
        drop_column,
        empty_clips,
        binary,
        other_salience,
        other_tree,
        other_status,
        unknown_parameter,
        text_for_a_mapping,
        no_digest,
        cut_yaml,
        newer_schema,
        *map(missing, ["plan.yaml", "clips.csv", "catalog.csv", "hierarchy.yaml"]),
    ],
)
def test_a_plan_that_was_changed_by_hand_is_refused(
    small_slakh: Path, saved: Path, change: Callable[[Path], None]
) -> None:
    change(saved)
    with pytest.raises(SlakhHierError) as caught:
        Plan.load(saved, small_slakh)
    assert str(saved) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["plan.yaml", "hierarchy.yaml", "clips.csv", "catalog.csv"])
def test_a_plan_is_not_read_through_links(name: str, small_slakh: Path, saved: Path, tmp_path: Path) -> None:
    (saved / name).rename(tmp_path / "elsewhere")
    (saved / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PlanError, match="is a symbolic link"):
        Plan.load(saved, small_slakh)


def test_a_plan_is_not_used_with_another_data_set(small_slakh: Path, saved: Path, tmp_path: Path) -> None:
    other = shutil.copytree(small_slakh, tmp_path / "other")
    stem = next(other.glob("train/Track00001/stems/S00.*"))
    stem.write_bytes(stem.read_bytes() + b"more")
    with pytest.raises(InputError, match=r"does not fit .*Track00001/stems/S00"):
        Plan.load(saved, other)

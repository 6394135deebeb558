"""Folders of commands: claimed, refused with the difference, started from scratch."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import FaultError, InputError, LockedError
from slakh_hier.locks import folder_lock
from slakh_hier.output.folder import OutputFolder, read_failures, refuse_other, write_failures


def items(folder: Path) -> Iterable[Path]:
    return sorted(folder.glob("item*"))


def folder(path: Path, settings: Any = None, **options: Any) -> OutputFolder:
    return OutputFolder(path, "make", settings or {"rate": 1, "tree": {"name": "a"}}, items, **options)


def claim(made: OutputFolder, **options: Any) -> None:
    with made.claimed(lambda: None, **options):
        (made.path / "item1").write_text("made")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    claim(folder(tmp_path / "out"))
    return tmp_path / "out"


def contents(path: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and file.name != ".lock"
    }


def test_the_settings_are_written_first(tmp_path: Path) -> None:
    with folder(tmp_path / "out", about={"songs": [1]}).claimed(lambda: None) as target:
        record = json.loads((tmp_path / "out" / "make.json").read_text())
        assert target.folder == str((tmp_path / "out").resolve())
        with pytest.raises(LockedError), folder_lock(tmp_path / "out"):
            pass
    assert record["settings"] == {"rate": 1, "tree": {"name": "a"}}
    assert (record["format"], record["songs"]) == ("slakh-hier make", [1])


def test_a_second_run_changes_nothing_and_removes_leftovers(out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.glob("make.json")}
    (out / ".tmp-abc").touch()
    (out / ".tmp-track" / "stems").mkdir(parents=True)
    with folder(out).claimed(lambda: None):
        assert not list(out.glob(".tmp-*"))
        (out / ".tmp-late").touch()
    assert not list(out.glob(".tmp-*"))
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_settings_are_refused_with_the_difference(out: Path) -> None:
    other = folder(out, {"plan": "1" * 64, "rate": 2, "tree": {"name": "x" * 100}, "more": [1]})
    before = contents(out)
    with pytest.raises(InputError) as refused:
        claim(other)
    assert str(refused.value).splitlines() == [
        f"{out}: made by make with other settings; nothing was changed. The difference:",
        "             in the folder  now",
        "  rate       1              2",
        f"  tree.name  a              {'x' * 29}...",
        "  more       nothing        [1]",
        "  plan       nothing        111111111111...",
        "Give the same input and settings to resume it, choose another folder, or start from scratch with --overwrite",
    ]
    assert contents(out) == before
    other.check(update=True)
    claim(other, update=True)
    folder(out, other.settings).check()


def test_what_is_equal_in_json_is_equal(tmp_path: Path) -> None:
    refuse_other(tmp_path, "make", {"a": [1, 2], "b": {"1": 2}}, {"a": (1, 2), "b": {1: 2}})


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    (tmp_path / ".DS_Store").touch()
    with pytest.raises(InputError, match=r"holds thesis.tex and no make.json: it was not made by make"):
        claim(folder(tmp_path), overwrite=overwrite)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".DS_Store", "thesis.tex"]
    claim(folder(tmp_path, beside=["thesis.tex"]))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


RECORD = '{"format": "slakh-hier make", "format_version": 1, "settings": %s}'


@pytest.mark.timeout(20)
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    "harm",
    [
        pipe,
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[]"),
        lambda path: path.write_text(RECORD % "[1]"),
        lambda path: path.write_text(RECORD % ('{"rate": ' + "[" * 900 + "]" * 900 + "}")),
        lambda path: path.write_text('{"format": "slakh-hier make", "format_version": 2, "settings": {}}'),
        lambda path: path.write_text('{"format": "slakh-hier other", "format_version": 1, "settings": {}}'),
    ],
    ids=["pipe", "deep", "list", "list of settings", "deep settings", "newer", "another's"],
)
def test_a_record_that_is_none_is_refused(out: Path, harm: Callable[[Path], None], overwrite: bool) -> None:
    harm(out / "make.json")
    with pytest.raises(InputError, match=r"make\.json(: written by another| cannot be read)"):
        claim(folder(out), overwrite=overwrite)
    assert (out / "item1").exists()


def test_overwrite_removes_what_the_command_made_alone(out: Path) -> None:
    for name in ("notes.txt", "tree.yaml", "failures.jsonl", "item2"):
        (out / name).touch()
    with folder(out, {"rate": 9}, beside=["tree.yaml"]).claimed(lambda: None, overwrite=True):
        assert sorted(path.name for path in out.iterdir()) == [".lock", "make.json", "notes.txt"]
    assert json.loads((out / "make.json").read_text())["settings"] == {"rate": 9}


def test_of_a_link_the_link_is_removed(out: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    (out / "item2").symlink_to(tmp_path / "mine")
    claim(folder(out), overwrite=True)
    assert not (out / "item2").exists()
    assert (tmp_path / "mine" / "precious").exists()


def test_what_cannot_be_removed_is_named(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    (out / "item2").mkdir()
    with pytest.raises(InputError, match=r"item2: cannot be removed to start from scratch: Operation not"):
        claim(folder(out), overwrite=True)
    assert (out / "make.json").exists()


@pytest.mark.parametrize("place", ["", "below"])
def test_what_is_read_is_only_read(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match="which is only read"):
        claim(folder(tmp_path / place, reads=[tmp_path]))
    assert not list(tmp_path.iterdir())


def test_no_free_space_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with (
        pytest.raises(FaultError, match=r"making needs .* but only .* are free"),
        folder(tmp_path / "out").claimed(lambda: (10**6, "making")),
    ):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_parts_stand_beside_each_other(out: Path) -> None:
    with folder(out).claimed(lambda: None, part=(1, 2)):
        (out / ".tmp-of-another").touch()
        with folder(out).claimed(lambda: None, part=(2, 2)):
            assert (out / ".tmp-of-another").exists()
        with pytest.raises(LockedError):
            claim(folder(out))
    for part, overwrite in (((3, 2), False), ((1, 2), True)):
        with pytest.raises(InputError, match="part"):
            claim(folder(out), part=part, overwrite=overwrite)


def test_failures_come_back(tmp_path: Path) -> None:
    assert read_failures(tmp_path) == []
    found = [{"track": "a", "reason": "é"}, {"track": "b", "reason": "x"}]
    write_failures(tmp_path, found)
    assert read_failures(tmp_path) == found
    strange = [{"track": "a\u2028b\x85", "start": 1.5, "reason": "x"}]
    write_failures(tmp_path, strange)
    assert read_failures(tmp_path) == strange
    write_failures(tmp_path, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", "is not a JSON object with a reason"),
        ('{"track": "a"}', "is not a JSON object with a reason"),
        ('{"reason": 1}', "is not a JSON object with a reason"),
        ('{"reason": "x", "track": []}', r"track is \[\]"),
        ('{"reason": "x", "start": "1"}', "start is 1"),
        ('{"reason": "x", "start": NaN}', "holds NaN"),
        ('{"reason": "x"', "is damaged"),
        ("[" * 100_000, "nested deeper than 64"),
        ('{"reason": ' * 100_000, "nested deeper than 64"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "failures.jsonl").write_text(json.dumps({"reason": "good"}) + "\n" + line + "\n")
    with pytest.raises(ValueError, match=rf"failures\.jsonl:2: .*{reason}"):
        read_failures(tmp_path)

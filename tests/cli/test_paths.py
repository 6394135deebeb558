"""Paths that are not UTF-8, and a cache that cannot be used: every command works, or names what is in the way."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from slakh_hier.caches import CACHE_VARIABLE, cache_folder
from slakh_hier.testing import make_slakh

Command = Callable[..., tuple[Any, str, str]]
PLAN = (
    "--any",
    "--no-queries",
    "--clip-seconds",
    "2",
    "--clips",
    "train=2",
    "--split-scheme",
    "folders",
    "-j",
    "1",
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(tmp_path_factory.mktemp("plain") / "slakh", tracks=4, seconds=6, stems=4)


@pytest.fixture
def odd(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Part of a name that is not UTF-8; a data set called by it lies in the working folder."""
    name = os.fsdecode(b"caf\xe9")
    monkeypatch.chdir(tmp_path)
    try:
        os.mkdir(f"{name}-probe")
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    shutil.copytree(plain, f"{name}-slakh", copy_function=os.link)
    return name


def test_paths_that_are_not_utf_8(command: Command, odd: str) -> None:
    data, plan, shards, catalog = (f"{odd}-{what}" for what in ("slakh", "plan", "shards", "catalog.csv"))
    folders = ("--split-scheme", "folders")
    for arguments in (
        ("scan", data, "-o", catalog, *folders),
        ("activity", data, "-o", f"{odd}.h5", *folders),
        ("plan", data, "-o", plan, "--catalog", catalog, *PLAN[:6]),
        ("render", data, "--plan", plan, "-o", shards, "-j", "1"),
        ("verify", shards, "--full"),
        ("inspect", shards),
        ("export", shards, "0", "--split", "train", "-o", f"{odd}-clip"),
        ("submix", data, "-o", f"{odd}-submix", "--level", "stems", "-j", "1", *folders),
        ("hierarchy", "new", f"{odd}.yaml"),
        ("hierarchy", "validate", f"{odd}.yaml"),
        ("import", f"{data}/train", "--new-map", f"{odd}-map.yaml"),
    ):
        code, out, err = command(*arguments)
        assert code == 0, (arguments, err)
        (out + err).encode()
    code, out, _ = command("scan", data, "--format", "json", *folders)
    assert json.loads(out)["root"] == os.path.abspath(data)
    assert json.loads(Path(f"{odd}-clip/clip.json").read_text())


def test_what_cannot_be_is_named_escaped(command: Command, odd: str) -> None:
    for arguments in (
        ("scan", f"{odd}-nothing"),
        ("verify", f"{odd}-probe"),
        ("synth", f"{odd}.mid", "-o", "out"),
    ):
        code, _, err = command(*arguments)
        assert code == 2
        assert r"caf\xe9" in err


def test_a_library_that_takes_utf_8_only(command: Command, odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import slakh_hier.slakh

    monkeypatch.setattr(slakh_hier.slakh, "scan", lambda *arguments, **more: odd.encode())
    code, _, err = command("scan", f"{odd}-slakh")
    assert (code, err) == (
        2,
        "error: caf\\xe9: is not UTF-8, and a library that is needed here takes nothing else; rename it\n",
    )


def test_names_that_are_too_long(command: Command, plain: Path, tmp_path: Path) -> None:
    for length in (250, 256):  # of which the first leaves no room for what is written beside it
        code, _, err = command("activity", plain, "-o", tmp_path / ("x" * length), "-j", "1")
        assert code in (2, 3)
        assert "choose a shorter path" in err
        assert "Traceback" not in err


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that nobody can make, not even root: a file is in its place."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    return tmp_path


def test_plans_and_shards_need_no_cache(command: Command, plain: Path, no_cache: Path) -> None:
    for arguments in (
        ("plan", plain, "-o", no_cache / "plan", *PLAN), ("render", plain, "-o", no_cache / "shards", *PLAN)
    ):  # fmt: skip
        code, _, err = command(*arguments)
        assert code == 0, err
        assert err.count("warning: the cache folder") == 1
        assert (
            "cannot be used (Not a directory): nothing is kept for the next time. Set SLAKH_HIER_CACHE to"
            in err
        )
    assert command("verify", no_cache / "shards", "--full")[0] == 0


def test_an_activity_that_would_be_kept_nowhere_is_refused(
    command: Command, plain: Path, no_cache: Path
) -> None:
    code, _, err = command("activity", plain)
    assert code == 2
    assert "the cache folder" in err
    assert "Set SLAKH_HIER_CACHE to a folder that you can write to" in err
    assert command("activity", plain, "-o", no_cache / "a.h5", "-j", "1")[0] == 0


@pytest.mark.parametrize("damage", ["cut", "attribute", "values"])
def test_a_damaged_activity_file_in_the_cache_is_measured_again(
    command: Command, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    assert command("plan", plain, "-o", tmp_path / "first", *PLAN)[0] == 0
    (file,) = (tmp_path / "cache" / "activity").glob("*.h5")
    data = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(data[:1000])
    elif damage == "attribute":
        with h5py.File(file, "r+") as opened:
            next(iter(opened.values())).attrs["of_a_later_version"] = 1
    else:
        with h5py.File(file) as opened:
            place = next(iter(opened.values()))["gram_mid"].id.get_chunk_info(0).byte_offset
        data[place + 10] ^= 1
        file.write_bytes(data)
    code, _, err = command("plan", plain, "-o", tmp_path / "second", *PLAN)
    assert code == 0
    assert "It lay in the cache; its tracks are measured again" in err
    assert (tmp_path / "first" / "clips.csv").read_bytes() == (tmp_path / "second" / "clips.csv").read_bytes()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CACHE_VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_folder() == Path("/.cache/slakh-hier")

"""Items that are kept, or made again for a reason that is reported; notes may be untrusted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import AudioError, FaultError, LockedError
from slakh_hier.files import publish, sha256
from slakh_hier.locks import folder_lock
from slakh_hier.output.folder import Target
from slakh_hier.output.items import (
    Made,
    digest_of,
    finished_tracks,
    make_all,
    make_file,
    make_track,
    noted_digest,
)

METADATA = "UUID: a\nstems: {S00: {program_num: 0}}\n"


@dataclass(frozen=True)
class Record:
    seconds: float
    names: tuple[str, ...] = ()
    peak: float | None = None


def fill(folder: Path) -> Record:
    (folder / "stems").mkdir()
    (folder / "stems" / "S00.flac").write_bytes(b"sound")
    (folder / "metadata.yaml").write_text(METADATA)
    return Record(1.5, ("a", "b"))


def track(target: Target, digest: str = "d", place: str = "train/T1", **options: Any) -> Made[Record]:
    return make_track(target, place, digest, Record, fill, **options)


@pytest.fixture
def target(tmp_path: Path) -> Any:
    (tmp_path / "out").mkdir()
    with folder_lock(tmp_path / "out") as owner:
        yield Target(str(tmp_path / "out"), owner)


@pytest.fixture
def made(target: Target) -> Path:
    assert track(target) == Made(Record(1.5, ("a", "b")))
    return Path(target.folder) / "train" / "T1"


def test_a_finished_track_is_kept(target: Target, made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert track(target) == Made(Record(1.5, ("a", "b")), kept=True)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert list(finished_tracks(Path(target.folder))) == [made]
    assert noted_digest(made) == "d"


def test_another_track_replaces_it(target: Target, made: Path) -> None:
    (made / "old").touch()
    assert track(target, "e") == Made(Record(1.5, ("a", "b")))
    assert not (made / "old").exists()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("name", "harm", "reported"),
    [
        ("stems/S00.flac", Path.unlink, "is gone"),
        ("stems/S00.flac", lambda path: path.write_bytes(b"soun"), "has 4 bytes, not 5"),
        ("stems/S00.flac", lambda path: path.write_bytes(b"sOund"), "has changed"),
        ("stems/S00.flac", pipe, "is not a regular file"),
        ("stems/S00.flac", link, "is a symbolic link, which is not followed here"),
        ("metadata.yaml", Path.unlink, "is gone"),
        ("metadata.yaml", lambda path: path.write_text("UUID: a\n"), "is cut short"),
        ("metadata.yaml", lambda path: path.write_text("[" * 100_000), "is damaged"),
        ("metadata.yaml", lambda path: path.write_text("7"), "is damaged"),
        ("metadata.yaml", pipe, "is not a regular file"),
    ],
)
def test_a_damaged_track_is_made_again(
    target: Target, made: Path, name: str, harm: Callable[[Path], None], reported: str
) -> None:
    harm(made / name)
    assert track(target).repaired == f"{name} {reported}"
    assert track(target).kept


def test_metadata_may_be_edited(target: Target, made: Path) -> None:
    (made / "metadata.yaml").write_text(METADATA + "more: 1\n# by hand\n")
    assert track(target).kept


def test_links_are_noted_by_size(target: Target) -> None:
    track(target, hashed=False)
    (Path(target.folder) / "train" / "T1" / "stems" / "S00.flac").write_bytes(b"sOund")
    assert track(target, hashed=False).kept


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        note = json.loads(path.read_text())
        change(note)
        path.write_text(json.dumps(note))

    return harm


FACTS = {"bytes": 5, "sha256": None}


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "harm",
    [
        Path.unlink,
        pipe,
        link,
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text('{"a": ' * 100_000),
        lambda path: path.write_text("7" * 10_000),
        lambda path: path.write_text("null"),
        lambda path: path.write_text("[[1, 2]]"),
        edit(lambda note: note.pop("record")),
        edit(lambda note: note["record"].update(other=1)),
        edit(lambda note: note["record"].update(seconds="1")),
        edit(lambda note: note["record"].update(names=7)),
        edit(lambda note: note.update(files=7)),
        *(
            edit(lambda note, name=name: note["files"].update({name: FACTS}))  # type: ignore[misc]
            for name in ("../../outside", "/etc/passwd", "a\0b", "\ud800", "", "stems", "x" * 5000, "\x1b[2J")
        ),
        edit(lambda note: note["files"].update({"stems/S00.flac": [4]})),
        edit(lambda note: note["files"].update({"stems/S00.flac": None})),
        edit(lambda note: note["files"].update({"metadata.yaml": {"keys": 7}})),
    ],
)
def test_any_note_is_a_reason_to_make_the_track_again(
    target: Target, made: Path, harm: Callable[[Path], None]
) -> None:
    (Path(target.folder) / "outside").write_bytes(b"outsi")
    harm(made / ".made.json")
    reported = track(target).repaired
    assert reported is not None
    assert reported.isprintable()
    assert len(reported) < 200
    assert track(target).kept


def test_nothing_is_published_for_a_run_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with folder_lock(tmp_path / "out") as owner:
        target = Target(str(tmp_path / "out"), owner)
    with folder_lock(tmp_path / "out"), pytest.raises(FaultError):
        track(target)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != ".lock"] in ([], ["train"])


def test_what_is_refused_is_named_and_leaves_nothing(target: Target) -> None:
    def full(folder: Path) -> Record:
        raise OSError(28, "No space left on device")

    with pytest.raises(FaultError, match=r"cannot write .*train/T1 \([\d.]+ MB free\): No space left"):
        make_track(target, "train/T1", "d", Record, full)
    assert [path.name for path in Path(target.folder).iterdir()] == [".lock"]


def test_files_are_kept_by_their_notes(target: Target) -> None:
    out, calls = Path(target.folder), []

    def make() -> Record:
        calls.append(1)
        publish(out / "x.h5", b"data")
        return Record(2.0)

    def one(keep: bool = True) -> Made[Record]:
        return make_file(
            target,
            "x.h5",
            "d",
            Record,
            make,
            sha256_of=lambda record: sha256(b"data"),
            keep=lambda record: keep,
        )

    assert one() == Made(Record(2.0))
    assert one() == Made(Record(2.0), kept=True)
    assert not one(keep=False).kept
    (out / "x.h5").write_bytes(b"dAta")
    assert one() == Made(Record(2.0), repaired="x.h5 has changed")
    assert len(calls) == 3


def item(name: str) -> Made[Record]:
    if name == "broken":
        raise AudioError("t", "S00", "breaks")
    if name == "locked":
        raise LockedError("locked")
    return Made(Record(1.0), kept=name == "kept", repaired="why" if name == "again" else None)


def test_errors_of_items_cost_them_or_stop_the_run(target: Target) -> None:
    tasks = {name: (name,) for name in ("new", "kept", "broken", "again")}
    done = make_all(item, tasks, target, reads=[], stage=("making", "items"), left_out=(AudioError,), jobs=1)
    assert list(done.made) == ["new", "kept", "again"]
    assert (done.kept, done.repaired) == (1, {"again": "why"})
    assert [str(error) for error in done.failures.values()] == ["t/S00: breaks"]
    with pytest.raises(LockedError):
        make_all(
            item,
            {**tasks, "locked": ("locked",)},
            target,
            reads=[],
            stage=("", ""),
            left_out=(AudioError,),
            jobs=1,
        )


def test_equal_settings_have_equal_digests() -> None:
    assert digest_of({"seconds": 20, "shares": (75, 15.0)}) == digest_of(
        {"shares": [75.0, 15], "seconds": 20.0}
    )
    assert digest_of(20) != digest_of(20.5)
    assert digest_of(True) == digest_of(True) != digest_of(False)

from __future__ import annotations

import os
import sys
import time

import pytest

from slakh_hier.errors import SlakhHierWarning
from slakh_hier.slakh import scan
from slakh_hier.slakh.cache import load_facts, scan_cache
from slakh_hier.testing import make_slakh

PATHS = [b"train/Track00001", b"validation/Track00002", b"test/Track00003"]
SMALL = {"tracks": 3, "stems": 3, "every_category": False, "seconds": 2, "sample_rate": 8000}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    return make_slakh(tmp_path / "set", **SMALL)


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that are read, by what reads them."""
    seen: list[str] = []
    tracks = sys.modules["slakh_hier.slakh.tracks"]
    for name in ("read_metadata", "read_header", "check_audio"):
        original = getattr(tracks, name)

        def watched(*arguments, name=name, original=original):
            seen.append(name)
            return original(*arguments)

        monkeypatch.setattr(tracks, name, watched)
    return seen


def test_a_second_scan_reads_nothing(root, tree, reads):
    first = scan(root, tree)
    assert reads.count("read_metadata") == 3
    assert reads.count("read_header") == 9
    reads.clear()
    assert scan(root, tree).frame.equals(first.frame)
    assert reads == []


def test_no_cache(root, tree, reads):
    scan(root, tree, cache=False)
    assert not scan_cache(root.resolve()).exists()
    scan(root, tree)
    reads.clear()
    scan(root, tree, cache=False)
    assert len(reads) == 12


def test_only_what_has_changed_is_read_again(root, tree, reads):
    scan(root, tree)
    reads.clear()
    stem = root / "train" / "Track00001" / "stems" / "S01.flac"
    metadata = root / "test" / "Track00003" / "metadata.yaml"
    for path in (stem, metadata):
        info = path.stat()
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    scan(root, tree)
    assert sorted(reads) == ["read_header", "read_metadata"]


def test_what_was_edited_and_given_its_old_time_is_read_again(root, tree, reads):
    scan(root, tree)
    reads.clear()
    metadata = root / "train" / "Track00001" / "metadata.yaml"
    info, text = metadata.stat(), metadata.read_text()
    edited = text.replace("program_num: 33", "program_num: 41", 1)
    assert edited != text
    metadata.write_text(edited)
    os.utime(metadata, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert (metadata.stat().st_size, metadata.stat().st_mtime_ns) == (info.st_size, info.st_mtime_ns)
    assert 41 in scan(root, tree).frame["program"].tolist()
    assert reads == ["read_metadata"]
    # Another file in its place, with the times of the first.
    reads.clear()
    copy = metadata.with_name("copy")
    copy.write_text(text)
    os.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
    copy.replace(metadata)
    assert 41 not in scan(root, tree).frame["program"].tolist()
    assert reads == ["read_metadata"]


def test_new_and_removed_tracks_and_stems(root, tree, tmp_path, reads):
    scan(root, tree)
    reads.clear()
    (root / "train" / "Track00001" / "stems" / "S02.flac").unlink()
    (root / "test" / "Track00003").rename(tmp_path / "kept")
    (root / "validation" / "Track00002").rename(root / "validation" / "Track00044")
    catalog = scan(root, tree)
    assert list(catalog.frame["track"]) == ["Track00001"] * 3 + ["Track00044"] * 3
    assert catalog.frame["status"][2] == "missing"
    assert reads.count("read_metadata") == 1
    assert set(load_facts(root.resolve())) == {"train/Track00001", "validation/Track00044"}


def test_a_deep_check_is_made_once_and_remembered(root, tree, reads):
    stem = root / "train" / "Track00001" / "stems" / "S01.flac"
    data = bytearray(stem.read_bytes())
    data[len(data) // 2] ^= 8
    stem.write_bytes(data)
    assert scan(root, tree).frame["status"][1] == "audio"
    assert scan(root, tree, deep=True).frame["status"][1] == "broken"
    assert reads.count("check_audio") == 9
    reads.clear()
    scan(root, tree, deep=True)
    # what was found is not forgotten by a quick scan
    assert scan(root, tree).frame["status"][1] == "broken"
    assert reads == []


@pytest.mark.parametrize("damage", ["empty", "cut", "digit", "other format", "other folder", "text", "shape"])
def test_a_damaged_cache_is_not_used(root, tree, damage, reads):
    from hashlib import sha256

    first = scan(root, tree)
    path = scan_cache(root.resolve())
    data = path.read_bytes()
    body = data.partition(b"\n")[2]
    changed = {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "digit": data.replace(b"8000", b"8001", 1),
        "text": b"hello",
    }
    inside = {
        "other format": body.replace(b'"format": 6', b'"format": 5'),
        "other folder": body.replace(str(root).encode(), b"/elsewhere"),
        "shape": body.splitlines(keepends=True)[0] + b"".join(b'"%s"\t[1]\n' % path for path in PATHS),
    }
    if damage in inside:
        assert inside[damage] != body
        path.write_bytes(sha256(inside[damage]).hexdigest().encode() + b"\n" + inside[damage])
    else:
        path.write_bytes(changed[damage])
    reads.clear()
    assert scan(root, tree).frame.equals(first.frame)
    assert len(reads) == 12
    assert len(load_facts(root.resolve())) == 3


def test_where_the_cache_cannot_be_written_the_scan_continues(root, tree, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(SlakhHierWarning, match="Set SLAKH_HIER_CACHE to a folder"):
        assert len(scan(root, tree).frame) == 9


def test_a_stopped_check_resumes_where_it_was(root, tree, reads, monkeypatch):
    tracks = sys.modules["slakh_hier.slakh.tracks"]
    watched = tracks.check_audio

    def stop(path):
        if "Track00003" in str(path):
            raise KeyboardInterrupt
        return watched(path)

    monkeypatch.setattr(tracks, "check_audio", stop)
    with pytest.raises(KeyboardInterrupt):
        scan(root, tree, deep=True, jobs=1)
    monkeypatch.setattr(tracks, "check_audio", watched)
    reads.clear()
    scan(root, tree, deep=True, jobs=1)
    assert reads.count("check_audio") == 3


def test_faults_of_the_moment_are_not_kept(root, tree, monkeypatch):
    tracks = sys.modules["slakh_hier.slakh.tracks"]
    original = tracks.read_header

    def fails(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(tracks, "read_header", fails)
    catalog = scan(root, tree)
    assert set(catalog.frame["why"]) == {"cannot be read: Input/output error"}
    assert set(catalog.frame["status"]) == {"broken"}
    monkeypatch.setattr(tracks, "read_header", original)
    assert set(scan(root, tree).frame["status"]) == {"audio"}


def test_what_a_kill_left_in_the_cache_a_day_ago_is_removed(root, tree):
    folder = scan_cache(root).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name, hours in ((".tmp-killed", 25), (".tmp-at-work", 1)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - 3600 * hours,) * 2)
    scan(root, tree)
    assert [path.name for path in folder.glob(".tmp-*")] == [".tmp-at-work"]

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import StemLabel, load_hierarchy
from slakh_hier.testing import NOTE_SECONDS, formula_stem, make_slakh, plan_tracks
from slakh_hier.testing.instruments import GUITARS, INSTRUMENTS, PAIRS


@pytest.mark.parametrize(
    ("audio_format", "splits", "channels"), [("flac", True, 1), ("wav", False, 1), ("flac", True, 2)]
)
def test_files_hold_the_formula_and_the_mix_its_sum(tmp_path, audio_format, splits, channels):
    kind = {
        "tracks": 3,
        "stems": 4,
        "every_category": False,
        "seed": 7,
        "sample_rate": 8000,
        "channels": channels,
        "splits": splits,
    }
    root = make_slakh(tmp_path / "set", seconds=3.0, audio_format=audio_format, **kind)
    for spec in plan_tracks(**kind):
        folder = root / spec.split / spec.track
        total = np.zeros((24000, channels), int)
        for stem in spec.stems:
            path = folder / "stems" / f"{stem.stem}.{audio_format}"
            got, rate = soundfile.read(path, dtype="int16", always_2d=True)
            assert rate == 8000
            assert got.shape[1] == (1 if stem.stem == "S02" else channels)
            np.testing.assert_array_equal(got, stem.samples(0, 24000))
            total += got
        mix, _ = soundfile.read(folder / f"mix.{audio_format}", dtype="int16", always_2d=True)
        np.testing.assert_array_equal(mix, total)
        said = yaml.safe_load((folder / "metadata.yaml").read_text())
        assert said["UUID"] == spec.song == hashlib.md5((folder / "all_src.mid").read_bytes()).hexdigest()
        assert [s["program_num"] for s in said["stems"].values()] == [
            s.instrument.program for s in spec.stems
        ]
        assert all((folder / "MIDI" / f"{name}.mid").is_file() for name in said["stems"])


@settings(max_examples=40, deadline=None)
@given(
    start=st.integers(0, 200_000),
    count=st.integers(0, 30_000),
    program=st.integers(0, 128),
    stem=st.sampled_from(["S00", "S03", "S11"]),
    rate=st.sampled_from([8000, 11025, 44100]),
)
def test_any_excerpt_of_the_formula_is_a_piece_of_the_whole(start, count, program, stem, rate):
    whole = formula_stem("Track00001", stem, program, 0, start + count, sample_rate=rate)
    part = formula_stem("Track00001", stem, program, start, count, sample_rate=rate)
    np.testing.assert_array_equal(part, whole[start : start + count])


def test_formula_against_its_words():
    """Notes of half a second from phase 0: each is the first note of its pitch, or silence."""
    rate, note = 8000, int(8000 * NOTE_SECONDS)
    samples = formula_stem("Track00002", "S01", 40, 0, 48 * note, sample_rate=rate).reshape(48, note)
    kinds = {row.tobytes() for row in samples}
    assert np.zeros(note, np.int16).tobytes() in kinds
    assert 3 <= len(kinds) <= 6  # five pitches and the rest
    scale = 65.4 * 2 * np.array([24, 27, 30, 36, 40]) / 24  # program 40 lies an octave above program 0
    for row in samples[samples.any(axis=1)]:
        strongest = np.abs(np.fft.rfft(row)).argmax() / NOTE_SECONDS
        assert np.abs(strongest - scale).min() <= 1.0  # Hz: half a bin


def test_stems_are_loud_enough_and_long_rests_exist():
    for stem in plan_tracks(tracks=1, stems=8)[0].stems:
        x = stem.samples(0, 20 * 44100)[:, 0] / 32768
        notes = np.sqrt((x.reshape(40, -1) ** 2).mean(axis=1))
        long_rests = int(stem.stem[1:]) % 4 == 3
        assert (notes == 0).sum() == 26 if long_rests else (notes == 0).sum() in range(4, 7)
        assert 20 * np.log10(notes[:14].mean()) > -27


@pytest.mark.parametrize(("tracks", "stems"), [(6, 8), (20, 8), (2, 3), (12, 12)])
def test_every_category_occurs_and_is_what_the_tree_takes_it_for(tracks, stems):
    tree = load_hierarchy("slakh34")
    found = Counter()
    for spec in plan_tracks(tracks=tracks, stems=stems):
        assert len(spec.stems) >= stems
        for stem in spec.stems:
            label = StemLabel(
                stem.instrument.patch,
                stem.instrument.program,
                stem.instrument.is_drum,
                stem.instrument.midi_program_name,
                stem.instrument.inst_class,
            )
            match = tree.match(label)
            assert match is not None
            assert match.category == stem.instrument.category
            found[match.category] += 1
    assert set(found) == set(tree.categories)


def test_two_tracks_of_a_split_share_finest_nodes_and_each_has_a_clean_guitar_with_company():
    tree = load_hierarchy("slakh34")
    splits: dict[str, list[set[str]]] = {}
    for spec in plan_tracks():
        nodes = [tree.categories[stem.instrument.category].node for stem in spec.stems]
        assert nodes[0] == "clean_guitars"
        assert any(
            tree.top(node) == tree.top("clean_guitars") for node in nodes[1:] if node != "clean_guitars"
        )
        splits.setdefault(spec.split, []).append(set(nodes))
    assert {split: len(tracks) for split, tracks in splits.items()} == {
        "train": 2,
        "validation": 2,
        "test": 2,
    }
    for first, second in splits.values():
        assert len(first & second) >= 6
    for one, other in (*PAIRS, GUITARS):
        assert tree.categories[one].node == tree.categories[other].node


@pytest.mark.parametrize(
    ("tracks", "counts"),
    [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (5, (3, 1, 1)), (6, (2, 2, 2)), (20, (10, 5, 5))],
)
def test_split_sizes(tracks, counts):
    split_of = Counter(spec.split for spec in plan_tracks(tracks=tracks))
    assert tuple(split_of[split] for split in ("train", "validation", "test")) == counts


def test_songs_differ_between_tracks_and_seeds():
    songs = [spec.song for seed in (0, 1) for spec in plan_tracks(tracks=20, seed=seed)]
    assert len(set(songs)) == 40


def test_same_arguments_same_bytes(tmp_path):
    def digest(root: Path) -> str:
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return hashlib.sha256(
            b"".join(str(f.relative_to(root)).encode() + f.read_bytes() for f in files)
        ).hexdigest()

    kind = {"tracks": 2, "stems": 3, "seconds": 1.0, "sample_rate": 8000, "every_category": False}
    first, second = (make_slakh(tmp_path / name, **kind) for name in "ab")
    assert digest(first) == digest(second) != digest(make_slakh(tmp_path / "c", seed=1, **kind))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tracks": 0}, "tracks must be between"),
        ({"stems": 0}, "stems must be between"),
        ({"seconds": 0}, "seconds must be above 0"),
        ({"audio_format": "mp3"}, "must be flac or wav"),
        ({"defects": ["truncated"]}, "did you mean truncated_flac"),
        ({"defects": "nan"}, "write \\['nan'\\]"),
        ({"defects": ["unreadable_metadata"], "tracks": 3}, "needs 4 tracks"),
        ({"defects": ["bit_flip"], "stems": 3}, "needs 5 stems"),
        ({"defects": ["bit_flip"], "audio_format": "wav"}, "needs audio_format='flac'"),
    ],
)
def test_refusals_leave_nothing(tmp_path, arguments, words):
    with pytest.raises(InputError, match=words):
        make_slakh(tmp_path / "set", **arguments)
    assert not any(tmp_path.iterdir())


def test_a_folder_with_files_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        make_slakh(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_instruments_are_the_36_categories():
    assert len(INSTRUMENTS) == 36
    assert {name for pair in PAIRS for name in pair} | set(GUITARS) == set(INSTRUMENTS)


KILLED = """
import os, signal, sys
from slakh_hier.testing import dataset, make_slakh
dataset.write_track = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
make_slakh(sys.argv[1], tracks=4, seconds=1, sample_rate=8000)
"""


def test_what_a_kill_left_is_removed_by_the_next_run_and_nobody_elses(tmp_path):
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "slakh"], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".tmp-slakh-*"))) == 1
    others = [tmp_path / name for name in (".tmp-slakh-at-work", ".tmp-other-1", ".mine")]
    for other in others:
        other.mkdir()
    handle = os.open(others[0], os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        make_slakh(tmp_path / "slakh", tracks=1, stems=1, every_category=False, seconds=1, sample_rate=8000)
    finally:
        os.close(handle)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["slakh", *(path.name for path in others)]
    )

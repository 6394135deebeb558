from __future__ import annotations

import csv
import hashlib
from contextlib import nullcontext
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.hierarchy import parse_hierarchy
from slakh_hier.slakh import scan
from slakh_hier.testing import make_slakh, plan_tracks

REAL = Path(__file__).parents[1] / "data" / "metadata"
SONG_1 = "1a81ae092884234f3264e2f45927f00a"
UNKNOWN = "0" * 31 + "1"
PIANO = {"plugin_name": "concert_grand.nkm", "program_num": 0, "is_drum": False}
SMALL = {"tracks": 3, "stems": 3, "every_category": False, "seconds": 0.5, "sample_rate": 8000}


def song_of(track: str) -> str:
    text = resources.files("slakh_hier.slakh").joinpath("splits.csv").read_text(encoding="utf-8")
    return next(row["midi_md5"] for row in csv.DictReader(text.splitlines()) if row["track"] == track)


def rows(catalog, *columns):
    return [tuple(row) for row in catalog.frame[list(columns)].to_numpy()]


@pytest.mark.parametrize(
    ("release", "folder", "suffix", "rate"),
    [
        ("slakh2100_flac_redux__train__Track00001__metadata.yaml", "train/Track00001", "flac", 44100),
        ("babyslakh_16k__Track00001__metadata.yaml", "Track00001", "wav", 16000),
    ],
)
def test_the_true_metadata_in_their_layouts(write_track, tree, release, folder, suffix, rate):
    there = [f"S{i:02d}.{suffix}" for i in (0, 1, 2, 3, 4, 5, 7, 8, 9, 10)]
    root = write_track(folder, text=(REAL / release).read_text(), files=tuple(there), rate=rate, frames=rate)
    catalog = scan(root, tree)
    assert catalog.scheme == "split2"
    assert (catalog.problems, catalog.notes) == ([], [])
    # the nodes, from the paper's hierarchy by hand
    assert rows(catalog, "stem", "status", "program", "level_1", "level_3") == [
        ("S00", "audio", 30, "effected_guitars", "midrange_strings_keys"),
        ("S01", "audio", 128, "drums", "percussion"),
        ("S02", "audio", 1, "acoustic_pianos", "midrange_strings_keys"),
        ("S03", "audio", 33, "electric_basses", "bass"),
        ("S04", "audio", 52, "choir", "winds_voices"),
        ("S05", "audio", 17, "organs", "midrange_strings_keys"),
        ("S06", "no_audio", 103, None, None),
        ("S07", "audio", 26, "clean_guitars", "midrange_strings_keys"),
        ("S08", "audio", 30, "effected_guitars", "midrange_strings_keys"),
        ("S09", "audio", 22, "organs", "midrange_strings_keys"),
        ("S10", "audio", 22, "organs", "midrange_strings_keys"),
    ]
    frame = catalog.frame
    assert set(frame["song"]) == {SONG_1}
    assert set(frame["split"]) == {"train"}
    assert set(frame[frame["status"] == "audio"]["sample_rate"]) == {rate}
    assert frame["path"][0] == f"{folder}/stems/S00.{suffix}"
    assert frame["why"][6] == "no file"


def test_columns_and_order(tmp_path, tree):
    catalog = scan(make_slakh(tmp_path / "set", **SMALL), tree)
    assert list(catalog.frame.columns) == [
        "track",
        "song",
        "artist",
        "split",
        "stem",
        "path",
        "frames",
        "sample_rate",
        "channels",
        "size",
        "mtime_ns",
        "content",
        "patch",
        "program",
        "is_drum",
        "midi_program_name",
        "inst_class",
        "labels",
        "bleed",
        "category",
        "level_1",
        "level_2",
        "level_3",
        "status",
        "why",
    ]
    assert isinstance(catalog.frame.index, pd.RangeIndex)
    keys = rows(catalog, "track", "stem")
    assert keys == sorted(keys)
    for row in catalog.frame.itertuples():
        path = catalog.root / row.path
        info = soundfile.info(str(path))
        assert (info.frames, info.samplerate, info.channels) == (row.frames, row.sample_rate, row.channels)
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (row.size, row.mtime_ns)


@pytest.mark.parametrize(
    "layout",
    [{"splits": True, "audio_format": "flac"}, {"splits": True, "audio_format": "wav"}, {"splits": False}],
)
def test_every_generated_stem_is_found_with_its_category(tmp_path, tree, layout):
    kind = {"tracks": 4, "stems": 4, "sample_rate": 8000}
    root = make_slakh(tmp_path / "set", seconds=0.2, **layout, **kind)
    specs = plan_tracks(splits=layout["splits"], **kind)
    assert rows(scan(root, tree), "track", "song", "split", "stem", "category", "status") == [
        (spec.track, spec.song, spec.split or "none", stem.stem, stem.instrument.category, "audio")
        for spec in specs
        for stem in spec.stems
    ]


def test_a_val_folder_and_omitted(tmp_path, tree):
    root = make_slakh(tmp_path / "set", **SMALL)
    (root / "validation").rename(root / "val")
    (root / "test").rename(root / "omitted")
    catalog = scan(root, tree)
    assert dict(rows(catalog, "track", "split")) == {
        "Track00001": "train",
        "Track00002": "validation",
        "Track00003": "omitted",
    }


def test_a_linked_root_and_a_link_inside(tmp_path, tree):
    root = make_slakh(tmp_path / "disk", **SMALL)
    (tmp_path / "slakh").symlink_to(root)
    stem = root / "train" / "Track00001" / "stems" / "S01.flac"
    stem.rename(root / "kept.flac")
    stem.symlink_to(root / "kept.flac")
    catalog = scan(tmp_path / "slakh", tree)
    assert catalog.root == root.resolve()
    assert set(catalog.frame["status"]) == {"audio"}
    assert catalog.digest == scan(root, tree).digest


@pytest.mark.parametrize("what", ["stems", "metadata.yaml", "all_src.mid"])
def test_links_out_of_the_data_set_are_not_followed(tmp_path, tree, what):
    root = make_slakh(tmp_path / "set", **SMALL)
    track = root / "train" / "Track00001"
    (track / what).rename(tmp_path / what)
    (track / what).symlink_to(tmp_path / what)
    catalog = scan(root, tree)
    if what == "all_src.mid":
        assert catalog.skipped == []  # the song is in the metadata
        return
    assert len(catalog.skipped) == 1
    assert catalog.skipped[0].startswith(f"train/Track00001/{what}: a link that points outside the data set")
    assert set(catalog.frame["track"]) == {"Track00002", "Track00003"}


def test_gaps_strays_and_two_files_of_a_stem(write_track, tree):
    stems = {"S02": PIANO, "S07": PIANO, "S11": PIANO, "S100": PIANO}
    files = ("S02.wav", "S02.flac", "S07.WAV", "S99.flac", "bass.wav", "S11.ogg", "S100.flac")
    root = write_track("train/Track00001", stems=stems, files=tuple(f for f in files if f != "S11.ogg"))
    folder = root / "train" / "Track00001" / "stems"
    (folder / "S11.ogg").write_bytes(b"")
    (folder / "._S02.flac").write_bytes(b"junk")
    catalog = scan(root, tree)
    assert rows(catalog, "stem", "path", "status") == [
        ("S02", "train/Track00001/stems/S02.flac", "audio"),
        ("S07", "train/Track00001/stems/S07.WAV", "audio"),
        ("S100", "train/Track00001/stems/S100.flac", "audio"),
        ("S11", "", "no_audio"),
        ("S99", "train/Track00001/stems/S99.flac", "unassigned"),
    ]
    why = dict(rows(catalog, "stem", "why"))
    assert why["S02"] == "S02.wav not used"
    assert why["S11"] == "S11.ogg is there, but only S11.flac and S11.wav are read"
    assert "the metadata do not name this stem" in why["S99"]
    assert any("2 files are not called S00.flac" in note and "bass.wav" in note for note in catalog.notes)


def test_the_song_is_uuid_then_midi_then_nothing(write_track, tree):
    midi = b"MThd some song"
    for name, more in {
        "Track00001": {"uuid": SONG_1, "midi": midi},
        "Track00002": {"midi": midi},
        "Track00003": {},
        "Track00004": {"uuid": "not-a-song", "midi": midi},
    }.items():
        root = write_track(f"train/{name}", **more)
    got = dict(rows(scan(root, tree, split_scheme="split2"), "track", "song"))
    md5 = hashlib.md5(midi).hexdigest()
    assert got == {"Track00001": SONG_1, "Track00002": md5, "Track00003": "Track00003", "Track00004": md5}


def test_default_scheme(write_track, tree):
    root = write_track("train/Track09999", uuid=SONG_1)  # renamed
    write_track("train/Track00003")  # no song: the name decides
    catalog = scan(root, tree)
    assert catalog.scheme == "split2"
    assert dict(rows(catalog, "track", "split")) == {"Track09999": "train", "Track00003": "test"}
    write_track("test/Track00357", uuid=UNKNOWN)  # a made one with a Slakh name
    catalog = scan(root, tree)
    assert catalog.scheme == "folders"
    assert dict(rows(catalog, "track", "split"))["Track00357"] == "test"
    assert (
        "1 of 3 tracks are not songs of Slakh2100 (Track00357), so the folders are the splits"
        in catalog.notes[0]
    )
    catalog = scan(root, tree, split_scheme="redux")
    assert dict(rows(catalog, "track", "split"))["Track00357"] == "none"
    assert "no split under redux: Track00357" in catalog.notes[0]


def test_flat_and_unknown_says_how_to_continue(write_track, tree):
    catalog = scan(write_track("Track00001", uuid=UNKNOWN), tree)
    assert (catalog.scheme, set(catalog.frame["split"])) == ("folders", {"none"})
    assert "Sort the tracks into such folders, or save the catalog" in catalog.notes[0]


def test_an_ambiguous_split_is_reported(write_track, tree):
    root = write_track("train/mine", uuid="0306611837b68382f634b12a4da422ac")
    catalog = scan(root, tree, split_scheme="orig")
    assert set(catalog.frame["split"]) == {"train"}
    assert "mine (Track01384 train, Track01740 validation): taken as Track01384" in catalog.notes[0]
    assert scan(root, tree, split_scheme="split2").notes == []


def test_leaks_warn_or_stop(write_track, tree):
    root = write_track("train/a", uuid=UNKNOWN)
    write_track("test/b", uuid=UNKNOWN)
    write_track("omitted/c", uuid=UNKNOWN)
    with pytest.warns(
        SlakhHierWarning, match=r"1 song lies in more than one split.*a \(train\) and b \(test\)"
    ):
        catalog = scan(root, tree)
    assert catalog.leaks == [(UNKNOWN, {"train": ["a"], "test": ["b"]})]
    assert len(catalog.problems) == 1
    assert catalog.skipped == []
    with pytest.raises(InputError, match=r"1 problems \(strict\)(.|\n)*a \(train\) and b \(test\)"):
        scan(root, tree, strict=True)


def test_tracks_without_a_song_do_not_leak_into_each_other(write_track, tree):
    root = write_track("train/a")
    write_track("test/b")
    assert scan(root, tree, strict=True).leaks == []


def test_errata_are_excluded_and_can_be_kept(write_track, tree):
    song = "2dfc2e66f4cace81c83f18e2d2f12f74"  # Track00357, S03: white noise
    stems, files = {f"S0{i}": PIANO for i in range(5)}, tuple(f"S0{i}.flac" for i in range(5))
    root = write_track("train/renamed", uuid=song, stems=stems, files=files)
    write_track("train/Track00357", uuid=UNKNOWN, stems=stems, files=files)
    catalog = scan(root, tree)
    assert [key for *key, s in rows(catalog, "track", "stem", "status") if s == "excluded"] == [
        ["renamed", "S03"]
    ]
    why = catalog.frame.set_index(["track", "stem"])["why"]["renamed", "S03"]
    assert why == "erratum: white noise (Track00357/S03, slakh-utils issue 17)"
    assert len(catalog.usable) == 9
    assert set(scan(root, tree, errata=False).frame["status"]) == {"audio"}


def test_errata_that_are_kept_are_remarks(write_track, tree):
    root = write_track("train/a", uuid=song_of("Track00496"), stems={"S01": PIANO}, files=("S01.flac",))
    write_track("train/b", uuid=song_of("Track00446"), files=())
    write_track("train/c", uuid=song_of("Track00487"))
    got = {track: (status, why) for track, status, why in rows(scan(root, tree), "track", "status", "why")}
    assert got == {
        "a": ("audio", "known fault, kept: wrong pitch (Track00496/S01, slakh-utils issue 17)"),
        "b": ("no_audio", "no file; absent on disk (Track00446/S00, slakh-utils issue 20)"),
        "c": ("audio", ""),
    }


def test_unusable_ids_are_reported_and_the_others_used(write_track, tree):
    root = write_track("train/a", stems={"../../etc/passwd": PIANO, "S00": PIANO})
    catalog = scan(root, tree)
    assert rows(catalog, "stem", "status") == [("S00", "audio")]
    assert catalog.skipped == ["train/a: '../../etc/passwd' is not a stem id (S00 to S999); left out"]


def test_doubtful_values_are_in_why(write_track, tree):
    root = write_track("train/a", stems={"S00": {"plugin_name": "pop_kit.nkm", "program_num": "many"}})
    (why,) = scan(root, tree).frame["why"]
    assert "program_num is 'many'" in why


def test_a_track_without_stems_is_skipped(write_track, tree):
    root = write_track("train/a", stems={}, files=())
    with pytest.raises(InputError, match="no track can be used"):
        scan(root, tree)
    write_track("train/b")
    assert scan(root, tree).skipped == [
        "train/a: neither its metadata nor its stems folder name a stem; skipped"
    ]


def test_no_audio_at_all_is_reported(write_track, tree):
    catalog = scan(write_track("train/a", files=()), tree)
    assert rows(catalog, "status") == [("no_audio",)]
    assert catalog.skipped == ["no track has audio: stems are looked for as stems/S00.flac or stems/S00.wav"]
    with pytest.raises(InputError, match="no track has audio"):
        scan(write_track("train/b", files=()), tree, strict=True)
    assert len(catalog.usable) == 0


def test_the_rate_of_most_stems_is_the_tracks(write_track, tree):
    root = write_track("train/a", stems={f"S0{i}": PIANO for i in range(3)}, files=("S00.flac",), rate=16000)
    for name in ("S01", "S02"):
        soundfile.write(root / f"train/a/stems/{name}.flac", np.zeros(80, np.int16), 44100)
    assert rows(scan(root, tree), "stem", "status", "why") == [
        ("S00", "broken", "its sample rate is 16000 Hz, the track's is 44100 Hz"),
        ("S01", "audio", ""),
        ("S02", "audio", ""),
    ]


@pytest.mark.parametrize(("policy", "usable"), [("keep", 2), ("drop", 1)])
def test_policy_for_unassigned_stems(write_track, policy, usable):
    text = f"schema: 1\nname: small\nlevels: 1\ntree:\n  piano: {{match: {{programs: [0]}}}}\nunassigned: {policy}\n"
    small = parse_hierarchy(text, "small.yaml")
    root = write_track(
        "train/a", stems={"S00": PIANO, "S01": {"program_num": 103}}, files=("S00.flac", "S01.flac")
    )
    catalog = scan(root, small)
    assert rows(catalog, "status", "category", "level_1") == [
        ("audio", "piano", "piano"),
        ("unassigned", None, None),
    ]
    assert len(catalog.usable) == usable
    strict = parse_hierarchy(text.replace(policy, "error"), "small.yaml")
    with pytest.raises(InputError, match="1 stem has no category: a/S01"):
        scan(root, strict)


def test_jobs_do_not_matter_and_progress_is_reported(tmp_path, tree):
    class Reported:
        def __init__(self):
            self.done, self.total = 0.0, 0.0

        def stage(self, description, total, unit):
            self.total += total
            return nullcontext(self.advance)

        def advance(self, amount):
            self.done += amount

    root = make_slakh(tmp_path / "set", tracks=4, stems=2, every_category=False, seconds=2, sample_rate=8000)
    reported = Reported()
    one = scan(root, tree, jobs=1, cache=False, progress=reported, deep=True)
    two = scan(root, tree, jobs=3, cache=False)
    assert (reported.done, reported.total) == (4, 4)
    pd.testing.assert_frame_equal(one.frame, two.frame)


def test_the_data_set_is_only_read(tmp_path, tree):
    root = make_slakh(tmp_path / "set", **SMALL | {"seconds": 2})
    before = sorted((p, p.lstat().st_mtime_ns, p.lstat().st_size) for p in root.rglob("*"))
    scan(root, tree, deep=True)
    assert sorted((p, p.lstat().st_mtime_ns, p.lstat().st_size) for p in root.rglob("*")) == before


def test_music(music, tree):
    catalog = scan(music, tree)
    assert catalog.scheme == "folders"
    assert catalog.problems == []
    found = {p.relative_to(music).as_posix() for p in music.glob("*/*/stems/*.flac")}
    assert set(catalog.frame["path"]) - {""} == found
    assert (catalog.frame["status"] == "audio").sum() == len(found) > 40
    assert set(catalog.frame["status"]) <= {"audio", "no_audio"}


def test_stems_of_differing_lengths_are_reported(tmp_path, tree):
    even = make_slakh(tmp_path / "even", **SMALL)
    assert not any("differing lengths" in note for note in scan(even, tree).notes)
    root = make_slakh(tmp_path / "set", **SMALL, defects=["shorter_stem"])
    found = scan(root, tree)
    (note,) = [note for note in found.notes if "differing lengths" in note]
    lengths = found.frame.groupby("track")["frames"].nunique()
    (track,) = lengths.index[lengths > 1]
    assert note.startswith("1 track has stems of differing lengths")
    assert f"{track} (" in note


RENDERED = PIANO | {"audio_rendered": True}


def test_a_stem_that_was_rendered_and_is_gone_is_missing(write_track, tree):
    stems = {
        "S00": RENDERED,
        "S01": RENDERED,
        "S02": PIANO | {"audio_rendered": False},
        "S03": PIANO,
        "S04": RENDERED,
    }
    root = write_track("train/a", stems=stems)
    (root / "train" / "a" / "stems" / "S04.mp3").write_bytes(b"")
    write_track(
        "train/b", uuid=song_of("Track00446"), stems={"S00": RENDERED, "S01": PIANO}, files=("S01.flac",)
    )
    catalog = scan(root, tree)
    said = "the metadata say that it was rendered"
    assert rows(catalog, "stem", "status", "why") == [
        ("S00", "audio", ""),
        ("S01", "missing", f"no file; {said}"),
        ("S02", "no_audio", "no file"),
        ("S03", "no_audio", "no file"),
        ("S04", "missing", f"S04.mp3 is there, but only S04.flac and S04.wav are read; {said}"),
        ("S00", "no_audio", "no file; absent on disk (Track00446/S00, slakh-utils issue 20)"),
        ("S01", "audio", ""),
    ]
    assert catalog.summary()[-1]["missing"] == 2


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_deep_scan_says_how_much_of_the_mix_is_missing(write_track, tree, suffix):
    rate, count = 8000, 400_000  # more than one block
    stems = {f"S0{i}": RENDERED for i in range(3)}
    root = write_track("train/a", stems=stems, files=())
    folder = root / "train" / "a"
    parts = np.random.default_rng(0).integers(-3000, 3000, (3, count)).astype(np.int16)
    for i, part in enumerate(parts[:2]):
        soundfile.write(folder / "stems" / f"S0{i}.{suffix}", part, rate)
    soundfile.write(folder / f"mix.{suffix}", parts.sum(axis=0).astype(np.int16), rate)
    # A third of the energy: -4.77 dB.
    assert (
        "what the stems lack of the mix has -4.8 dB relative to it"
        in scan(root, tree, deep=True).frame["why"][2]
    )
    assert "relative to it" not in scan(root, tree).frame["why"][2]
    (folder / f"mix.{suffix}").write_bytes(b"junk")
    assert "relative to it" not in scan(root, tree, deep=True).frame["why"][2]

"""Data sets from end to end: layout, levels, determinism, resuming, refusals."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyloudnorm
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from slakh_hier.errors import FaultError, InputError, LockedError, MissingExtraError
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.locks import folder_lock
from slakh_hier.output import folder as folder_module
from slakh_hier.output.audio import AudioWriter
from slakh_hier.slakh import scan
from slakh_hier.synth import make_data_set, scratch
from slakh_hier.synth.same_notes import notes_digest

RATE = 44_100


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def tracks(folder):
    return sorted(folder.glob("*/Track*"))


def read(path):
    samples, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    assert samples.ndim == 1
    return samples


@pytest.fixture(scope="module")
def songs(tmp_path_factory, song_bytes, midi):
    """A folder of four songs, of which two are the same, one broken file, and one that is no MIDI file."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "čísla").mkdir()
    (folder / "čísla" / "píseň 1.mid").write_bytes(song_bytes)
    (folder / "b.MID").write_bytes(song_bytes)
    for number, key in enumerate((40, 60, 64)):
        quiet = [(0, b"\xb3\x07\x00"), (0, bytes((0x93, key, 90))), (960, bytes((0x83, key, 0)))]
        tune = [(0, bytes((0xC0, 24 + number))), (0, bytes((0x90, key, 90))), (960, bytes((0x80, key, 0)))]
        (folder / f"c{number}.midi").write_bytes(midi(tune, quiet))
    (folder / "d-broken.mid").write_bytes(song_bytes[:-20])
    (folder / "readme.txt").write_text("not a song")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, songs):
    out = tmp_path_factory.mktemp("made") / "slakh"
    return out, make_data_set([songs], out, jobs=1)


def test_report(made, songs):
    _, report = made
    assert [(name, "cut off" in reason) for name, reason in report.failures] == [
        (f"{songs.name}/d-broken.mid", True)
    ]
    assert (report.made, report.kept) == (5, 0)
    assert sum(split.tracks for split in report.splits) == 5
    assert sum(split.songs for split in report.splits) == 4
    assert sum(split.silent for split in report.splits) == 3
    assert sum(split.without_audio for split in report.splits) == 2


def test_the_mix_is_the_sum_of_its_stems_and_peaks_at_minus_one(made):
    out, _ = made
    for track in tracks(out):
        stems = sum(read(path).astype(np.int32) for path in (track / "stems").glob("*.flac"))
        mix = read(track / "mix.flac")
        np.testing.assert_array_equal(stems, mix)
        assert np.abs(mix).max() == pytest.approx(10 ** (-1 / 20) * 32768, abs=4)


def test_levels(made):
    out, _ = made
    for track in tracks(out):
        metadata = yaml.safe_load((track / "metadata.yaml").read_text(encoding="utf-8"))
        expected = -13 + 20 * math.log10(metadata["overall_gain"])
        for path in (track / "stems").glob("*.flac"):
            samples = read(path)
            assert np.abs(samples).max() < 32767
            if "integrated_loudness" in metadata["stems"][path.stem]:
                assert pyloudnorm.Meter(RATE).integrated_loudness(samples / 32768) == pytest.approx(
                    expected, abs=0.1
                )
            else:
                assert not samples.any()


def test_a_part_that_is_muted_as_it_begins_is_not_raised(tmp_path, midi):
    """One tick at full volume, then none: what is left of the note would become as loud as the others."""
    tune = [(0, b"\xc0\x18")]
    muted = [(0, b"\xc1\x28"), (0, b"\x91\x3c\x5a"), (1, b"\xb1\x07\x00"), (1919, b"\x81\x3c\x00")]
    for key in (60, 62, 64, 65):
        tune += [(0, bytes((0x90, key, 90))), (480, bytes((0x80, key, 0)))]
    (tmp_path / "song.mid").write_bytes(midi(tune, muted))
    report = make_data_set([tmp_path / "song.mid"], tmp_path / "slakh", jobs=1)
    (remark,) = [remark for _, remark in report.remarks if remark.startswith("S01")]
    assert remark.startswith("S01 (Violin) is all but silent (-")
    (track,) = tracks(tmp_path / "slakh")
    tone, click = (read(track / "stems" / f"S0{stem}.flac").astype(float) for stem in (0, 1))
    assert 0 < np.abs(click).max() < np.abs(tone).max() / 50
    loudness = yaml.safe_load((track / "metadata.yaml").read_text())["stems"]["S01"]["integrated_loudness"]
    assert loudness < -60


def test_metadata(made, song_bytes, songs):
    out, _ = made
    (track,) = (t for t in tracks(out) if t.name == "Track00006")
    metadata = yaml.safe_load((track / "metadata.yaml").read_text(encoding="utf-8"))
    assert metadata["lmd_midi_dir"] == f"{songs.name}/čísla/píseň 1.mid"
    assert (track / "all_src.mid").read_bytes() == song_bytes
    assert metadata["UUID"] == hashlib.md5(song_bytes).hexdigest()
    stems = metadata["stems"]
    assert [stem["program_num"] for stem in stems.values()] == [0, 33, 128, 98]
    assert [stem["is_drum"] for stem in stems.values()] == [False, False, True, False]
    without = stems["S03"]
    assert (without["plugin_name"], without["audio_rendered"], without["midi_saved"]) == (
        "None",
        False,
        False,
    )
    for folder, suffix in (("stems", "flac"), ("MIDI", "mid")):
        assert sorted(p.name for p in (track / folder).iterdir()) == [f"S0{i}.{suffix}" for i in range(3)]


TRACK_KEYS = {
    "UUID": str, "audio_dir": str, "lmd_midi_dir": str, "midi_dir": str, "normalization_factor": float,
    "normalized": bool, "overall_gain": float, "stems": dict, "target_peak": float,
}  # fmt: skip
STEM_KEYS = {
    "audio_rendered": bool, "inst_class": str, "integrated_loudness": float, "is_drum": bool,
    "midi_program_name": str, "midi_saved": bool, "plugin_name": str, "program_num": int,
}  # fmt: skip


def types(mapping):
    return [(key, type(value)) for key, value in mapping.items()]


def check_keys_and_types(track, metadata):
    """In Slakh's order; a stem without audio has no loudness."""
    assert types(metadata) == list(TRACK_KEYS.items())
    heard = {path.stem for path in (track / "stems").iterdir()}
    assert 0 < len(heard) < len(metadata["stems"])
    for name, stem in metadata["stems"].items():
        expected = [item for item in STEM_KEYS.items() if item[0] != "integrated_loudness" or name in heard]
        assert types(stem) == expected


def test_metadata_have_the_keys_and_types_of_a_slakh_track(made):
    out, _ = made
    (track,) = out.glob("*/Track00006")
    check_keys_and_types(track, yaml.safe_load((track / "metadata.yaml").read_text(encoding="utf-8")))


def test_slakh_tracks_have_these_keys_and_types(slakh_mini):
    track = slakh_mini / "test" / "Track00013"
    check_keys_and_types(track, yaml.safe_load((track / "metadata.yaml").read_text(encoding="utf-8")))


def test_scan_takes_it_without_a_word(made):
    out, _ = made
    catalog = scan(out, load_hierarchy("slakh34"))
    assert catalog.problems == []
    assert set(catalog.frame["status"]) == {"audio", "no_audio"}
    assert (catalog.frame["status"] == "no_audio").sum() == 2
    same = catalog.frame.groupby("song")["split"].nunique()
    assert (same == 1).all()


def test_the_same_bytes_whatever_the_number_of_jobs(made, songs, tmp_path):
    out, _ = made
    make_data_set([songs], tmp_path / "two", jobs=2)
    assert digests(tmp_path / "two") == digests(out)


def test_a_stopped_run_is_completed(made, songs, tmp_path):
    out, _ = made
    copy = tmp_path / "slakh"
    shutil.copytree(out, copy)
    removed = tracks(copy)[1]
    shutil.rmtree(removed)
    (copy / ".tmp-Track00002" / "stems").mkdir(parents=True)  # what a killed run leaves
    times = {path: path.stat().st_mtime_ns for path in copy.rglob("*.flac")}
    report = make_data_set([songs], copy, jobs=1)
    assert (report.made, report.kept) == (1, 4)
    assert digests(copy) == digests(out)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert report.splits == made[1].splits
    assert not list(copy.glob(".tmp-*"))
    assert make_data_set([songs], copy, overwrite=True, jobs=1).made == 5
    assert digests(copy) == digests(out)


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, Path.unlink) for name in ("mix.flac", "all_src.mid", "stems/S00.flac", "MIDI/S00.mid", ".made.json")),
        *((name, cut_in_half) for name in ("mix.flac", "metadata.yaml")),
    ],
)  # fmt: skip
def test_a_track_of_which_a_file_is_gone_is_made_again(made, songs, tmp_path, name, damage):
    out, _ = made
    copy = tmp_path / "slakh"
    shutil.copytree(out, copy)
    damage(tracks(copy)[1] / name)
    report = make_data_set([songs], copy, jobs=1)
    assert (report.made, report.kept) == (1, 4)
    assert digests(copy) == digests(out)


@pytest.mark.parametrize(
    ("more", "said"),
    [({"seed": 1}, r"\n  seed +588 +1\n"), ({"max_seconds": 2.0}, r"\n  max_seconds +nothing +2\.0\n"),
     ({"splits": (80, 10, 10)}, r"\n  splits +")],
)  # fmt: skip
def test_a_folder_of_other_settings_is_refused(made, songs, more, said):
    out, _ = made
    before = digests(out)
    with pytest.raises(InputError, match=said):
        make_data_set([songs], out, **more)
    with pytest.raises(InputError, match="5 of its tracks would now be made otherwise or not at all"):
        make_data_set([songs / "b.MID"], out)
    assert digests(out) == before


def test_a_folder_of_something_else_is_refused(songs, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"holds thesis\.tex and no synth\.json"):
        make_data_set([songs], tmp_path)
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["thesis.tex"]


def test_two_runs_at_a_time_are_refused(songs, tmp_path):
    with folder_lock(tmp_path), pytest.raises(LockedError):
        make_data_set([songs], tmp_path)


def test_no_room_is_said_before_any_track(made, songs, tmp_path, monkeypatch):
    out, _ = made
    needed = sum(path.stat().st_size for path in out.rglob("*.flac"))
    for share, enough in ((0.5, False), (3, True)):
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda path, free=share * needed: SimpleNamespace(free=free))
            if enough:
                assert make_data_set([songs], tmp_path / "out", jobs=1).made == 5
            else:
                with pytest.raises(FaultError, match=r"synthesising needs .* MB, but only"):
                    make_data_set([songs], tmp_path / "out", jobs=1)
                assert not list((tmp_path / "out").rglob("*.flac"))


@pytest.mark.parametrize("options", [{}, {"reorchestrate": True}, {"max_seconds": 6.0}])
def test_the_disk_space_is_estimated_within_a_factor_of_two(tmp_path, monkeypatch, options):
    estimates = []
    monkeypatch.setattr(folder_module, "require_free", lambda folder, needed, what: estimates.append(needed))
    make_data_set([], tmp_path / "out", compose=3, seconds=12, jobs=1, **options)
    taken = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.flac"))
    assert taken / 2 < estimates[0] < 2 * taken


def test_a_full_disk_leaves_no_half_track(songs, tmp_path, monkeypatch):
    real, calls = AudioWriter.write, []

    def full(self, samples):
        calls.append(self.path)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, samples)

    monkeypatch.setattr(AudioWriter, "write", full)
    with pytest.raises(FaultError, match="No space left on device"):
        make_data_set([songs], tmp_path / "out", jobs=1)
    left = [path.relative_to(tmp_path / "out").parts for path in (tmp_path / "out").rglob("metadata.yaml")]
    assert all(parts[0] in ("train", "validation", "test") for parts in left)
    assert not list((tmp_path / "out").glob(".tmp-*"))
    monkeypatch.undo()
    report = make_data_set([songs], tmp_path / "out", jobs=1)
    assert (report.made + report.kept, len(left)) == (5, report.kept)


def test_max_seconds(songs, tmp_path):
    report = make_data_set([songs / "b.MID"], tmp_path / "out", max_seconds=1.5, splits=(100, 0, 0))
    (track,) = tracks(tmp_path / "out")
    assert len(read(track / "mix.flac")) == 1.5 * RATE
    assert report.splits[0].minutes == pytest.approx(1.5 / 60, abs=0.01)
    assert abs(int(read(track / "mix.flac")[-1])) < 50  # faded, not cut


def test_reorchestrate_gives_every_part_a_category(songs, tmp_path):
    make_data_set([songs / "b.MID"], tmp_path / "out", reorchestrate=True)
    (track,) = tracks(tmp_path / "out")
    stems = yaml.safe_load((track / "metadata.yaml").read_text())["stems"]
    assert all(stem["audio_rendered"] for stem in stems.values())
    assert stems["S02"]["is_drum"]


def test_large_tracks_are_made_on_disk_with_the_same_bytes(songs, tmp_path, monkeypatch, made):
    monkeypatch.setattr(scratch, "MEMORY", 0)
    monkeypatch.setattr(scratch, "BLOCK", 5000)
    make_data_set([songs], tmp_path / "out", jobs=1)
    assert digests(tmp_path / "out") == digests(made[0])


def test_only_programs_without_a_category(midi, tmp_path):
    (tmp_path / "fx.mid").write_bytes(midi([(0, b"\xc0\x63"), (0, b"\x90\x3c\x40"), (480, b"\x80\x3c\x00")]))
    report = make_data_set([tmp_path / "fx.mid"], tmp_path / "out", jobs=1)
    assert report.failures == (
        ("fx.mid", "has no part that Slakh's categories know, only FX 4 (atmosphere); try --reorchestrate"),
    )
    assert not tracks(tmp_path / "out")


def test_a_song_without_sound(midi, tmp_path):
    quiet = [(0, b"\xb0\x07\x00"), (0, b"\x90\x3c\x40"), (480, b"\x80\x3c\x00")]
    (tmp_path / "quiet.mid").write_bytes(midi(quiet))
    report = make_data_set([tmp_path / "quiet.mid"], tmp_path / "out", jobs=1)
    assert "is silent" in report.failures[0][1]


@pytest.mark.parametrize("missing", ["pyloudnorm", "mido"])
def test_missing_libraries(songs, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"{missing}.*slakh-hier\[synth\]"):
        make_data_set([songs], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"midi": []}, "give MIDI files or folders, or a number of songs"),
        ({"midi": ["nowhere"]}, "nowhere does not exist"),
        ({"midi": [], "compose": 2, "seconds": 1}, "lasts 8 to 600 s, not 1"),
        ({"soundfont": "none.sf2"}, r"none\.sf2: cannot be read"),
        ({"synthesiser": "timidity"}, "not 'timidity'"),
        ({"max_seconds": -1}, "more than 0"),
        ({"splits": (50, 50)}, "three percentages"),
    ],
)
def test_wrong_input_does_nothing(songs, tmp_path, arguments, said):
    given = {"midi": [songs], "out": tmp_path / "out", **arguments}
    with pytest.raises(InputError, match=said):
        make_data_set(**given)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_midi(tmp_path):
    with pytest.raises(InputError, match="no MIDI file"):
        make_data_set([tmp_path], tmp_path / "out")


def test_songs_of_a_data_set(music, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for path in sorted(music.glob("*/Track*/all_src.mid"))[::4]:
        shutil.copy(path, songs / f"{path.parent.name}.mid")
    report = make_data_set([songs], tmp_path / "out", max_seconds=8)
    assert not report.failures
    test_the_mix_is_the_sum_of_its_stems_and_peaks_at_minus_one((tmp_path / "out", report))
    test_levels((tmp_path / "out", report))
    assert scan(tmp_path / "out", load_hierarchy("slakh34")).problems == []


def run_command(*arguments):
    from slakh_hier.cli.synth import synth

    return CliRunner().invoke(synth, [str(argument) for argument in arguments])


def test_command(songs, tmp_path):
    result = run_command(songs, "-o", tmp_path / "out", "--format", "json", "-j", 1)
    assert result.exit_code == 1  # one song is left out
    assert [row["split"] for row in json.loads(result.stdout)] == ["train", "validation", "test"]
    assert f"left out: {songs.name}/d-broken.mid: is cut off" in result.stderr
    again = run_command(songs, "-o", tmp_path / "out", "-j", 1)
    assert "5 tracks there already, 0 made now" in again.stderr


def test_compose_command(tmp_path):
    result = run_command("--compose", 2, "--seconds", 8, "-o", tmp_path / "out", "-j", 1)
    assert result.exit_code == 0
    assert len(tracks(tmp_path / "out")) == 2
    assert Path(tmp_path / "out" / "synth.json").exists()
    refused = run_command("--splits", "a,b", "-o", tmp_path / "x", "song.mid")
    assert isinstance(refused.exception, InputError)


def test_songs_of_the_same_notes_stay_in_one_split(midi, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(8):
        text = [(0, b"\xff\x01\x01" + bytes([65 + number])), (0, b"\xff\x03\x01" + bytes([65 + number]))]
        tune = [
            (0, b"\xc0\x18"),
            (0, b"\x90\x3c\x40"),
            (480, b"\x80\x3c\x00" if number % 2 else b"\x90\x3c\x00"),
        ]
        (songs / f"same{number}.mid").write_bytes(midi(text, tune))
        other = [(0, b"\xc0\x18"), (0, bytes((0x90, 40 + number, 64))), (480, bytes((0x80, 40 + number, 0)))]
        (songs / f"other{number}.mid").write_bytes(midi(other))
    (songs / "broken.mid").write_bytes(b"MThd")
    report = make_data_set([songs], tmp_path / "out", jobs=1)
    assert (report.made, [name for name, _ in report.failures]) == (16, ["songs/broken.mid"])
    tracks = {path.parent.name: path.parent.parent.name for path in (tmp_path / "out").glob("*/*/mix.flac")}
    names = {}
    for track, split in tracks.items():
        about = yaml.safe_load((tmp_path / "out" / split / track / "metadata.yaml").read_bytes())
        names[about["lmd_midi_dir"]] = split
    assert len({split for name, split in names.items() if "same" in name}) == 1
    assert {split for name, split in names.items() if "other" in name} == {"train", "validation", "test"}
    (note,) = report.notes
    assert note == (
        "1 song has other files with the same notes, kept in one split with it: songs/same0.mid and songs/same1.mid, "
        "songs/same2.mid, and 5 more"
    )


def test_what_makes_notes_the_same(midi):
    tune = [(0, b"\xc0\x18"), (0, b"\x90\x3c\x40"), (480, b"\x80\x3c\x00")]
    first = notes_digest(midi(tune))
    assert first == notes_digest(midi([(0, b"\xff\x03\x01x")], tune))
    assert first == notes_digest(midi([(0, b"\xc0\x18"), (0, b"\x90\x3c\x40"), (480, b"\x3c\x00")]))
    for other in (
        midi([(0, b"\xc0\x19"), *tune[1:]]), midi([*tune[:2], (481, tune[2][1])]), midi(tune, [(0, b"\xff\x51\x03\x07\xa1\x21")]),
        midi([(0, b"\xb0\x07\x20"), *tune]), midi(tune, tune),
    ):  # fmt: skip
        assert notes_digest(other) != first

"""Whole imports: what lies on disk afterwards, whatever the jobs and broken songs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

import slakh_hier as sh
from slakh_hier.errors import FaultError, InputError
from slakh_hier.hierarchy import parse_hierarchy
from slakh_hier.importing import ImportReport
from slakh_hier.importing.layouts import LayoutOptions
from slakh_hier.output.audio import AudioWriter
from slakh_hier.shards.verify import verify

TREE = """\
schema: 1
name: musdb
levels: 2
tree:
  rhythm:
    drums: {match: {drums: true}}
    bass: {match: {programs: [32-39]}}
  melody:
    vocals: {match: {midi_program_name: [vocals]}}
    other: {match: {inst_class: [other]}}
unassigned: error
"""
Run = Callable[..., ImportReport]
Contents = Callable[[Path], dict[str, str]]
Tracks = Callable[[Path], dict[str, Path]]
MakeSong = Callable[..., dict[str, np.ndarray]]


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0].astype(int)


def test_from_files_to_shards(tmp_path: Path, make_song: MakeSong, run: Run) -> None:
    for number in range(6):
        make_song(tmp_path / "songs" / f"Artist {number}", number, seconds=4.0)
    (tmp_path / "map.yaml").write_text(
        "schema: 1\nmix: [mixture]\ninstruments:\n"
        "  vocals: {files: [vocals]}\n  drums: {files: [drums], drums: true}\n"
        "  bass: {files: [bass], program: 33}\n  other: {files: [other]}\n"
    )
    report = run(tmp_path / "songs", splits="50,25,25")
    assert (report.made, report.failures, report.unmatched, report.remarks) == (6, (), (), ())
    tree = parse_hierarchy(TREE, "tree.yaml")
    catalog = sh.scan(tmp_path / "slakh", tree, strict=True)
    assert (catalog.problems, catalog.notes, catalog.left_out()) == ([], [], [])
    assert catalog.frame["artist"].isna().all()
    assert catalog.frame["labels"].isna().all()
    assert (catalog.frame["status"] == "audio").all()
    assert (catalog.frame["channels"] == 2).all()
    assert set(catalog.frame["level_1"]) == {"drums", "bass", "vocals", "other"}
    plan = sh.plan_clips(
        catalog, tree, clips={"train": 4, "test": 2}, clip_seconds=2, step=1, queries=False, seed=1,
        activity=tmp_path / "activity.h5", jobs=1,
    )  # fmt: skip
    sh.render(plan, tmp_path / "shards", sample_rate=8000, jobs=1)
    assert verify(tmp_path / "shards", full=True, jobs=1) == []
    clip = sh.open_shards(tmp_path / "shards")[0]
    parts = sum(clip[name] for name in ("drums", "bass", "vocals", "other"))
    assert np.abs(parts - clip.mix).max() <= 2.5 / 32768


def test_metadata_and_samples_of_a_track(songs: Path, make_song: MakeSong, run: Run, tracks: Tracks) -> None:
    run(songs)
    for number, (song, track) in enumerate(sorted(tracks(songs.parent / "slakh").items())):
        assert song == f"Artist {number} - Song"
        metadata = yaml.safe_load((track / "metadata.yaml").read_text())
        names = [stem["midi_program_name"] for stem in metadata["stems"].values()]
        assert names == ["bass", "drums", "other", "vocals"]
        assert [stem["source"] for stem in metadata["stems"].values()] == [f"{name}.wav" for name in names]
        assert [stem["program_num"] for stem in metadata["stems"].values()] == [33, 128, None, None]
        stems = [samples(track / "stems" / f"S0{i}.flac") for i in range(4)]
        for name, found in zip(names, stems, strict=True):
            source = soundfile.read(songs / song / f"{name}.wav", dtype="int16")[0].astype(int)
            assert np.array_equal(found, source)
        assert np.array_equal(samples(track / "mix.flac"), sum(stems))
        assert metadata["overall_gain"] == 1.0


def test_metadata_have_the_keys_of_slakh(songs: Path, run: Run, tracks: Tracks) -> None:
    run(songs)
    ours = yaml.safe_load(
        next(iter(tracks(songs.parent / "slakh").values())).joinpath("metadata.yaml").read_text()
    )
    real = Path(__file__).parents[1] / "data/metadata/slakh2100_flac_redux__train__Track00001__metadata.yaml"
    slakh = yaml.safe_load(real.read_text())
    assert set(ours) == set(slakh) | {"import", "title", "artist", "genre"}
    own = {"source", "labels", "has_bleed", "faults", "mixing_gain"}
    assert set(ours["stems"]["S00"]) == set(slakh["stems"]["S00"]) | own


@pytest.mark.parametrize("audio", ["link", "copy"])
def test_links_and_copies_are_the_files(songs: Path, audio: str, run: Run, tracks: Tracks) -> None:
    run(songs, audio=audio)
    for song, track in tracks(songs.parent / "slakh").items():
        for source, target in [("bass", "stems/S00"), ("vocals", "stems/S03"), ("mixture", "mix")]:
            before, after = songs / song / f"{source}.wav", track / f"{target}.wav"
            assert before.read_bytes() == after.read_bytes()
            assert before.samefile(after) is (audio == "link")
    catalog = sh.scan(songs.parent / "slakh", parse_hierarchy(TREE, "t"))
    assert (catalog.frame["status"] == "audio").all()
    assert (catalog.frame["channels"] == 2).all()


def test_links_of_links_lead_to_the_file(songs: Path, run: Run, tracks: Tracks) -> None:
    """Scan follows no link out of the data set, so a link to a link would be broken."""
    target = songs / "Artist 0 - Song" / "bass.wav"
    elsewhere = target.rename(songs.parent / "elsewhere.wav")
    target.symlink_to(elsewhere)
    run(songs, audio="link")
    linked = tracks(songs.parent / "slakh")["Artist 0 - Song"] / "stems" / "S00.wav"
    assert not linked.is_symlink()
    assert linked.samefile(elsewhere)


def test_another_file_system_gets_copies(
    songs: Path, monkeypatch: pytest.MonkeyPatch, run: Run, tracks: Tracks
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    report = run(songs, audio="link")
    assert "30 files could not be linked (another file system?) and were copied" in report.notes
    track = tracks(songs.parent / "slakh")["Artist 0 - Song"]
    assert (track / "mix.wav").read_bytes() == (songs / "Artist 0 - Song" / "mixture.wav").read_bytes()


def test_same_bytes_whatever_the_jobs(songs: Path, run: Run, contents: Contents, tracks: Tracks) -> None:
    for jobs in (1, 2):
        run(songs, f"jobs{jobs}", jobs=jobs)
    assert contents(songs.parent / "jobs1") == contents(songs.parent / "jobs2")
    run(songs, "seed", seed=1)
    split_of = {
        seed: {song: t.parent.name for song, t in tracks(songs.parent / seed).items()}
        for seed in ("jobs1", "seed")
    }
    assert split_of["seed"] != split_of["jobs1"]


def test_formats_and_rates(songs: Path, run: Run, tracks: Tracks) -> None:
    run(songs, audio_format="wav", sample_rate=11_025)
    track = tracks(songs.parent / "slakh")["Artist 2 - Song"]
    stems = sorted((track / "stems").iterdir())
    assert [path.name for path in stems] == ["S00.wav", "S01.wav", "S02.wav", "S03.wav"]
    info = soundfile.info(track / "mix.wav")
    assert (info.samplerate, info.channels, info.frames, info.subtype) == (11_025, 2, 11_025, "PCM_16")
    assert np.array_equal(samples(track / "mix.wav"), sum(map(samples, stems)))


@pytest.mark.parametrize("audio", ["convert", "link"])
def test_songs_that_cannot_be_used(songs: Path, audio: str, run: Run) -> None:
    def song(number: int) -> Path:
        return songs / f"Artist {number} - Song"

    (song(0) / "drums.wav").write_bytes(b"no audio")
    for name in ("bass", "drums", "vocals", "other"):
        (song(1) / f"{name}.wav").rename(song(1) / f"take {name}.wav")
    (song(2) / "old").mkdir()
    shutil.copy(song(2) / "bass.wav", song(2) / "old" / "bass.wav")
    (song(3) / "vocals.m4a").touch()
    (songs / "Phone").mkdir()
    (songs / "Phone" / "take.m4a").touch()
    (songs / "Notes").mkdir()
    report = run(songs, audio=audio)
    reasons = dict(report.failures)
    assert reasons["Artist 0 - Song"].startswith("drums.wav: is not audio that can be opened: ")
    assert reasons["Artist 1 - Song"].startswith(
        "no pattern of the map makes any of its files a stem (take bass.wav, "
    )
    assert "bass.wav and old/bass.wav have one name: is this several songs?" in reasons["Artist 2 - Song"]
    assert reasons["Artist 3 - Song"].startswith("vocals.m4a: this kind of file cannot be read")
    assert reasons["Notes"] == "holds no audio"
    assert reasons["Phone"].startswith(
        "holds only take.m4a, which cannot be read: make WAV or FLAC of it, as by ffmpeg"
    )
    assert report.made == 2
    assert [file.file for file in report.unmatched] == [
        f"take {n}.wav" for n in ("bass", "drums", "other", "vocals")
    ]


def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(
    songs: Path, monkeypatch: pytest.MonkeyPatch, run: Run, tracks: Tracks
) -> None:
    write, blocks = AudioWriter.write, []

    def fail(self: AudioWriter, samples: np.ndarray) -> None:
        blocks.append(self.path)
        if len(blocks) == 13:  # five files a track of one block each: in the third track
            raise OSError(28, "No space left on device")
        write(self, samples)

    monkeypatch.setattr(AudioWriter, "write", fail)
    with pytest.raises(
        FaultError,
        match=r"cannot write .* \([\d.]+ MB free\): No space left on device. What is finished is kept",
    ):
        run(songs)
    out = songs.parent / "slakh"
    assert (len(tracks(out)), list(out.glob(".tmp-*"))) == (2, [])
    assert run(songs).made == 4


def test_no_room_for_a_song_is_said_before_it_is_made(
    songs: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    full = shutil.disk_usage(songs)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FaultError, match=r"Artist 0 - Song needs .* MB, but only"):
        run(songs)
    assert not list((songs.parent / "slakh").rglob("*.flac"))


def test_odd_names(songs: Path, run: Run, tracks: Tracks) -> None:
    os.rename(songs / "Artist 0 - Song", os.fsencode(songs) + b"/\xff\x1b[31m\nA: 'b'")
    os.rename(
        songs / "Artist 1 - Song" / "bass.wav", os.fsencode(songs / "Artist 1 - Song") + b"/bass.\xff.wav"
    )
    (songs.parent / "map.yaml").write_text(
        (songs.parent / "map.yaml").read_text().replace("[bass]", "[bass*]")
    )
    assert run(songs).failures == ()
    assert "\ufffd\ufffd[31m\ufffdA: 'b'" in tracks(songs.parent / "slakh")
    sh.scan(songs.parent / "slakh", parse_hierarchy(TREE, "t"), strict=True)


def test_a_link_that_leads_nowhere_is_reported(songs: Path, run: Run) -> None:
    (songs / "Artist 0 - Song" / "bass.wav").unlink()
    (songs / "Artist 0 - Song" / "bass.wav").symlink_to("nowhere.wav")
    assert run(songs).failures == (("Artist 0 - Song", "bass.wav: No such file or directory"),)


def test_links_refuse_what_the_layout_cannot_hold(songs: Path, run: Run) -> None:
    song = songs / "Artist 1 - Song"
    soundfile.write(song / "bass.aiff", np.zeros(500), 8000)
    (song / "bass.wav").unlink()
    report = run(songs, audio="link")
    assert dict(report.failures) == {
        "Artist 1 - Song": "bass.aiff: the layout holds FLAC and WAV; --audio convert makes them",
    }
    assert run(songs, "converted").failures == ()


@pytest.mark.parametrize("audio", ["link", "copy"])
def test_links_of_several_rates_convert_the_few(songs: Path, audio: str, run: Run, tracks: Tracks) -> None:
    """A tone far below both rates' limits is the same tone afterwards, beyond full scale and in both channels."""
    time = np.arange(16_000) / 16_000
    tone = np.stack([1.5 * np.sin(2 * np.pi * 440 * time), 0.2 * np.cos(2 * np.pi * 440 * time)], axis=1)
    soundfile.write(songs / "Artist 0 - Song" / "bass.wav", tone, 16_000, subtype="FLOAT")
    report = run(songs, audio=audio)
    assert report.remarks == (
        ("Artist 0 - Song", "converted to 8000 Hz, its track's rate: bass.wav (16000 Hz)"),
    )
    track = tracks(songs.parent / "slakh")["Artist 0 - Song"]
    samples, rate = soundfile.read(track / "stems" / "S00.wav")
    assert (rate, samples.shape) == (8000, (8000, 2))
    assert np.abs(samples - tone[::2])[200:-200].max() < 1e-3
    assert (track / "stems" / "S01.wav").samefile(songs / "Artist 0 - Song" / "drums.wav") is (
        audio == "link"
    )
    catalog = sh.scan(songs.parent / "slakh", parse_hierarchy(TREE, "t"))
    assert (catalog.frame["status"] == "audio").all()


def test_remarks(songs: Path, make_song: MakeSong, run: Run, tracks: Tracks) -> None:
    make_song(songs / "Loud", 3, level=20_000.0, subtype="FLOAT")
    short = songs / "Artist 0 - Song" / "bass.wav"
    soundfile.write(short, np.zeros(800), 8000)
    (songs / "Artist 1 - Song" / "vocals.wav").unlink()
    report = run(songs)
    remarks = [(song, remark.split(" (")[0]) for song, remark in report.remarks]
    assert ("Artist 0 - Song", "shorter than the song, silence follows: bass.wav by 0.9 s") in remarks
    assert ("Artist 0 - Song", "silent: bass.wav") in remarks
    assert ("Artist 1 - Song", "its mixture mixture.wav is not the sum of its stems") in remarks
    (gain,) = [text for song, text in report.remarks if song == "Loud"]
    track = tracks(songs.parent / "slakh")["Loud"]
    metadata = yaml.safe_load((track / "metadata.yaml").read_text())
    assert gain == f"exceeded full scale: all its stems are multiplied by {metadata['overall_gain']:.4f}"
    stem, source = (
        soundfile.read(path)[0] * 2**23
        for path in (track / "stems" / "S00.flac", songs / "Loud" / "bass.wav")
    )
    assert np.abs(stem - source * metadata["overall_gain"]).max() <= 0.51  # steps of 24 bits
    assert run(songs).remarks == report.remarks  # they are kept with the tracks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio": "convrt"}, "audio must be one of convert, link, copy"),
        ({"audio_format": "mp3"}, "audio format must be flac or wav"),
        ({"audio": "link", "sample_rate": 8000}, "audio link takes the files as they are"),
        ({"sample_rate": 10}, "the sample rate must lie between 1000 and 384000 Hz, not 10"),
        ({"splits": "nothing"}, "splits nothing: No such file"),
        ({"channels": 3}, "a track has 1 or 2 channels, not 3"),
        ({"audio": "copy", "channels": 1}, "audio copy takes the files as they are"),
        ({"bleed": "drop"}, "bleed must be one of keep, drop-stem, drop-song"),
        ({"split_by": "album"}, "songs are split by artist or song, not 'album'"),
        ({"split_map": "1=train"}, "--split-map says what the words of a file stand for"),
        ({"layout": "musdb18hq"}, "by a map or by a layout: give one of both"),
        ({"layout_options": LayoutOptions(microphone="Tree")}, "--microphone belongs to a layout"),
        ({"shared_with": ["nowhere"]}, "nowhere/import.json: No such file or directory. Give the folder"),
    ],
)
def test_wrong_parameters_do_nothing(songs: Path, options: dict[str, object], message: str, run: Run) -> None:
    with pytest.raises(InputError, match=message):
        run(songs, **options)
    assert not (songs.parent / "slakh").exists()


def test_songs_that_lie_a_level_deeper_are_not_one_song(songs: Path, run: Run) -> None:
    """As in MedleyDB/V1/Artist_Song/Artist_Song_STEMS: the files of each are called after it."""
    for number in (0, 1):
        song = f"Artist{number}_Song"
        (songs / "V1" / song / f"{song}_STEMS").mkdir(parents=True)
        for stem, name in enumerate(("bass", "drums"), start=1):
            file = songs / "Artist 0 - Song" / f"{name}.wav"
            shutil.copy(file, songs / "V1" / song / f"{song}_STEMS" / f"{song}_STEM_0{stem}.wav")
    (songs.parent / "map.yaml").write_text("schema: 1\ninstruments:\n  all: {files: ['*']}\n")
    reasons = dict(run(songs).failures)
    assert reasons == {
        "V1": "Artist0_Song and Artist1_Song hold files that are called after them: is this several songs? songs: ['*/*'] in the "
        "map looks for songs one level deeper; or ignore one folder of them"
    }

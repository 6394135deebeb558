"""Exported files hold what the shard holds, and nothing is clipped."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column
from slakh_hier.shards import open_shards
from slakh_hier.shards.export import export_clip


def exported(folder):
    return {
        path.stem: soundfile.read(path, dtype="float64")
        for path in folder.iterdir()
        if path.suffix != ".json"
    }


@pytest.mark.parametrize("format", ["wav", "flac"])
def test_sixteen_bits_where_they_are_exact(make_set, tmp_path, format):
    made = make_set()
    shards = open_shards(made.folder)
    assert (shards.row[0] >= -2).all()
    paths = export_clip(made.folder, 0, tmp_path / "out", audio_format=format)
    assert {path.name for path in paths} == {
        *(
            f"{name}.{format}"
            for name in (
                "0_mix",
                "2_strings",
                "1_high_strings",
                "1_low_strings",
                "2_winds",
                "1_flutes",
                "query",
            )
        ),
        "clip.json",
    }
    assert all(soundfile.info(path).subtype == "PCM_16" for path in paths[:-1])
    for name, (audio, rate) in exported(tmp_path / "out").items():
        assert rate == shards.sample_rate
        expected = shards[0].query if name == "query" else shards[0][name.partition("_")[2]]
        assert audio.shape == (shards.samples, 2)
        assert np.array_equal(audio.T, expected.astype(np.float64))


@pytest.mark.parametrize(("format", "subtype"), [("wav", "FLOAT"), ("flac", "PCM_24")])
def test_beyond_full_scale(make_set, tmp_path, format, subtype):
    made = make_set()
    clip = open_shards(made.folder)[1]
    assert np.abs(clip.mix).max() > 1
    paths = export_clip(made.folder, 1, tmp_path / "out", audio_format=format)
    assert {soundfile.info(path).subtype for path in paths[:-1]} == {subtype}
    about = json.loads((tmp_path / "out" / "clip.json").read_text())
    gain = about["gain"]
    assert np.log2(gain) == round(np.log2(gain))
    assert gain == 1 if format == "wav" else 0.5 < np.abs(clip.mix).max() * gain < 1
    for name, (audio, _) in exported(tmp_path / "out").items():
        expected = (clip.query if name == "query" else clip[name.partition("_")[2]]).astype(np.float64) * gain
        assert np.abs(audio.T - expected).max() <= (0 if format == "wav" else 2**-24)


@pytest.mark.parametrize(("format", "subtype"), [("wav", "FLOAT"), ("flac", "PCM_24")])
def test_float_sets(make_set, tmp_path, format, subtype):
    made = make_set(dtype="float32")
    paths = export_clip(made.folder, 0, tmp_path / "out", audio_format=format)
    assert {soundfile.info(path).subtype for path in paths[:-1]} == {subtype}
    audio, _ = exported(tmp_path / "out")["0_mix"]
    assert np.abs(audio.T - open_shards(made.folder)[0].mix).max() <= (0 if format == "wav" else 2**-24)


def test_full_scale_exactly(make_set, tmp_path):
    """A peak of exactly 1.0 does not fit into 24 bits without gain."""
    columns = (Column("mix", 3, -1),)
    signal = {0: np.linspace([-1, 0], [1, 0.5], 2000, dtype=np.float32, axis=1)}
    made = make_set(
        dtype="float32", columns=columns, splits={"train": [[0]]}, signal=lambda clip, name: signal[clip]
    )
    export_clip(made.folder, 0, tmp_path / "out", audio_format="flac")
    audio, _ = exported(tmp_path / "out")["0_mix"]
    assert json.loads((tmp_path / "out" / "clip.json").read_text())["gain"] == 0.5
    assert np.abs(audio.T - 0.5 * signal[0]).max() <= 2**-24


def test_about(make_set, tmp_path):
    made = make_set()
    export_clip(made.folder, 1, tmp_path / "out", split="validation")
    about = json.loads((tmp_path / "out" / "clip.json").read_text())
    clip = open_shards(made.folder, "validation")[1]
    assert (about["split"], about["clip"], about["track"], about["start"]) == (
        "validation",
        1,
        "Track00007",
        17.5,
    )
    assert about["query"] == {"track": "Träck00008", "start": 35.0, "file": "query.wav"}
    assert {name: node["state"] for name, node in about["nodes"].items()} == {
        column.name: clip.state(column.name) for column in clip.shards.nodes
    }
    for name, node in about["nodes"].items():
        sounding = node["state"] == "sounding"
        assert (node["file"] is not None) == sounding == (node["rms_dbfs"] is not None)
        if sounding:
            assert (tmp_path / "out" / node["file"]).is_file()
            assert node["rms_dbfs"] == pytest.approx(clip.rms(name), abs=0.006)
    assert about["nodes"]["flutes"]["parent"] == "winds"


def test_withheld_nodes_are_said(make_set, tmp_path):
    made = make_set()
    shards = open_shards(made.folder, "train")
    hit = int(np.argmin(shards.mask("leaf-50")[:, -1]))
    export_clip(made.folder, hit, tmp_path / "out", split="train")
    nodes = json.loads((tmp_path / "out" / "clip.json").read_text())["nodes"]
    assert nodes["flutes"]["withheld_by"] == ["leaf-50", "all-50"]
    assert nodes["winds"]["withheld_by"] == ["all-50"]


def test_categories_have_names_of_their_own(make_set, formula, tmp_path):
    columns = (Column("mix", 2, -1), Column("flutes", 1, 0), Column("flute", 0, 1))
    made = make_set(
        columns=columns, signal=lambda clip, name: formula.node(clip, "flutes"), splits={"train": [[0]]}
    )
    names = {path.name for path in export_clip(made.folder, 0, tmp_path / "out")}
    assert names == {"0_mix.wav", "1_flutes.wav", "category_flute.wav", "query.wav", "clip.json"}


def test_default_split_is_the_first_with_clips(make_set, tmp_path):
    made = make_set(splits={"train": [], "test": [[5]]})
    export_clip(made.folder, 0, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "clip.json").read_text())["split"] == "test"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((6,), {"split": "train"}, "split train has 6 clips, numbered from 0; there is no clip 6"),
        ((0,), {"split": "test"}, "split test has 0 clips"),
        ((-1,), {}, "there is no clip -1"),
        ((0,), {"split": "tran"}, "did you mean train"),
        ((0,), {"audio_format": "mp3"}, "flac or wav, not 'mp3'"),
    ],
)
def test_wrong_use(shared_set, tmp_path, arguments, options, message):
    with pytest.raises(InputError, match=message):
        export_clip(shared_set.folder, *arguments, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()

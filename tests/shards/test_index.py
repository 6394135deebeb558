"""index.json is read strictly: anything off is one clear error."""

from __future__ import annotations

import json
import os
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slakh_hier.errors import InputError, ShardError
from slakh_hier.shards.index import Index, read_index, write_index


def test_round_trip(make_set):
    made = make_set()
    index = read_index(made.folder)
    assert index == made.index
    before = (made.folder / "index.json").read_bytes()
    write_index(made.folder, index)
    assert (made.folder / "index.json").read_bytes() == before
    assert index.clips == 8
    assert index.columns == made.columns


def test_clips_that_were_left_out_keep_their_numbers(make_set):
    made = make_set()
    raw = json.loads((made.folder / "index.json").read_text())
    raw["shards"][1]["first_clip"] = 5
    with pytest.raises(ValueError, match="out of order"):
        Index.model_validate_json(json.dumps(raw))
    raw["failures"] = 1
    assert Index.model_validate_json(json.dumps(raw)).shards[1].first_clip == 5


def edit(*path, value):
    def change(raw):
        for key in path[:-1]:
            raw = raw[key]
        raw[path[-1]] = value

    return change


OFF = {
    "unknown key": (edit("extra", value=1), "extra: Extra inputs"),
    "wrong type": (edit("shards", 0, "clips", value="4"), r"shards\.0\.clips: Input should be a valid int"),
    "float for int": (edit("sample_rate", value=8000.5), "sample_rate"),
    "negative": (edit("shards", 0, "bytes", value=-1), r"shards\.0\.bytes"),
    "huge": (edit("shards", 0, "bytes", value=10**30), r"shards\.0\.bytes"),
    "no digest": (edit("plan_digest", value="abc"), "plan_digest"),
    "digest with newline": (edit("plan_digest", value="a" * 64 + "\n"), "plan_digest"),
    "other format": (edit("format", value="x"), "is not the index of a shard set"),
    "newer": (
        edit("format_version", value=3),
        "format version 3; this slakh-hier reads version 2. Update",
    ),
    "older": (
        edit("format_version", value=1),
        "format version 1; this slakh-hier reads version 2. Run the same slakh-hier render command again with --overwrite",
    ),
    "channels": (edit("channels", value=3), "channels: Input should be less than or equal to 2"),
    "version is text": (edit("format_version", value="1"), "format_version"),
    "file twice": (edit("shards", 1, "file", value="train-00000.h5"), "'train-00000.h5' is listed twice"),
    "file twice but for case": (edit("shards", 1, "file", value="TRAIN-00000.h5"), "listed twice"),
    "path": (edit("shards", 0, "file", value="../x.h5"), r"shards\.0\.file"),
    "split not listed": (edit("splits", value=["train"]), "splits does not list"),
    "split twice": (edit("splits", value=["train", "validation", "train"]), "'train' is listed twice"),
    "split steers the terminal": (edit("splits", 2, value="\x1b[2J"), r"splits\.2"),
    "order of splits": (edit("splits", value=["validation", "train", "test"]), "out of order"),
    "gap": (edit("shards", 1, "first_clip", value=5), "clip 5 of train, which is out of order"),
    "overlap": (edit("shards", 1, "first_clip", value=3), "out of order"),
    "samples": (edit("samples", value=2001), "not clip_seconds x sample_rate"),
    "no nodes": (edit("nodes", value=[]), "must be the mix"),
    "node name": (edit("nodes", 1, "name", value="../x"), "names files too"),
    "parent": (edit("nodes", 1, "parent", value=5), "parents stand before children"),
    "mask name": (edit("masks", 0, "name", value="leaf-51"), "is called leaf-50"),
    "mask twice": (lambda raw: raw["masks"].append(raw["masks"][0]), "'leaf-50' is listed twice"),
    "mask type": (
        edit("masks", 0, "type", value="leef"),
        r"masks\.0\.type: .*no kind of mask is called 'leef' \(there are leaf, all\)",
    ),
    "mask percentage": (edit("masks", 0, "percent", value=1e9), r"masks\.0\.percent"),
    "mask path": (edit("masks", 0, "file", value="masks/../x.h5"), r"masks\.0"),
    "mask without digest": (edit("masks", 0, "file", value="masks/x.h5"), "come together"),
    "list": (lambda raw: raw.clear(), "is not the index"),
}


@pytest.mark.parametrize("name", OFF)
def test_what_is_off_is_named(make_set, name):
    change, message = OFF[name]
    made = make_set()
    made.rewrite_index(change)
    with pytest.raises(ShardError, match=message) as caught:
        read_index(made.folder)
    assert str(made.folder / "index.json") in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[" * 100_000, b"\xff\xfe{}", b"[]", b"null", b'{"format": "slakh-hier-shards"}', b"NaN"],
)
def test_no_json(make_set, data):
    made = make_set()
    (made.folder / "index.json").write_bytes(data)
    with pytest.raises(ShardError, match=r"index\.json"):
        read_index(made.folder)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/etc/passwd", path)])
def test_no_regular_file(make_set, make):
    made = make_set()
    (made.folder / "index.json").unlink()
    make(made.folder / "index.json")
    with pytest.raises(ShardError, match=r"index\.json"):
        read_index(made.folder)


def test_gigantic_index_is_not_read(make_set):
    made = make_set()
    with open(made.folder / "index.json", "r+b") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(ShardError, match="1099511627776 bytes; at most 67108864 are read"):
        read_index(made.folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(data=st.data())
def test_any_change_is_read_or_refused(bounded, tmp_path_factory, shared_set, data):
    """Replace any one value by any JSON: the index is valid, or the error is ours."""
    raw = json.loads((shared_set.folder / "index.json").read_text())
    place = raw
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JSON)
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "index.json").write_text(json.dumps(raw))
    with bounded():
        try:
            assert isinstance(read_index(folder), Index)
        except (ShardError, InputError) as error:
            assert len(str(error)) < 2000  # noqa: PT017


def test_deep_json_does_not_end_the_process(make_set):
    made = make_set()
    made.rewrite_index(lambda raw: None)
    text = (made.folder / "index.json").read_text()
    deep = "[" * (sys.getrecursionlimit() * 2) + "]" * (sys.getrecursionlimit() * 2)
    (made.folder / "index.json").write_text(text.replace('{"seed": 588}', f'{{"seed": {deep}}}'))
    with pytest.raises(ShardError):
        read_index(made.folder)

"""The same audio in two splits, under other names, is reported by a deep scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.slakh import scan
from slakh_hier.slakh.duplicates import shared_audio


@pytest.fixture(params=["flac", "wav"])
def root(request: pytest.FixtureRequest, tmp_path: Path, little_slakh: Callable[..., Path]) -> Path:
    return little_slakh(tmp_path / "slakh", tracks=4, seconds=2, stems=2, audio_format=request.param)


def stems(root: Path, split: str) -> list[Path]:
    return sorted(root.glob(f"{split}/*/stems/S0*"))


def test_the_same_audio_in_two_splits(root: Path, tree: Hierarchy) -> None:
    assert scan(root, tree, deep=True).problems == []
    train, test = stems(root, "train"), stems(root, "test")
    for one, other in zip(train[:2], test[1::-1], strict=True):  # in another order
        other.write_bytes(one.read_bytes())
    first, last = train[0].parents[1].name, test[0].parents[1].name
    named = (
        rf"the same audio lies in more than one split: {first} \(train\) and {last} \(test\): 2 stems; move"
    )
    with pytest.warns(SlakhHierWarning, match=named):
        assert len(scan(root, tree, deep=True).problems) == 1
    with pytest.raises(InputError, match=named):
        scan(root, tree, deep=True, strict=True)
    assert scan(root, tree).problems == []  # the MD5 of FLAC files is not checked then


def test_coded_otherwise_it_is_the_same_audio(root: Path, tree: Hierarchy) -> None:
    samples, rate = soundfile.read(stems(root, "train")[0], dtype="int16")
    place = stems(root, "test")[0]
    place.unlink()
    soundfile.write(
        place.with_suffix({".flac": ".wav", ".wav": ".flac"}[place.suffix]), samples, rate, subtype="PCM_16"
    )
    with pytest.warns(SlakhHierWarning, match="1 stem; move"):
        scan(root, tree, deep=True)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_silence_may_be_anywhere(root: Path, tree: Hierarchy, subtype: str) -> None:
    for split in ("train", "test"):
        place = stems(root, split)[0]
        if subtype == "FLOAT":  # which FLAC has not
            place.unlink()
            place = place.with_suffix(".wav")
        soundfile.write(place, np.zeros((8000, 2)), 8000, subtype=subtype)
    catalog = scan(root, tree, deep=True)
    assert catalog.problems == []
    contents = catalog.frame["content"]
    assert contents.duplicated().sum() == 1
    loud = catalog.frame.assign(frames=catalog.frame["frames"] + 1)  # of which these contents are no silence
    assert sum(shared_audio(loud).values()) == 1

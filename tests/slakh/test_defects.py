"""What a scan says of each defect that make_slakh can put into a data set."""

from __future__ import annotations

import warnings

import pytest

from slakh_hier.slakh import scan
from slakh_hier.testing import DEFECTS, make_slakh

# name: (status and reason of a plain scan, of a deep one); None: the stem is as it would be
STEMS = {
    "missing_stem": (("missing", "no file; the metadata say that it was rendered"), None),
    "unrendered_stem": (("no_audio", "no file"), None),
    "stem_without_metadata": (("unassigned", "the metadata do not name this stem"), None),
    "truncated_flac": (("audio", ""), ("broken", "decoding fails")),
    "bit_flip": (("audio", ""), ("broken", "")),
    "wrong_rate": (("broken", "its sample rate is 48000 Hz, the track's is 16000 Hz"), None),
    "stereo_stem": (("audio", ""), None),
    "nan": (("audio", ""), ("broken", "holds NaN or Inf at 1.00 s")),
    "not_audio": (("broken", "Git LFS pointer"), None),
    "shorter_stem": (("audio", ""), None),
    "silent_stem": (("audio", ""), None),
    "white_noise": (("excluded", "white noise"), None),
    "unassigned_program": (("unassigned", "103"), None),
    "symlink_out": (("broken", "points outside the data set"), None),
}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", STEMS)
def test_stem(tmp_path, tree, name, deep, little_slakh):
    kind = {"tracks": 3, "stems": 6, "seconds": 2.0, "sample_rate": 16000}
    whole = little_slakh(tmp_path / "whole", **kind)
    root = little_slakh(tmp_path / "set", **kind, defects=[name])
    defect = DEFECTS[name]
    track = f"Track{defect.track:05d}"
    frame = scan(root, tree, deep=deep).frame
    row = frame[(frame["track"] == track) & (frame["stem"] == defect.stem)].squeeze()
    status, words = (STEMS[name][1] if deep else None) or STEMS[name][0]
    assert row["status"] == status
    assert words in row["why"]
    # all others are as without the defect
    columns = ["track", "stem", "path", "frames", "sample_rate", "category", "status", "why"]
    others = scan(whole, tree).frame[columns]
    hit = (others["track"] == track) & (others["stem"] == defect.stem)
    rest = frame[~((frame["track"] == track) & (frame["stem"] == defect.stem))][columns]
    assert rest.to_numpy().tolist() == others[~hit].to_numpy().tolist()
    if name == "shorter_stem":
        assert row["frames"] == 24000


def test_lying_metadata(tmp_path, tree):
    kind = {"tracks": 3, "stems": 4, "seconds": 0.5, "sample_rate": 16000, "every_category": False}
    honest = scan(make_slakh(tmp_path / "honest", **kind), tree)
    lying = scan(make_slakh(tmp_path / "lying", defects=["lying_metadata"], **kind), tree)
    assert lying.digest == honest.digest
    assert lying.usable["path"].tolist() == honest.usable["path"].tolist()
    assert all((lying.root / path).is_file() for path in lying.usable["path"])


def test_unreadable_metadata(tmp_path, tree):
    root = make_slakh(
        tmp_path / "set", tracks=4, stems=2, seconds=0.5, sample_rate=8000, defects=["unreadable_metadata"]
    )
    catalog = scan(root, tree)
    assert set(catalog.frame["track"]) == {"Track00001", "Track00002", "Track00003"}
    assert len(catalog.skipped) == 1
    assert catalog.skipped[0].startswith("test/Track00004/metadata.yaml:")
    assert catalog.skipped[0].endswith("the track is skipped")
    assert catalog.problems == catalog.skipped


def test_duplicate_song(tmp_path, tree):
    root = make_slakh(
        tmp_path / "set", tracks=3, stems=2, seconds=0.5, sample_rate=8000, defects=["duplicate_song"]
    )
    with pytest.warns(match=r"Track00001 \(train\) and Track00003 \(test\)"):
        scan(root, tree)


def test_all_together(tmp_path, tree):
    root = make_slakh(tmp_path / "set", seconds=1.0, sample_rate=16000, defects=list(DEFECTS))
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        catalog = scan(root, tree, deep=True)
    counts = catalog.frame["status"].value_counts().to_dict()
    assert {
        status: counts[status] for status in ("no_audio", "missing", "broken", "excluded", "unassigned")
    } == {
        "no_audio": 1,
        "missing": 1,
        "broken": 6,
        "excluded": 1,
        "unassigned": 2,
    }
    assert len(catalog.problems) == 2
    assert set(DEFECTS) == set(STEMS) | {"lying_metadata", "unreadable_metadata", "duplicate_song"}

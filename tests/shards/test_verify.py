"""``verify`` finds each planted fault, names the file, says what to do, and finds nothing in a whole set."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column, parse_hierarchy
from slakh_hier.shards.format import ABSENT
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask, remove_mask
from slakh_hier.shards.verify import AGAIN, OTHERWISE, verify

PATH = (Column("mix", 3, -1), Column("strings", 2, 0), Column("high_strings", 1, 1))


def with_categories(formula):
    def signal(clip, name):
        if name in ("violin", "viola"):
            high = formula.node(clip, "high_strings")
            return None if high is None else high * np.float32({"violin": 0.25, "viola": 0.75}[name])
        return formula.node(clip, {"cello": "low_strings", "flute": "flutes"}.get(name, name))

    return signal


def all_findings(made, **options):
    return verify(made.folder, full=True, jobs=1, **options)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_whole_sets(make_set, formula, dtype):
    assert all_findings(make_set("nodes", dtype=dtype)) == []
    assert all_findings(make_set("path", dtype=dtype, columns=PATH)) == []
    categories = make_set(
        "categories",
        dtype=dtype,
        columns=parse_hierarchy(formula.TREE, "little.yaml").columns([0, 1]),
        signal=with_categories(formula),
    )
    assert all_findings(categories) == []
    assert all_findings(make_set("empty", splits={"train": [], "test": []})) == []


def test_added_and_removed_masks(make_set):
    made = make_set()
    add_mask(made.folder, Mask("leaf", 90))
    add_mask(made.folder, Mask("all", 34, "bernoulli", seed=3))
    remove_mask(made.folder, "leaf-50")
    assert all_findings(made) == []


def test_parallel_and_progress(make_set):
    made = make_set()
    stages = []

    class Recorded:
        def stage(self, description, total, unit):
            from contextlib import contextmanager

            @contextmanager
            def entered():
                done = []
                yield done.append
                stages.append((description, total, sum(done), unit))

            return entered()

    made.edit(1, lambda file: file["audio"].__setitem__((0, 1, 5), 12_345))
    findings = verify(made.folder, full=True, jobs=2, progress=Recorded())
    assert findings == all_findings(made)
    assert len(findings) == 1
    assert [(name, unit) for name, _, _, unit in stages] == [("check", "shards"), ("read", "MB")]
    assert all(total == pytest.approx(done) for _, total, done, _ in stages)


class TestDamagedFiles:
    """Quick checks find what changes the size or the structure, full ones any byte."""

    def one(self, made, file, what, *, full=True, advice=AGAIN):
        findings = verify(made.folder, full=full, jobs=1)
        assert [(finding.file, finding.advice) for finding in findings] == [(file, advice)]
        assert what in findings[0].what

    def test_deleted(self, make_set):
        made = make_set()
        made.file(1).unlink()
        self.one(made, "train-00001.h5", "is not there", full=False)

    def test_truncated(self, make_set):
        made = make_set()
        made.file(2).write_bytes(made.file(2).read_bytes()[:-1])
        self.one(made, "validation-00000.h5", "bytes, but the index says", full=False)

    def test_flipped_bit_in_audio(self, make_set):
        made = make_set()
        data = bytearray(made.file().read_bytes())
        data[len(data) // 2] ^= 1
        made.file().write_bytes(data)
        self.one(made, "train-00000.h5", "sha256 differs")

    def test_flipped_bit_with_a_digest_to_match(self, make_set):
        made = make_set()
        with_checksum = bytearray(made.file().read_bytes())
        with_checksum[len(with_checksum) // 2] ^= 1
        made.replace(0, bytes(with_checksum))
        self.one(made, "train-00000.h5", "damaged")

    def test_shard_of_another_set(self, make_set):
        made, other = make_set("a"), make_set("b", plan_digest="cd" * 32)
        shutil.copy(other.file(), made.file())
        self.one(made, "train-00000.h5", "another set or place", full=False)

    def test_every_fault_is_listed(self, make_set):
        made = make_set()
        for number in range(3):
            made.file(number).unlink()
        (made.folder / "plan.yaml").unlink()
        assert len(verify(made.folder)) == 4

    def test_no_index(self, make_set):
        made = make_set()
        (made.folder / "index.json").unlink()
        (finding,) = verify(made.folder)
        assert finding.file == "index.json"
        assert "unfinished" in finding.what
        assert "render" in finding.advice

    def test_index_is_damaged(self, make_set):
        made = make_set()
        made.rewrite_index(lambda raw: raw.pop("nodes"))
        (finding,) = verify(made.folder)
        assert (finding.file, finding.what) == ("index.json", "nodes: Field required")

    def test_no_set(self, tmp_path):
        with pytest.raises(InputError, match="no shards"):
            verify(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("plan.yaml", None, "cannot be read: No such file"),
        ("plan.yaml", "digest: abc\n", "its bytes changed"),
        ("hierarchy.yaml", None, "cannot be read: No such file"),
        ("hierarchy.yaml", "schema: 1\n", "is damaged"),
        ("hierarchy.yaml", b"\xff", "not UTF-8"),
    ],
)
def test_plan_and_tree(make_set, name, content, what):
    made = make_set()
    path = made.folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (finding,) = all_findings(made)
    assert finding.file == name
    assert what in finding.what


def test_other_tree(make_set, formula):
    made = make_set()
    (made.folder / "hierarchy.yaml").write_text(formula.TREE.replace("[73]", "[74]"))
    assert [finding.what for finding in verify(made.folder)] == [
        "is not the tree of these shards (its digest differs)"
    ]
    (made.folder / "hierarchy.yaml").write_text("# a comment changes nothing\n" + formula.TREE)
    assert verify(made.folder) == []


def test_strays(make_set):
    made = make_set()
    add_mask(made.folder, Mask("leaf", 90))
    for name in ("train-00007.h5", "masks/leaf-10.h5", ".tmp-abc", "masks/.tmp-abc"):
        (made.folder / name).write_bytes(b"")
    (made.folder / "notes.txt").write_text("of no concern")
    assert [finding.file for finding in verify(made.folder)] == [
        ".tmp-abc", "masks/.tmp-abc", "masks/leaf-10.h5", "train-00007.h5",
    ]  # fmt: skip


def put(path, place, value):
    return lambda file: file[path].__setitem__(place, value)


def put_node(place, row, rms):
    """Another row and level of a node in the shard's first clip."""

    def change(file):
        put("row", (0, place), row)(file)
        put("rms", (0, place), rms)(file)

    return change


class TestContents:
    """The file is as its index says, but what it says cannot be."""

    def found(self, made, *, full=False):
        findings = verify(made.folder, full=full, jobs=1)
        assert all(finding.advice in (OTHERWISE, AGAIN) for finding in findings)
        return {finding.what for finding in findings}

    def only(self, made, what, *, full=False):
        found = self.found(made, full=full)
        assert len(found) == 1, found
        assert what in found.pop()

    @pytest.mark.parametrize(("steps", "wrong"), [(1, False), (4, True)])
    @pytest.mark.parametrize("node", ["mix", "strings"])
    def test_sums(self, make_set, formula, node, steps, wrong):
        def signal(clip, name):
            samples = formula.node(clip, name)
            if samples is not None and name == node and clip == 2:
                samples = samples.copy()
                samples[1, 101] += np.float32(steps / 32768)
            return samples

        made = make_set(signal=signal)
        assert self.found(made) == set()
        if not wrong:
            assert self.found(made, full=True) == set()
        else:
            self.only(made, "a node is not the sum of its children: ", full=True)
            assert "in clip 2 of the shard" in self.found(made, full=True).pop()

    def test_sums_of_categories(self, make_set, formula):
        right = with_categories(formula)

        def signal(clip, name):
            return right(clip, name) if (clip, name) != (4, "viola") else right(clip, name) * np.float32(0.99)

        made = make_set(columns=parse_hierarchy(formula.TREE, "little.yaml").columns([0, 1]), signal=signal)
        self.only(made, "high_strings in clip 0 of the shard (Track00004 at 10 s)", full=True)

    def test_float_sums(self, make_set, formula):
        def signal(clip, name):
            samples = formula.node(clip, name)
            return samples if name != "mix" else samples + np.float32(1e-4)

        found = self.found(make_set(dtype="float32", signal=signal), full=True)
        assert any("sum of its children" in what for what in found)

    @pytest.mark.parametrize(("decibel", "wrong"), [(0.05, False), (0.15, True)])
    def test_levels(self, make_set, decibel, wrong):
        made = make_set()
        made.edit(0, lambda file: put("rms", (1, 0), file["rms"][1, 0] + decibel)(file))
        assert self.found(made) == set()
        if wrong:
            self.only(made, "a level is not that of the audio: mix in clip 1", full=True)
        else:
            assert self.found(made, full=True) == set()

    @pytest.mark.parametrize(
        ("row", "rms", "what"),
        [
            (-1, -3.0, "a node that is absent has a level"),
            (-2, np.nan, "a node that is silent has a level"),
            (0, np.nan, "a node that sounds has no level"),
            (0, -np.inf, "a node that sounds has no level"),
            (0, np.inf, "a node that sounds has no level"),
        ],
    )
    def test_states_and_levels(self, make_set, row, rms, what):
        made = make_set()
        made.edit(0, put_node(5, row, rms))
        assert any(found.startswith(f"{what}: flutes in clip 0") for found in self.found(made))

    def test_parent_is_absent(self, make_set):
        made = make_set()
        made.edit(0, put_node(2, ABSENT, np.nan))
        self.only(made, "winds is absent, but not its child: flutes in clip 0")

    def test_children_are_absent(self, make_set):
        made = make_set()
        made.edit(0, put_node(5, ABSENT, np.nan))
        self.only(made, "a node is there, but none of its children: winds in clip 0")

    def test_mixture_is_absent(self, make_set):
        made = make_set()
        made.edit(0, put_node(0, ABSENT, np.nan))
        assert any(found.startswith("the mixture is absent: mix in clip 0") for found in self.found(made))

    def test_unused_row(self, make_set):
        made = make_set()
        made.edit(0, lambda file: put("row", (0, 0), file["row"][0, 1])(file))
        assert any(found.startswith("a row belongs to no clip: row 0 ") for found in self.found(made))

    def test_scale_below_one(self, make_set):
        made = make_set()
        made.edit(0, put("scale", 1, 0.5))
        self.only(made, "a scale is wrong: 0.5 in row 1")

    def test_scale_of_floats(self, make_set):
        made = make_set(dtype="float32")
        made.edit(0, put("scale", 1, 2.0))
        self.only(made, "a scale is wrong: 2 in row 1")

    def test_not_finite(self, make_set):
        made = make_set(dtype="float32")
        made.edit(0, put("audio", (0, 1, 7), np.inf))
        self.only(made, "a signal holds NaN or Inf: row 0", full=True)

    def test_a_row_of_zeros(self, make_set):
        made = make_set(dtype="float32")
        made.edit(0, put("audio", 0, 0.0))
        assert any(
            found.startswith("a row holds nothing but zeros, and counts as sounding: row 0")
            for found in self.found(made, full=True)
        )

    def test_start_and_query(self, make_set):
        made = make_set(masks=[])
        made.edit(0, put("clip/start", 1, np.nan))
        self.only(made, "a clip's start is not a time")
        made = make_set("query")
        made.edit(0, put("clip/query_start", 0, np.nan))
        self.only(made, "a query is there in part only: mix in clip 0")

    def test_clip_twice(self, make_set):
        made = make_set(splits={"train": [[0, 1], [1, 2]]})
        assert any(found.startswith("a clip is there twice: Track00001") for found in self.found(made))


class TestMasks:
    def test_count(self, make_set):
        made = make_set()
        made.edit(1, lambda file: put("masks/leaf-50", ..., ~file["masks/leaf-50"][...])(file))
        (finding,) = verify(made.folder)
        assert "in train-00001.h5" in finding.what
        assert finding.file == "index.json"
        assert finding.what.startswith("mask leaf-50: is wrong for 2 of 8 clips")

    def test_hidden_masks_are_checked_too(self, make_set):
        made = make_set()
        remove_mask(made.folder, "leaf-50")
        made.edit(0, lambda file: put("masks/leaf-50", (0, 0), False)(file))
        assert "mask leaf-50" in verify(made.folder)[0].what

    def test_mask_file(self, make_set):
        made = make_set()
        add_mask(made.folder, Mask("leaf", 90))
        path = made.folder / "masks" / "leaf-90.h5"
        path.write_bytes(path.read_bytes()[:-1])
        (finding,) = verify(made.folder)
        assert finding.file == "masks/leaf-90.h5"
        assert "--remove leaf-90" in finding.advice

    def test_clips_that_were_left_out(self, make_set):
        splits = {"train": [list(range(10)), list(range(10, 20))], "test": [[20, 21]]}
        made = make_set(splits=splits, left_out=[3, 12, 21], masks=["leaf:50", "all:10", "leaf:90"])
        add_mask(made.folder, Mask("leaf", 30))  # counts what is left
        add_mask(made.folder, Mask("leaf", 40, "bernoulli"))
        assert all_findings(made) == []
        made.edit(0, lambda file: put("masks/leaf-50", ..., ~file["masks/leaf-50"][...])(file))
        assert any("mask leaf-50: " in finding.what for finding in verify(made.folder))

    def test_left_out_and_withheld_elsewhere(self, make_set):
        made = make_set(splits={"train": [[0, 1, 2, 3]], "test": [[4, 5]]}, left_out=[5], masks=["all:50"])
        made.edit(1, put("masks/all-50", (0, 0), False))
        assert "of another split than train" in verify(made.folder)[0].what

    def test_left_out_and_all_withheld(self, make_set):
        made = make_set(splits={"train": [list(range(10))]}, left_out=[5], masks=["all:50"])
        made.edit(0, put("masks/all-50", ..., False))
        assert "withholds 9 training clips, between 3 and 5 are right" in verify(made.folder)[0].what

    def test_left_out_and_no_fine_nodes(self, make_set):
        columns = (
            Column("mix", 3, -1),
            Column("strings", 2, 0),
            Column("winds", 2, 0),
            Column("unassigned", 1, 0),
        )
        made = make_set(
            columns=columns[:3], splits={"train": [list(range(10))]}, left_out=[5], masks=["leaf:50"]
        )
        assert verify(made.folder) == []

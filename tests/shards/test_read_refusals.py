"""What the reader refuses: wrong names and numbers, and files that do not belong to the set."""

from __future__ import annotations

import os

import numpy as np
import pytest

from slakh_hier.errors import InputError, ShardError
from slakh_hier.shards import open_shards
from slakh_hier.shards.mask import Mask


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s["string"], "did you mean strings"),
        (lambda s: s.available("leaf-5"), "did you mean leaf-50.*slakh-hier mask"),
        (lambda s: s.shards.node("x"), "there are mix, strings"),
        (lambda s: open_shards(s.shards.folder, "tarin"), "did you mean train"),
        (lambda s: open_shards(s.shards.folder, max_open=0), "1 or more"),
    ],
)
def test_wrong_names(shared_set, call, message):
    clip = open_shards(shared_set.folder)[0]
    with pytest.raises(InputError, match=message):
        call(clip)


def test_an_open_file_is_no_set(shared_set):
    """Forked processes would share its position, and get each other's rows."""
    with open(shared_set.file(), "rb") as file, pytest.raises(TypeError, match="PathLike"):
        open_shards(file)


@pytest.mark.parametrize("number", [8, -9])
def test_index_error(shared_set, number):
    with pytest.raises(IndexError, match="of 8 clips"):
        open_shards(shared_set.folder)[number]


def test_too_many_open_files_are_no_damage(make_set, monkeypatch):
    import h5py

    shards = open_shards(make_set().folder)

    def fails(*arguments, **options):
        raise OSError(24, "Unable to synchronously open file (unable to open file: errno = 24)")

    monkeypatch.setattr(h5py, "File", fails)
    with pytest.raises(
        ShardError, match=r"train-00000\.h5: cannot be opened: Too many open files\. .*ulimit -n"
    ):
        shards[0].mix  # noqa: B018


class TestWhatDoesNotBelong:
    def test_unfinished(self, make_set):
        made = make_set()
        (made.folder / "index.json").unlink()
        with pytest.raises(ShardError, match=r"unfinished.*render command again"):
            open_shards(made.folder)

    def test_no_set(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            open_shards(tmp_path / "nowhere")
        with pytest.raises(InputError, match="holds no shards"):
            open_shards(tmp_path)

    def test_shard_is_missing(self, make_set):
        made = make_set()
        made.file(1).unlink()
        with pytest.raises(ShardError, match=r"train-00001\.h5: is not there"):
            open_shards(made.folder)
        assert len(open_shards(made.folder, "validation")) == 2

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"plan_digest": "cd" * 32}, "plan_digest"),
            ({"split": "validation"}, "split"),
            ({"first_clip": 4}, "first_clip"),
        ],
    )
    def test_shard_of_another_set_or_place(self, make_set, formula, options, what):
        made = make_set()
        masks = {Mask(kind, 50): np.ones((4, len(formula.COLUMNS)), bool) for kind in ("leaf", "all")}
        data, _ = formula.build([0, 1, 2, 3], masks=masks, **options)
        made.replace(0, data)
        with pytest.raises(ShardError, match=f"another set or place: {what} is"):
            open_shards(made.folder)

    def test_shards_exchanged(self, make_set):
        made = make_set(
            splits={"train": [[0, 1, 3], [105, 106, 108]]}
        )  # states repeat, so that sizes are equal
        one, two = made.file(0).read_bytes(), made.file(1).read_bytes()
        assert len(one) == len(two)
        made.file(0).write_bytes(two)
        made.file(1).write_bytes(one)
        with pytest.raises(ShardError, match="first_clip is 3, but the index says 0"):
            open_shards(made.folder)

    def test_size(self, make_set):
        made = make_set()
        with open(made.file(), "ab") as file:
            file.write(b"\0")
        with pytest.raises(ShardError, match="bytes, but the index says"):
            open_shards(made.folder)

    def test_file_replaced_after_opening(self, make_set, formula):
        made = make_set()
        shards = open_shards(made.folder)
        other = formula.build([0, 1, 2, 3], plan_digest="cd" * 32)[0]
        size = made.file().stat().st_size
        made.file().unlink()
        made.file().write_bytes(other.ljust(size, b"\0")[:size])
        with pytest.raises(ShardError, match=r"train-00000\.h5"):
            shards[0].mix  # noqa: B018

    def test_damaged_row(self, make_set):
        made = make_set()
        shards = open_shards(made.folder)
        data = bytearray(made.file().read_bytes())
        place = data.find((shards.audio_row(0, 0) * 32768).astype(np.int16).tobytes()[:64])
        assert place > 0
        data[place + 20] ^= 1
        made.file().write_bytes(data)
        shards = open_shards(made.folder)  # the structure is whole
        with pytest.raises(ShardError, match=r"train-00000\.h5: row 0 of /audio is damaged"):
            shards.audio_row(0, 0)
        assert shards[1].mix.any()


def test_permission(make_set):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    made = make_set()
    made.file().chmod(0)
    with pytest.raises(ShardError, match="Permission denied"):
        open_shards(made.folder)

"""Checkpoint files: whole or not there, plain values only, damage noticed."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from slakh_hier.errors import FaultError, InputError
from slakh_hier.files import publish, sha256
from slakh_hier.models.checkpoints import SafeCheckpointIO, check, newest, refuse_objects, sidecar, step_of

IO = SafeCheckpointIO()
STATE: dict[str, Any] = {
    "tensors": OrderedDict(a=torch.arange(3), b=torch.zeros(2, dtype=torch.bfloat16)),
    "numbers": [1, 2.5, True, None, "text", (0.9, 0.999), {3}],
}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.ckpt"
    IO.save_checkpoint(STATE, path)
    loaded = IO.load_checkpoint(path)
    assert loaded["numbers"] == STATE["numbers"]
    assert torch.equal(loaded["tensors"]["a"], torch.arange(3))
    done = subprocess.run(
        ["sha256sum", "-c", sidecar(path).name], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0
    IO.remove_checkpoint(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [np.float64(1.0), np.zeros(2), Path("x"), {"deep": [np.int64(3)]}, torch.nn.Linear(1, 1), object()],
    ids=lambda value: type(value).__name__,
)
def test_objects_are_refused_when_saving(value: object, tmp_path: Path) -> None:
    with pytest.raises(FaultError, match=r"checkpoint\['loss'\].*without pickle"):
        IO.save_checkpoint({"loss": value}, tmp_path / "step-00000001.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_everything_accepted_can_be_loaded() -> None:
    """The list of plain types is not longer than what torch takes."""
    refuse_objects(STATE)
    image = io.BytesIO()
    torch.save(STATE, image)
    image.seek(0)
    torch.load(image, weights_only=True)


@pytest.mark.parametrize("place", [0.01, 0.5, 0.99])
def test_one_flipped_bit_is_noticed(place: float, tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.ckpt"
    IO.save_checkpoint(STATE, path)
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 4
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        IO.load_checkpoint(path)


def test_pickled_code_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "owned"),)

    path = tmp_path / "step-00000001.ckpt"
    for save in (torch.save, lambda value, file: pickle.dump(value, file, 2)):
        image = io.BytesIO()
        save({"state": Evil()}, image)
        publish(path, image.getvalue())
        publish(sidecar(path), sha256(image.getvalue()).encode())
        with pytest.raises(InputError, match="is not a checkpoint that can be read safely"):
            IO.load_checkpoint(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (3, "has checkpoint format 3; this slakh-hier reads format 2. Update slakh-hier"),
        (0, "has checkpoint format none, this .* Resume with the version that wrote it"),
        (None, "has checkpoint format none, this .* or start the training again with --overwrite"),
        ("1", "has checkpoint format 1, this"),
    ],
)
def test_another_format_version_is_refused(version: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "step-00000001.ckpt"
    image = io.BytesIO()
    torch.save(STATE if version is None else {**STATE, "slakh_hier_format_version": version}, image)
    publish(path, image.getvalue())
    publish(sidecar(path), sha256(image.getvalue()).encode())
    with pytest.raises(InputError, match=message):
        IO.load_checkpoint(path)


def test_a_checkpoint_without_sidecar_is_not_there(tmp_path: Path) -> None:
    """A kill between the two files: the one before counts."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    assert newest(tmp_path) is None
    for step in (5, 10):
        IO.save_checkpoint(STATE, folder / f"step-{step:08d}.ckpt")
    (folder / "step-00000015.ckpt").write_bytes(b"half")
    (folder / "step-99.ckpt").write_bytes(b"")
    last = newest(tmp_path)
    assert last is not None
    assert step_of(last) == 10
    with pytest.raises(InputError, match="unfinished"):
        check(folder / "step-00000015.ckpt")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FaultError, match="No space left"):
        IO.save_checkpoint(STATE, tmp_path / "step-00000001.ckpt")
    assert list(tmp_path.iterdir()) == []

"""The bytes of a shard: deterministic, checksummed, quantised as documented."""

from __future__ import annotations

import io
import tracemalloc
from fractions import Fraction

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column
from slakh_hier.shards.format import SILENT, ShardHeader
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.write import ShardBuilder, quantise

SIGNALS = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-40, 40, width=32))


def header(formula, dtype="int16"):
    about = formula.RATE, formula.CHANNELS, formula.SECONDS, formula.SAMPLES, dtype, "train", 0
    return ShardHeader(*about, formula.COLUMNS, formula.PLAN_DIGEST)


@given(SIGNALS)
def test_quantisation_is_off_by_half_a_step_at_most(signal):
    steps, scale = quantise(signal)
    assert steps.dtype == np.int16
    assert np.float32(scale) == scale >= 1
    half = Fraction(scale) / 65536
    slack = 1 + Fraction(1, 10**6)
    for step, sample in zip(steps.tolist(), signal.tolist(), strict=True):
        assert abs(Fraction(step) * Fraction(scale) / 32768 - Fraction(sample)) <= half * slack


@given(SIGNALS)
def test_scale_is_one_unless_a_sample_does_not_fit(signal):
    fits = all(-32768 <= round(Fraction(sample) * 32768) <= 32767 for sample in signal.tolist())
    steps, scale = quantise(signal)
    assert (scale == 1) == fits
    if not fits:
        assert np.abs(steps.astype(int)).max() == 32767  # the peak uses the whole range
        assert scale == pytest.approx(np.abs(signal).max() * 32768 / 32767, rel=2e-7)


def test_quantisation_by_hand():
    signal = np.array([0, 0.5, -1, 1.5 / 32768, 2.5 / 32768, -2.5 / 32768, 32767.4 / 32768], np.float32)
    steps, scale = quantise(signal)
    assert scale == 1
    assert steps.tolist() == [0, 16384, -32768, 2, 2, -2, 32767]  # half to even
    steps, scale = quantise(np.array([2, -1, 0], np.float32))
    assert steps.tolist() == [32767, -16384, 0]
    assert scale == np.float32(2 * 32768 / 32767)


@given(hnp.arrays(np.int16, 30))
def test_sixteen_bit_audio_is_stored_exactly(samples):
    steps, scale = quantise(samples.astype(np.float32) / 32768)
    assert scale == 1
    assert np.array_equal(steps, samples)


def test_same_input_same_bytes(formula):
    one, _ = formula.build([0, 1, 2])
    two, _ = formula.build([0, 1, 2])
    other, _ = formula.build([0, 1, 3])
    assert one == two != other


def test_same_bytes_when_something_keeps_h5py_objects_alive(formula, monkeypatch):
    """HDF5 gives out space as data sets are closed; a profiler that holds frames (dask has one) must not matter."""
    masks = {Mask("leaf", 50): np.ones((3, len(formula.COLUMNS)), bool)}
    expected, _ = formula.build([0, 1, 2], masks=masks)
    held = []
    for name in ("create_dataset", "__getitem__"):
        real = getattr(h5py.File, name)
        monkeypatch.setattr(
            h5py.File, name, lambda *a, real=real, **k: held.append(real(*a, **k)) or held[-1]
        )
    again, _ = formula.build([0, 1, 2], masks=masks)
    assert len(held) > 10
    assert again == expected


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("numbers", [[], [0], [1, 2, 3]])
def test_layout_is_that_of_the_specification(formula, dtype, numbers):
    mask = np.ones((len(numbers), len(formula.COLUMNS)), bool)
    data, rows = formula.build(numbers, dtype=dtype, masks={Mask("leaf", 50): mask})
    assert data[8] == 3  # superblock of HDF5 1.10
    n, c, nodes = formula.SAMPLES, len(numbers), len(formula.COLUMNS)
    expected = {
        "audio": (np.dtype(dtype), (rows, formula.CHANNELS, n)),
        "scale": (np.float32, (rows,)),
        "row": (np.int32, (c, nodes)),
        "rms": (np.float32, (c, nodes)),
        "query_row": (np.int32, (c,)),
        "clip/start": (np.float64, (c,)),
        "clip/query_start": (np.float64, (c,)),
        "node/level": (np.int8, (nodes,)),
        "node/parent": (np.int32, (nodes,)),
        "masks/leaf-50": (np.bool_, (c, nodes)),
    }
    texts = {f"clip/{name}" for name in ("split", "track", "song", "target", "query_track")} | {"node/name"}
    with h5py.File(io.BytesIO(data)) as file:
        found: dict[str, h5py.Dataset] = {}
        file.visititems(
            lambda name, item: found.update({name: item} if isinstance(item, h5py.Dataset) else {})
        )
        assert set(found) == set(expected) | texts
        for name, (kind, shape) in expected.items():
            assert found[name].dtype == kind
            assert found[name].shape == shape
        for name in texts:
            assert found[name].dtype.kind == "S"
            assert h5py.check_string_dtype(found[name].dtype).encoding == "utf-8"
        assert all(item.fletcher32 and item.compression is None for item in found.values())
        assert found["audio"].chunks == (1, formula.CHANNELS, n)
        assert dict(file.attrs) == {
            "format": b"slakh-hier-shard",
            "format_version": 2,
            "sample_rate": formula.RATE,
            "channels": formula.CHANNELS,
            "clip_seconds": formula.SECONDS,
            "split": b"train",
            "first_clip": 0,
            "plan_digest": formula.PLAN_DIGEST.encode(),
            "tool_version": file.attrs["tool_version"],
        }
        assert dict(found["masks/leaf-50"].attrs) == {
            "type": b"leaf",
            "percent": 50,
            "mode": b"exact",
            "seed": 588,
        }


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_plain_h5py_reads_the_formula(formula, dtype):
    numbers = [0, 1, 3, 8]
    data, _ = formula.build(numbers, dtype=dtype)
    with h5py.File(io.BytesIO(data)) as file:
        for place, number in enumerate(numbers):
            for column, about in enumerate(formula.COLUMNS):
                expected = formula.node(number, about.name)
                row = file["row"][place, column]
                if expected is None:
                    assert row == -1
                    assert np.isnan(file["rms"][place, column])
                elif not expected.any():
                    assert row == -2
                    assert file["rms"][place, column] == -np.inf
                else:
                    scale = file["scale"][row] / 32768 if dtype == "int16" else 1
                    error = np.abs(file["audio"][row] * np.float64(scale) - expected).max()
                    assert error <= (file["scale"][row] / 65536 * 1.001 if dtype == "int16" else 0)
        assert file["clip/query_track"][0] == "Träck00001".encode()
        assert file["clip/query_track"][3] == b""


def test_memory_holds_the_shard_once():
    rows, samples = 100, 100_000
    header = ShardHeader(100_000, 1, 1.0, samples, "int16", "train", 0, (Column("mix", 2, -1),), "0" * 64)
    noise = np.random.default_rng(0).normal(size=(1, samples)).astype(np.float32) * 0.1
    import pandas as pd

    names = ["track", "song", "target", "start", "query_track", "query_start"]
    clips = pd.DataFrame([["a", "b", "c", 0.0, "", np.nan]] * rows, columns=names)
    tracemalloc.start()
    builder = ShardBuilder(header, clips)
    for clip in range(rows):
        builder.set(clip, 0, builder.add_signal(noise), -20.0)
    image = builder.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.nbytes > rows * samples * 2
    assert peak < 1.25 * image.nbytes


@pytest.mark.parametrize(("dtype", "quiet"), [("int16", 0.49 / 32768), ("float32", 0.0)])
def test_what_would_be_stored_as_zeros_is_silent(formula, dtype, quiet):
    builder = ShardBuilder(header(formula, dtype), formula.clip_rows([0]))
    assert builder.add_signal(np.full((formula.CHANNELS, formula.SAMPLES), quiet, np.float32)) == SILENT
    assert builder.rows == 0
    assert builder.add_signal(np.full((formula.CHANNELS, formula.SAMPLES), 0.51 / 32768, np.float32)) == 0
    assert builder.rows == 1


def test_left_out_clips(formula):
    header = ShardHeader(
        formula.RATE,
        formula.CHANNELS,
        formula.SECONDS,
        formula.SAMPLES,
        "int16",
        "train",
        0,
        (Column("mix", 2, -1),),
        "0" * 64,
    )
    builder = ShardBuilder(header, formula.clip_rows([0, 1, 2]))
    row = builder.add_signal(np.ones((formula.CHANNELS, formula.SAMPLES), np.float32))
    builder.set(2, 0, row, 0.0)
    with pytest.raises(InputError, match="cannot be left out"):
        builder.keep([0, 1])
    builder.keep([0, 2])
    with h5py.File(io.BytesIO(builder.finish())) as file:
        assert file["clip/track"][...].tolist() == [b"Track00000", b"Track00002"]
        assert file["row"][...].tolist() == [[-1], [0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: b.add_signal(np.zeros(2000, np.float32)), r"must have shape \(2, 2000\), not \(2000,\)"),
        (lambda b: b.add_signal(np.full((2, 2000), np.nan, np.float32)), "NaN or Inf"),
        (lambda b: b.set(0, 0, 0, -3.0), "0 rows so far"),
        (lambda b: b.set(0, 1, -1, -3.0), "node strings.* NaN with -1"),
        (lambda b: b.set(0, 1, -2, float("nan")), "-inf with -2"),
        (lambda b: b.set(0, 1, -3, float("nan")), "row -3"),
        (lambda b: b.set_query(0, 0), "does not exist"),
        (lambda b: b.finish({Mask("leaf", 5): np.ones((1, 2), bool)}), "masks/leaf-5 must have shape"),
    ],
)
def test_wrong_use_is_refused(formula, call, message):
    builder = ShardBuilder(header(formula), formula.clip_rows([0, 1]))
    with pytest.raises(InputError, match=message):
        call(builder)


def test_clip_table_is_checked(formula):
    clips = formula.clip_rows([0])
    with pytest.raises(InputError, match="no column song"):
        ShardBuilder(header(formula), clips.drop(columns="song"))
    for odd in ("a\0b", "\x1b[31m", "a\n", "x" * 5000, "\ud800"):
        with pytest.raises(InputError, match="cannot be stored"):
            ShardBuilder(header(formula), clips.assign(track=odd))

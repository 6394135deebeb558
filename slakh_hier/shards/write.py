"""Building a shard in memory: the bytes of a finished HDF5 file, equal for equal input.

The file is never opened by h5py under its real name: on a full disk that ends in a segmentation fault, and
mode "w" truncates before it asks for the lock. :func:`slakh_hier.files.publish` writes the image.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.errors import InputError
from slakh_hier.shards.format import (
    ABSENT,
    CLIP_COLUMNS,
    CONTROL,
    FORMAT_VERSION,
    LIBVER,
    MASK_FORMAT,
    MAX_STRING,
    NO_QUERY,
    SHARD_FORMAT,
    SILENT,
    Dataset,
    Dtype,
    ShardHeader,
    mask_dataset,
    schema,
)
from slakh_hier.shards.mask import Mask
from slakh_hier.version import VERSION

if TYPE_CHECKING:
    import pandas as pd

INT16_MIN, INT16_MAX = -32768, 32767


class ShardBuilder:
    """Collects the signals and tables of one shard, then gives its bytes.

    Signals go into the image as they come, so that memory holds the shard once.

    Parameters
    ----------
    header
        What all clips share.
    clips
        One row a clip, columns ``track, song, target, start, query_track, query_start`` (start in s; without
        a query an empty string and NaN).

    Raises
    ------
    InputError
        A column is missing, or a value cannot be stored.
    """

    def __init__(self, header: ShardHeader, clips: pd.DataFrame):
        self.header = header
        self._clips = _clip_table(header, clips)
        shape = (len(clips), len(header.columns))
        self._row = np.full(shape, ABSENT, np.int32)
        self._rms = np.full(shape, np.nan, np.float32)
        self._query_row = np.full(len(clips), NO_QUERY, np.int32)
        self._scales: list[float] = []
        self._image = io.BytesIO()
        self._file = h5py.File(self._image, "w", libver=LIBVER)
        audio = self._schema()[0]
        self._audio = self._file.create_dataset(
            audio.path,
            shape=(0, *audio.shape[1:]),
            maxshape=(None, *audio.shape[1:]),
            dtype=audio.field,
            chunks=audio.chunk,
            fletcher32=True,
        )

    def add_signal(self, samples: NDArray[np.float32]) -> int:
        """Store a signal and return its row; one whose stored samples are all zero is not stored, and :data:`SILENT`.

        int16 rows hold ``rint(samples / scale * 32768)``, half to even. The scale is 1 unless a sample would
        not fit; then it is the smallest that makes the peak fit.

        Parameters
        ----------
        samples
            float32, shape (channels, samples), full scale 1.0.

        Raises
        ------
        InputError
            Wrong shape, or a sample is NaN or infinite.
        """
        if samples.shape != (wanted := (self.header.channels, self.header.samples)):
            raise InputError(f"a signal must have shape {wanted}, not {samples.shape}")
        row = len(self._scales)
        if self.header.dtype == "int16":
            stored, scale = quantise(samples)
        else:
            _refuse_infinite(samples)
            stored, scale = np.ascontiguousarray(samples, np.float32), 1.0
        if not stored.any():
            return SILENT
        # h5py's own indexing would take as long as writing the row.
        self._audio.id.set_extent((row + 1, *stored.shape))
        place = self._audio.id.get_space()
        place.select_hyperslab((row, 0, 0), (1, *stored.shape))
        self._audio.id.write(h5py.h5s.create_simple((1, *stored.shape)), place, stored)
        self._scales.append(scale)
        return row

    def set(self, clip: int, column: int, row: int, rms: float) -> None:
        """Say where a node of a clip lies; nodes that are never set are absent.

        Parameters
        ----------
        clip, column
            Place in ``clips`` and in ``header.columns``.
        row
            From :meth:`add_signal`; -1 the track has no such stem, -2 every stored sample is zero.
        rms
            dBFS; NaN at -1 and -inf at -2.
        """
        expected = (
            math.isnan(rms) if row == ABSENT else rms == -math.inf if row == SILENT else math.isfinite(rms)
        )
        if not SILENT <= row < len(self._scales) or not expected:
            raise InputError(
                f"clip {clip}, node {self.header.columns[column].name}: row {row} with an RMS of {rms} dBFS does "
                f"not fit ({len(self._scales)} rows so far; NaN with -1, -inf with -2)"
            )
        self._row[clip, column], self._rms[clip, column] = row, rms

    def set_query(self, clip: int, row: int) -> None:
        """Say in which row a clip's query lies."""
        if not 0 <= row < len(self._scales):
            raise InputError(f"clip {clip}: query row {row} does not exist ({len(self._scales)} rows so far)")
        self._query_row[clip] = row

    def keep(self, clips: Sequence[int]) -> None:
        """Leave out all clips but these (numbers in ``clips``, ascending); those left out must have no signals."""
        chosen = np.asarray(clips, np.intp)
        dropped = np.setdiff1d(np.arange(len(self._query_row)), chosen)
        if (self._row[dropped] >= 0).any() or (self._query_row[dropped] >= 0).any():
            raise InputError("a clip that has signals in the shard cannot be left out")
        self._row, self._rms, self._query_row = self._row[chosen], self._rms[chosen], self._query_row[chosen]
        self._clips = {name: column[chosen] for name, column in self._clips.items()}

    @property
    def rows(self) -> int:
        """Number of signals stored so far."""
        return len(self._scales)

    def finish(self, masks: Mapping[Mask, NDArray[np.bool_]] | None = None) -> memoryview:
        """Write the tables and return the whole file as bytes; the builder is used up.

        Parameters
        ----------
        masks
            Availability by mask, bool, shape (clips, nodes) of this shard.
        """
        masks = dict(masks or {})
        ordered = sorted(masks, key=lambda mask: mask.name)
        values: dict[str, NDArray[Any]] = {
            "scale": np.array(self._scales, np.float32),
            "row": self._row,
            "rms": self._rms,
            "query_row": self._query_row,
            "node/name": _strings([column.name for column in self.header.columns]),
            "node/level": np.array([column.level for column in self.header.columns], np.int8),
            "node/parent": np.array([column.parent for column in self.header.columns], np.int32),
        }
        values |= {f"clip/{name}": column for name, column in self._clips.items()}
        by_path = {f"masks/{mask.name}": mask for mask in ordered}
        values |= {path: masks[mask] for path, mask in by_path.items()}
        for dataset in self._schema([mask.name for mask in ordered])[1:]:
            about = mask_attributes(by_path[dataset.path]) if dataset.path in by_path else {}
            _write(self._file, dataset, values[dataset.path], about)
        header = self.header
        _write_attributes(
            self._file,
            {
                "format": SHARD_FORMAT,
                "format_version": np.int32(FORMAT_VERSION),
                "sample_rate": np.int32(header.sample_rate),
                "channels": np.int32(header.channels),
                "clip_seconds": np.float64(header.clip_seconds),
                "split": header.split,
                "first_clip": np.int64(header.first_clip),
                "plan_digest": header.plan_digest,
                "tool_version": VERSION,
            },
        )
        self._audio.id.close()
        self._file.close()
        return self._image.getbuffer()

    def _schema(self, masks: Sequence[str] = ()) -> tuple[Dataset, ...]:
        return schema(
            clips=len(self._query_row),
            rows=len(self._scales),
            nodes=len(self.header.columns),
            channels=self.header.channels,
            samples=self.header.samples,
            dtype=self.header.dtype,
            masks=masks,
        )


def quantise(samples: NDArray[np.float32]) -> tuple[NDArray[np.int16], float]:
    """Samples (full scale 1.0) as int16 and their scale: ``samples ~ int16 / 32768 * scale``.

    The error is at most half a step (``scale / 65536``); nothing is clipped. InputError for NaN and Inf.
    """
    steps = samples * np.float32(FULL_SCALE)  # exact: a power of two
    np.rint(steps, out=steps)
    if steps.size == 0 or (steps.min() >= INT16_MIN and steps.max() <= INT16_MAX):
        return steps.astype(np.int16), 1.0
    _refuse_infinite(samples)
    scale = float(np.float32(np.abs(samples).max() * (FULL_SCALE / INT16_MAX)))
    wide = np.rint(samples.astype(np.float64) / scale * FULL_SCALE)
    # The scale is rounded to float32, which can move the peak by 1/1000 step, never by half a step.
    return np.clip(wide, INT16_MIN, INT16_MAX).astype(np.int16), scale


def rounds_to_silence(samples: NDArray[np.float32], dtype: Dtype) -> bool:
    """Whether every sample is zero when it is stored."""
    return not (np.rint(samples * np.float32(FULL_SCALE)) if dtype == "int16" else samples).any()


def _refuse_infinite(samples: NDArray[np.float32]) -> None:
    if not np.isfinite(samples).all():
        raise InputError("a signal holds NaN or Inf")


def mask_image(mask: Mask, available: NDArray[np.bool_], plan_digest: str) -> memoryview:
    """Bytes of a mask file: one mask over all clips of a set, under the same path as in a shard."""
    image = io.BytesIO()
    with h5py.File(image, "w", libver=LIBVER) as file:
        dataset = mask_dataset(mask.name, *available.shape)
        _write(file, dataset, available, mask_attributes(mask))
        _write_attributes(
            file,
            {
                "format": MASK_FORMAT,
                "format_version": np.int32(FORMAT_VERSION),
                "plan_digest": plan_digest,
                "tool_version": VERSION,
            },
        )
    return image.getbuffer()


def mask_attributes(mask: Mask) -> dict[str, Any]:
    """Attributes of a mask's data set."""
    return {
        "type": mask.kind,
        "percent": np.float64(mask.percent),
        "mode": mask.mode,
        "seed": np.int64(mask.seed),
    }


def _clip_table(header: ShardHeader, clips: pd.DataFrame) -> dict[str, NDArray[Any]]:
    wanted = [name for name in CLIP_COLUMNS if name != "split"]
    if missing := [name for name in wanted if name not in clips.columns]:
        raise InputError(f"the clip table has no column {', '.join(missing)}")
    table: dict[str, NDArray[Any]] = {"split": _strings([header.split] * len(clips))}
    for name in wanted:
        if name in ("start", "query_start"):
            table[name] = clips[name].to_numpy(dtype=np.float64)
        else:
            # An absent query is an empty string, or whatever pandas has in its place.
            table[name] = _strings([value if isinstance(value, str) else "" for value in clips[name]])
    return table


def _strings(values: Sequence[str]) -> NDArray[np.bytes_]:
    """UTF-8 strings of one fixed length; variable-length ones would take no checksum."""
    try:
        encoded = [value.encode() for value in values]
    except UnicodeEncodeError as error:
        raise InputError(f"the text {error.object!r} cannot be stored in a shard: it is no Unicode") from None
    length = max([1, *map(len, encoded)])  # HDF5 knows no strings of length 0
    if odd := [value for value in values if CONTROL.search(value)] or [
        v for v in values if len(v) > MAX_STRING
    ]:
        raise InputError(
            f"the text {odd[0][:80]!r} cannot be stored in a shard: a control character, or too long"
        )
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


def _write(
    file: h5py.File, dataset: Dataset, values: NDArray[Any], attributes: Mapping[str, Any] | None = None
) -> None:
    if values.shape != dataset.shape:
        raise InputError(f"{dataset.path} must have shape {dataset.shape}, not {values.shape}")
    dtype = values.dtype if dataset.field == "S" else np.dtype(dataset.field)
    # A chunk is never larger than a data set of fixed shape; an empty one must be able to grow on paper.
    maxshape = tuple(n or None for n in dataset.shape)
    created = file.create_dataset(
        dataset.path,
        shape=dataset.shape,
        maxshape=maxshape,
        dtype=dtype,
        chunks=dataset.chunk,
        fletcher32=True,
    )
    if values.size:
        created[...] = values.astype(dtype, copy=False)
    _write_attributes(created, attributes or {})
    # HDF5 gives out space as data sets are closed. Left to the last reference, the layout would depend on who else
    # holds one: a profiler that samples frames (dask runs one) is enough to change the bytes.
    created.id.close()


def _write_attributes(target: h5py.File | h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if isinstance(value, str):
            value = cast(Any, _strings([value])[0])
            target.attrs.create(name, value, dtype=h5py.string_dtype("utf-8", len(value) or 1))
        else:
            target.attrs[name] = value

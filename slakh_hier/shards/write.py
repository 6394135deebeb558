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
from slakh_hier.files import sha256
from slakh_hier.shards.format import (
    ABSENT,
    AUDIO,
    CLIP,
    CONTROL,
    FORMAT_VERSION,
    LIBVER,
    MASK_ATTRIBUTES,
    MASK_FILE_ATTRIBUTES,
    MASK_FORMAT,
    MAX_STRING,
    NO_QUERY,
    NODE_LEVEL,
    NODE_NAME,
    NODE_PARENT,
    QUERY_ROW,
    RMS,
    ROW,
    SCALE,
    SHARD_ATTRIBUTES,
    SHARD_FORMAT,
    SILENT,
    TABLES,
    Dataset,
    Dtype,
    ShardHeader,
    Size,
    Table,
    mask_table,
)
from slakh_hier.shards.index import ShardRecord
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
        One row per clip, columns ``track, song, target, start, query_track, query_start`` (start in s; without
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
        audio = AUDIO.sized(self._sizes, header.dtype)
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
        columns, sizes = self.header.columns, self._sizes
        tables: dict[Table, NDArray[Any]] = {
            SCALE: np.array(self._scales),
            ROW: self._row,
            RMS: self._rms,
            QUERY_ROW: self._query_row,
            **self._clips,
            NODE_NAME: _strings([column.name for column in columns]),
            NODE_LEVEL: np.array([column.level for column in columns]),
            NODE_PARENT: np.array([column.parent for column in columns]),
        }
        for table in TABLES:
            if table is not AUDIO:
                _write(self._file, table.sized(sizes), tables[table])
        for mask, available in sorted((masks or {}).items(), key=lambda item: item[0].name):
            _write_mask(self._file, mask, available, sizes)
        about = {**vars(self.header), "format": SHARD_FORMAT}
        _write_attributes(self._file, SHARD_ATTRIBUTES, about)
        self._audio.id.close()
        self._file.close()
        return self._image.getbuffer()

    def record(self, file: str, image: memoryview) -> ShardRecord:
        """The entry in the index of a shard that was published as ``file``; ``image`` is what :meth:`finish` returned."""
        return ShardRecord(
            file=file,
            split=self.header.split,
            clips=len(self._query_row),
            rows=self.rows,
            bytes=image.nbytes,
            sha256=sha256(image),
            first_clip=self.header.first_clip,
        )

    @property
    def _sizes(self) -> dict[Size, int]:
        return {
            "clips": len(self._query_row),
            "rows": len(self._scales),
            "nodes": len(self.header.columns),
            "channels": self.header.channels,
            "samples": self.header.samples,
        }


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
        _write_mask(file, mask, available, {"clips": len(available), "nodes": available.shape[1]})
        _write_attributes(file, MASK_FILE_ATTRIBUTES, {"format": MASK_FORMAT, "plan_digest": plan_digest})
    return image.getbuffer()


def _write_mask(file: h5py.File, mask: Mask, available: NDArray[np.bool_], sizes: Mapping[Size, int]) -> None:
    dataset = mask_table(mask.name).sized(sizes)
    _write(file, dataset, available, {**vars(mask), "type": mask.kind})


def _clip_table(header: ShardHeader, clips: pd.DataFrame) -> dict[Table, NDArray[Any]]:
    given = clips.assign(split=header.split)
    if missing := [table.name for table in CLIP if table.name not in given.columns]:
        raise InputError(f"the clip table has no column {', '.join(missing)}")
    # An absent query is an empty string, or whatever pandas has in its place.
    return {
        table: _strings([value if isinstance(value, str) else "" for value in given[table.name]])
        if table.field == "S"
        else given[table.name].to_numpy(table.field)
        for table in CLIP
    }


def _strings(values: Sequence[str]) -> NDArray[np.bytes_]:
    """UTF-8 strings of one fixed length; variable-length ones would take no checksum."""
    try:
        encoded = [value.encode() for value in values]
    except UnicodeEncodeError as error:
        raise InputError(
            f"the text {error.object!r} cannot be stored in a shard: it is not Unicode"
        ) from None
    length = max([1, *map(len, encoded)])  # HDF5 knows no strings of length 0
    if odd := [value for value in values if CONTROL.search(value)] or [
        v for v in values if len(v) > MAX_STRING
    ]:
        raise InputError(
            f"the text {odd[0][:80]!r} cannot be stored in a shard: a control character, or too long"
        )
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


def _write(
    file: h5py.File,
    dataset: Dataset,
    values: NDArray[Any],
    attributes: Mapping[str, object] | None = None,
) -> None:
    if values.shape != dataset.shape:
        raise InputError(f"{dataset.path} must have shape {dataset.shape}, not {values.shape}")
    dtype = values.dtype if dataset.field == "S" else np.dtype(dataset.field)
    # A chunk is never larger than a dataset of fixed shape; an empty one must be able to grow on paper.
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
    if attributes is not None:
        _write_attributes(created, MASK_ATTRIBUTES, attributes)
    # HDF5 gives out space as datasets are closed. Left to the last reference, the layout would depend on who else
    # holds one: a profiler that samples frames (dask runs one) is enough to change the bytes.
    created.id.close()


def _write_attributes(
    target: h5py.File | h5py.Dataset, declared: Mapping[str, type], values: Mapping[str, object]
) -> None:
    """Write the declared attributes, in their order and types."""
    values = {"format_version": FORMAT_VERSION, "tool_version": VERSION, **values}
    for name, kind in declared.items():
        if kind is str:
            value = cast(Any, _strings([str(values[name])])[0])
            target.attrs.create(name, value, dtype=h5py.string_dtype("utf-8", len(value) or 1))
        else:
            target.attrs[name] = kind(values[name])

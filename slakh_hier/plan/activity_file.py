"""The activity file: per-hop sums and Gram matrices of every track, one HDF5 group per track.

Layout (format 2), readable with plain h5py::

    /                       attrs: format, format_version, hops_per_second, tool_version
    /TRACK                  attrs: key (digest of its files' paths, headers, sizes, times), sample_rate, frames, channels
    /TRACK/stems            (stems,) S
    /TRACK/broken           (stems,) S      why a stem could not be decoded; empty: it could
    /TRACK/content          (stems,) S      MD5 of its samples (:mod:`slakh_hier.slakh.content`)
    /TRACK/sums_mid         (hops, stems)   float64
    /TRACK/gram_mid         (hops, pairs)   float64, upper triangles, row by row
    /TRACK/sums_side        (hops, stems)   float64, of tracks with two channels only
    /TRACK/gram_side        (hops, pairs)   float64, of tracks with two channels only

Mid is ``(L + R) / 2``, or the samples of a mono stem; side is ``(L - R) / 2`` (:mod:`slakh_hier.plan.energy`).

Every dataset carries a checksum, so that a flipped bit is an error and not another plan. A file may be untrusted:
what it says of itself is compared with this layout before a value is read (see :mod:`slakh_hier.plain_hdf5`).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5d, h5s, h5z
from numpy.typing import NDArray

from slakh_hier.audio import MAX_FRAMES
from slakh_hier.closing import Closing
from slakh_hier.errors import ActivityError, InputError
from slakh_hier.plain_hdf5 import (
    NotPlainError,
    attribute,
    attributes,
    check_group,
    check_link,
    chunks_of,
    filters_of,
    is_type,
    open_dataset,
)
from slakh_hier.plan.energy import HOPS_PER_SECOND, Floats, Moments
from slakh_hier.plan.hdf5_stream import hdf5_stream
from slakh_hier.version import VERSION

FORMAT: Final = "slakh-hier activity"
FORMAT_VERSION: Final = 2
MAX_STEMS: Final = 4096
MAX_RATE: Final = 1_000_000
MAX_STRING: Final = 1 << 14
MAX_BYTES: Final = 2 << 30
"""Of one dataset: a track of two hours has some 600 MB with 100 stems."""
MAX_PACKING: Final = 1100
"""Deflate packs bytes into a thousandth at best."""
_ROOT: Final = {"format": FORMAT, "format_version": FORMAT_VERSION, "hops_per_second": HOPS_PER_SECOND}
_TRACK: Final = {"key": str, "sample_rate": int, "frames": int, "channels": int}
_SIGNALS: Final = ("mid", "side")
"""Of which there are moments: the first of them for each channel."""
_TEXTS: Final = ("stems", "broken", "content")
_CHECKSUM: Final = [h5z.FILTER_FLETCHER32]
_PACKED: Final = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE, h5z.FILTER_FLETCHER32]


@dataclass(frozen=True)
class TrackActivity:
    """What one track's stems do, hop by hop."""

    stems: tuple[str, ...]
    """Stem ids, the order of the other arrays."""
    broken: Mapping[str, str]
    """Reason by stem that could not be decoded (its sums are zero)."""
    content: tuple[str, ...]
    """MD5 of each stem's samples; empty where it is broken."""
    sample_rate: int
    frames: int
    """``sample_rate`` and ``frames``: native rate in Hz; samples of the longest stem."""
    moments: tuple[Moments, ...]
    """Of the mids, and in tracks with two channels of the sides."""

    @property
    def channels(self) -> int:
        """1, or 2 where a stem is stereo."""
        return len(self.moments)

    def parts(self, channels: int) -> tuple[Moments, ...]:
        """What products are sums of in so many channels: the mids alone in one."""
        return self.moments[:channels]


class ActivityFile(Closing):
    """Read access to an activity file; tracks are read one at a time.

    Every method raises :class:`~slakh_hier.errors.ActivityError` where the file is damaged.
    """

    def __init__(self, path: Path):
        self.path = path
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the name of an activity file")
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise InputError(f"{path}: is not a regular file; give the name of an activity file")
        with self._damage():
            self._file = h5py.File(path, "r", locking=False)
        try:
            with self._damage():
                found = {name: attribute(self._file, name) for name in _ROOT}
        except ActivityError:
            self._file.close()
            raise
        if found != _ROOT:
            self._file.close()
            raise ActivityError(
                f"{path}: is not an activity file of version {FORMAT_VERSION} (found version {found['format_version']}); make "
                "a new one with `slakh-hier activity`"
            )

    def __iter__(self) -> Iterator[str]:
        with self._damage():
            return iter(list(self._file))

    def key(self, track: str) -> str:
        """Digest of the files that the track's values were measured on."""
        with self._damage(track):
            return str(self._attributes(track)["key"])

    def all_broken(self) -> dict[tuple[str, str], str]:
        """Reason by (track, stem) of every stem in the file that could not be decoded."""
        found = {}
        for track in self:
            with self._damage(track):
                data = self._checked(track, ("stems", "broken"))[0]
                reasons = _texts(data["broken"])
                if any(reasons):
                    stems = ((track, stem) for stem in _texts(data["stems"]))
                    found.update({stem: why for stem, why in zip(stems, reasons, strict=True) if why})
        return found

    def read(self, track: str) -> TrackActivity:
        """One track's values."""
        with self._damage(track):
            data, about = self._checked(track)
            stems, broken, content = (tuple(_texts(data[name])) for name in _TEXTS)
            return TrackActivity(
                stems=stems,
                broken={stem: reason for stem, reason in zip(stems, broken, strict=True) if reason},
                content=content,
                sample_rate=about["sample_rate"],
                frames=about["frames"],
                moments=tuple(
                    Moments(
                        _values(data[f"sums_{signal}"]),
                        _unpacked(_values(data[f"gram_{signal}"]), len(stems)),
                    )
                    for signal in _SIGNALS[: about["channels"]]
                ),
            )

    def copy(self, track: str, target: h5py.File) -> None:
        """Copy a track's group as it is (no decompression) into an open file."""
        with self._damage(track):
            self._checked(track)
            self._file.copy(track, target)

    def _attributes(self, track: str) -> dict[str, Any]:
        """The attributes of a track's group, which is in its place and not linked to."""
        check_link(self._file["/"].id, track, f"/{track}")
        found = attributes(self._file[track])
        if found.keys() != _TRACK.keys() or any(
            type(found[name]) is not kind for name, kind in _TRACK.items()
        ):
            raise NotPlainError(f"/{track} must have exactly the attributes {', '.join(_TRACK)}")
        return found

    def _checked(
        self, track: str, members: Collection[str] | None = None
    ) -> tuple[dict[str, h5d.DatasetID], dict[str, Any]]:
        """A track's datasets and attributes, all of which agree with the number of its stems and its length.

        Parameters
        ----------
        members
            Only these datasets; default: all.
        """
        about = self._attributes(track)
        rate, frames, channels = about["sample_rate"], about["frames"], about["channels"]
        if not (0 < rate <= MAX_RATE and 0 < frames <= MAX_FRAMES and 0 < channels <= len(_SIGNALS)):
            raise NotPlainError(f"/{track} has {channels} channels of {frames} frames at {rate} Hz")
        signals = _SIGNALS[:channels]
        moments = [f"{kind}_{signal}" for signal in signals for kind in ("sums", "gram")]
        check_group(self._file.id, track, (*_TEXTS, *moments))
        hops = -(-frames * HOPS_PER_SECOND // rate)
        names = open_dataset(self._file.id, f"{track}/stems", f"/{track}/stems")
        stems = names.shape[0] if names.rank == 1 else 0
        if not 0 < stems <= MAX_STEMS:
            raise NotPlainError(f"/{track}/stems has shape {names.shape}")
        shapes = {
            **dict.fromkeys(_TEXTS, (stems,)),
            **{f"sums_{signal}": (hops, stems) for signal in signals},
            **{f"gram_{signal}": (hops, stems * (stems + 1) // 2) for signal in signals},
        }
        chosen = shapes if members is None else members
        return {name: _checked_dataset(self._file, f"{track}/{name}", shapes[name]) for name in chosen}, about

    @contextmanager
    def _damage(self, track: str = "") -> Iterator[None]:
        """What h5py raises for damaged files, and what follows from wrong contents, as one kind of error."""
        try:
            yield
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
            where = f"{track} in it is damaged" if track else "is not a readable activity file"
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ActivityError(
                f"{self.path}: {where} ({reason}). Delete it, or give another name, and run again"
            ) from error

    def close(self) -> None:
        self._file.close()


def _texts(dataset: h5d.DatasetID) -> list[str]:
    return [text.decode() for text in _values(dataset).tolist()]


def _values(dataset: h5d.DatasetID) -> NDArray[Any]:
    """All of a dataset: h5py's own indexing takes four times as long for a small one."""
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5s.ALL, h5s.ALL, values)
    return values


def _unpacked(packed: Floats, stems: int) -> Floats:
    """Whole matrices of upper triangles."""
    rows, columns = np.triu_indices(stems)
    gram = np.empty((len(packed), stems, stems))
    gram[:, rows, columns] = packed
    gram[:, columns, rows] = packed
    return gram


def _checked_dataset(file: h5py.File, path: str, shape: tuple[int, ...]) -> h5d.DatasetID:
    """A dataset; refuses one of another type, shape or filters, or that says to hold more than its bytes can."""
    where = f"/{path}"
    found = open_dataset(file.id, path, where)
    dtype, filters = (None, _CHECKSUM) if len(shape) == 1 else (np.dtype(np.float64), _PACKED)
    kind = found.get_type()
    if not is_type(kind, dtype, MAX_STRING) or filters_of(found) != filters:
        raise NotPlainError(f"{where} does not have the type and filters of this format")
    if found.shape != shape:
        raise NotPlainError(f"{where} has shape {found.shape}, where {shape} is right")
    if found.get_num_chunks() != chunks_of(shape, found.get_create_plist().get_chunk()):
        raise NotPlainError(f"{where} is not complete: parts of it are missing")
    size = math.prod(shape) * kind.get_size()
    if size > min(MAX_BYTES, MAX_PACKING * found.get_storage_size()):
        raise NotPlainError(f"{where} says to hold {size} bytes")
    return found


def encode_track(file: h5py.File, track: str, activity: TrackActivity, key: str) -> None:
    """Add one track's group to an open file."""
    group = file.create_group(track)
    group.attrs["key"] = np.bytes_(key.encode())  # of fixed length: others carry no checksum
    group.attrs["sample_rate"] = activity.sample_rate
    group.attrs["frames"] = activity.frames
    group.attrs["channels"] = activity.channels
    rows, columns = np.triu_indices(len(activity.stems))
    _dataset(group, "stems", np.array(activity.stems, "S"))
    for name, texts in (
        ("broken", [activity.broken.get(stem, "") for stem in activity.stems]),
        ("content", activity.content),
    ):
        encoded = [text.encode(errors="backslashreplace") for text in texts]
        _dataset(group, name, np.array(encoded, f"S{max(1, *map(len, encoded))}"))
    for signal, moments in zip(_SIGNALS, activity.moments, strict=False):
        _dataset(group, f"sums_{signal}", moments.sums)
        _dataset(group, f"gram_{signal}", moments.gram[:, rows, columns])
    group.id.close()  # as in shards: the layout must not depend on who else holds a reference


def new_image() -> tuple[io.BytesIO, h5py.File]:
    """An activity file in memory: its buffer, and the open file (close it before the buffer is used)."""
    buffer = io.BytesIO()
    return buffer, _start(h5py.File(buffer, "w", libver="v110"))


@contextmanager
def streamed(path: Path, scratch: Path) -> Iterator[Callable[[ActivityFile, str], None]]:
    """An activity file of any size, complete under its name when the block ends well; until then it is in ``scratch``.

    The value is a function that copies one track of another file into it. A full disk raises
    :class:`~slakh_hier.errors.FaultError`, and nothing is left.
    """
    with hdf5_stream(path, scratch) as (file, check):

        def add(source: ActivityFile, track: str) -> None:
            source.copy(track, file)
            check()

        _start(file)
        yield add


def _start(file: h5py.File) -> h5py.File:
    for name, value in _ROOT.items():
        file.attrs[name] = np.bytes_(value) if isinstance(value, str) else value
    file.attrs["tool_version"] = VERSION
    return file


def _dataset(group: h5py.Group, name: str, values: NDArray[Any]) -> None:
    rows = max(1, min(len(values), (1 << 20) // max(1, values[:1].nbytes)))
    packed = (
        {"compression": "gzip", "compression_opts": 1, "shuffle": True} if values.dtype.kind == "f" else {}
    )
    chunks = (rows, *values.shape[1:])
    group.create_dataset(name, data=values, chunks=chunks, fletcher32=True, **packed).id.close()

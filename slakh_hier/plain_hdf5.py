"""Checking an untrusted HDF5 file: what is in it, before a value is read.

HDF5 follows links and external storage to any file of the machine, runs filter plug-ins and believes declared sizes.
slakh-hier's files use none of that: hard links with one name each, datasets in chunks inside the file, plain types.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5a, h5d, h5l, h5o, h5t

MAX_ATTRIBUTES: Final = 64
"""Of one object; HDF5 needs quadratic time for many: a minute for 3,000."""
MAX_ATTRIBUTE_BYTES: Final = 1024


class NotPlainError(ValueError):
    """Something in an HDF5 file that slakh-hier never writes; the text says what and where in the file."""


def check_link(group: h5py.h5g.GroupID, name: str, where: str) -> None:
    """Refuse a member that leads elsewhere, or that has another name too; ``where`` is its path for messages."""
    if group.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise NotPlainError(f"{where} is a link to another place, which is never followed")
    if h5o.get_info(group, name.encode()).rc != 1:
        raise NotPlainError(f"{where} is the same object as another one")


def check_group(parent: h5py.h5g.GroupID | h5py.h5f.FileID, path: str, names: Collection[str]) -> None:
    """Refuse what is not a group of exactly these members, each of them in its place and nowhere else."""
    where = "/" + path.strip("/")
    group = h5o.open(parent, path.encode())
    if not isinstance(group, h5py.h5g.GroupID):
        raise NotPlainError(f"{where} is not a group")
    count = group.get_num_objs()
    found = {name.decode(errors="replace") for name in group} if count <= len(names) else set()
    if count != len(names) or found != set(names):
        odd = sorted(found ^ set(names)) or [f"{count} members instead of {len(names)}"]
        raise NotPlainError(
            f"{where} must hold exactly {', '.join(sorted(names))}; found otherwise: {odd[0]}"
        )
    for name in sorted(names):
        check_link(group, name, f"/{path.strip('/')}/{name}")


def open_dataset(parent: h5py.h5g.GroupID | h5py.h5f.FileID, path: str, where: str) -> h5d.DatasetID:
    """Open a dataset that lies in chunks inside the file: nothing else is looked at.

    The layout comes first: asking a virtual dataset for its shape may already open other files.
    """
    found = h5o.open(parent, path.encode())
    if not isinstance(found, h5d.DatasetID):
        raise NotPlainError(f"{where} is not a dataset")
    creation = found.get_create_plist()
    if creation.get_layout() != h5d.CHUNKED or creation.get_external_count():
        raise NotPlainError(f"{where} is not stored in chunks inside the file")
    return found


def filters_of(dataset: h5d.DatasetID) -> list[int]:
    """The numbers of a dataset's filters, in order."""
    creation = dataset.get_create_plist()
    return [creation.get_filter(place)[0] for place in range(creation.get_nfilters())]


def is_type(kind: h5t.TypeID, dtype: np.dtype[Any] | None, max_string: int) -> bool:
    """Whether a stored type is ``dtype``; for None, a string of a fixed length of at most ``max_string`` bytes."""
    if dtype is None:
        plain = isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()
        return plain and 0 < kind.get_size() <= max_string
    return not kind.detect_class(h5t.VLEN) and bool(kind.dtype == dtype)


def chunks_of(shape: tuple[int, ...], chunk: tuple[int, ...]) -> int:
    """How many chunks a dataset has when no part of it is missing."""
    return math.prod(-(-n // c) for n, c in zip(shape, chunk, strict=True))


def attributes(owner: h5py.File | h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Attributes as str, int, float; only small scalars of plain type are read.

    Raises
    ------
    NotPlainError
        An attribute has another shape or type, or there are more than :data:`MAX_ATTRIBUTES`.
    """
    if (count := h5a.get_num_attrs(owner.id)) > MAX_ATTRIBUTES:
        raise NotPlainError(f"{owner.name} has {count:,} attributes; at most {MAX_ATTRIBUTES} are read")
    opened = (h5a.open(owner.id, index=place) for place in range(count))
    return {attribute.name.decode(): _value(attribute) for attribute in opened}


def attribute(owner: h5py.File | h5py.Group | h5py.Dataset, name: str) -> Any:
    """One attribute as in :func:`attributes`; None where it is not there."""
    return _value(h5a.open(owner.id, name.encode())) if h5a.exists(owner.id, name.encode()) else None


def _value(attribute: h5a.AttrID) -> Any:
    kind = attribute.get_type()
    plain = isinstance(kind, h5t.TypeIntegerID | h5t.TypeFloatID) or (
        isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()
    )
    if not plain or attribute.shape != () or attribute.get_storage_size() > MAX_ATTRIBUTE_BYTES:
        raise NotPlainError(f"attribute {attribute.name.decode()} is not a plain scalar")
    value = np.empty((), attribute.dtype)
    attribute.read(value)
    return value.item().decode() if value.dtype.kind == "S" else value.item()

"""Masks of a finished set: added and removed beside the shards, which stay as they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError, ShardError
from slakh_hier.files import (
    make_own_folder,
    publish,
    refuse_link,
    remove_temporaries,
    require_free,
    sha256,
)
from slakh_hier.locks import folder_lock
from slakh_hier.paths import StrPath
from slakh_hier.shards.index import MASK_FOLDER, Index, MaskRecord, mask_file, read_index, write_index
from slakh_hier.shards.mask import Mask, availability, mask_name, withheld
from slakh_hier.shards.tables import clip_table
from slakh_hier.shards.write import mask_image
from slakh_hier.wording import did_you_mean, typed


@dataclass(frozen=True)
class MaskInfo:
    """A visible mask of a set: what it is, and whether it lies in the shards or in a file of its own."""

    mask: Mask
    where: Literal["shards", "file"]

    def as_row(self) -> dict[str, Any]:
        """The mask as one row of a table."""
        return {"mask": self.mask.name, **asdict(self.mask), "where": self.where}


def list_masks(folder: StrPath) -> list[MaskInfo]:
    """The masks of a set, in the order of the index; removed ones are not listed."""
    return [
        MaskInfo(record.mask, "shards" if record.file is None else "file")
        for record in read_index(Path(folder)).masks
        if not record.hidden
    ]


def add_mask(folder: StrPath, mask: Mask) -> int:
    """Add a mask to a finished set and return the number of training clips it withholds.

    It lies in ``masks/NAME.h5``; a rendered mask of the same definition that was removed is shown again. Adding
    a mask that is there does nothing.

    Raises
    ------
    ShardError
        The set has another mask of that name (another mode or seed), or is unfinished or damaged.
    LockedError
        Another process writes in the folder.
    FaultError
        The disk has no room for it; nothing is changed.
    """
    path = Path(folder)
    read_index(path)  # before the lock: nothing is created in a folder that is not a shard set
    with folder_lock(path):
        index = read_index(path)
        remove_temporaries(path)
        clips = clip_table(path, index)
        hit = withheld(mask, clips)
        same_name = [record for record in index.masks if record.name == mask.name]
        if (visible := next((record for record in same_name if not record.hidden), None)) is not None:
            _require_same(path, visible.mask, mask)
        elif any(record.mask == mask for record in same_name):
            shown = [
                record.model_copy(update={"hidden": False}) if record in same_name else record
                for record in index.masks
            ]
            write_index(path, index.model_copy(update={"masks": shown}))
        else:
            added = _write_mask(path, index, mask, hit)
            write_index(path, index.model_copy(update={"masks": [*index.masks, added]}))
    return int(hit.sum())


def remove_mask(folder: StrPath, name: str) -> str:
    """Remove a mask and return its name: its file is deleted; a rendered one is hidden in the index.

    Parameters
    ----------
    name
        ``leaf-50``; a colon does in place of the hyphen.

    Raises
    ------
    InputError
        The set has no such mask, or its folder of masks is a link, behind which nothing is deleted.
    """
    path = Path(folder)
    read_index(path)
    with folder_lock(path):
        index = read_index(path)
        visible = {record.name: record for record in index.masks if not record.hidden}
        name = mask_name(name)
        if name not in visible:
            raise InputError(f"{path}: has no mask {name!r}: {did_you_mean(name, visible)}")
        gone = visible[name]
        if gone.file is None:
            kept = [
                record.model_copy(update={"hidden": True}) if record is gone else record
                for record in index.masks
            ]
        else:
            refuse_link(path / MASK_FOLDER)
            kept = [record for record in index.masks if record is not gone]
        # The index first: should the run stop in between, a file that nothing lists does no harm.
        write_index(path, index.model_copy(update={"masks": kept}))
        if gone.file is not None:
            (path / gone.file).unlink(missing_ok=True)
    return name


def rebuild_masks(folder: Path, index: Index) -> Index:
    """Make the mask files of ``index`` again after clips were added to its shards or left out.

    The caller holds the folder's lock, and writes the index that is returned.
    """
    clips = clip_table(folder, index)
    masks = [
        record
        if record.file is None
        else _write_mask(folder, index, record.mask, withheld(record.mask, clips))
        for record in index.masks
    ]
    return index.model_copy(update={"masks": masks})


def _write_mask(folder: Path, index: Index, mask: Mask, hit: NDArray[np.bool_]) -> MaskRecord:
    image = mask_image(mask, availability(mask, hit, index.columns), index.plan_digest)
    file = mask_file(mask.name)
    remove_temporaries(make_own_folder(folder / MASK_FOLDER))
    require_free(folder, image.nbytes, f"mask {mask.name}")
    publish(folder / file, image)
    return MaskRecord.of(mask, file=file, bytes=image.nbytes, sha256=sha256(image))


def _require_same(folder: Path, there: Mask, asked: Mask) -> None:
    if there != asked:
        raise ShardError(
            f"{folder}: has a mask {there.name} already, of mode {there.mode} and seed {there.seed}; asked was mode "
            f"{asked.mode}, seed {asked.seed}. Remove it first: {typed('mask', folder, '--remove', there.name)}"
        )

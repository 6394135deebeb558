"""index.json: what a finished set of shards holds, written last, read strictly."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from slakh_hier.checked_json import parse_object, problems_of
from slakh_hier.errors import InputError, ShardError
from slakh_hier.files import publish_json
from slakh_hier.hierarchy import Column
from slakh_hier.plain_files import read_plain
from slakh_hier.plan.folder import FixedName
from slakh_hier.shards.format import CHANNELS, FORMAT_VERSION, Dtype, check_columns
from slakh_hier.shards.mask import MASK_KINDS, Mask, MaskMode
from slakh_hier.signals import sample_at

INDEX_NAME: Final = "index.json"
INDEX_FORMAT: Final = "slakh-hier-shards"
MAX_INDEX_BYTES: Final = 64 << 20
MASK_FOLDER: Final = "masks"

Name = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,200}$")]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=0, lt=2**40)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ShardFile = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.h5$")]
MaskFile = Annotated[str, Field(pattern=r"^masks/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}\.h5$")]


def _known_kind(kind: str) -> str:
    if kind not in MASK_KINDS:
        raise ValueError(f"no kind of mask is called {kind!r} (there are {', '.join(MASK_KINDS)})")
    return kind


def mask_file(name: str) -> str:
    """Where a mask that was added to a set lies, below the set's folder."""
    return f"{MASK_FOLDER}/{name}.h5"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NodeRecord(_Strict):
    """A rendered node; see :class:`slakh_hier.hierarchy.Column`."""

    name: Name
    level: Annotated[int, Field(ge=0, le=127)]
    parent: Annotated[int, Field(ge=-1, lt=2**15)]


class ShardRecord(_Strict):
    """One shard file.

    ``first_clip`` is the number (0-based) of its first clip within the plan's clips of its split; numbers are left
    out where clips could not be read.
    """

    file: ShardFile
    split: Name
    clips: Count
    rows: Count
    bytes: Size
    sha256: Digest
    first_clip: Count


class MaskRecord(_Strict):
    """A mask, rendered into the shards (``file`` is None) or added later (a file below ``masks/``)."""

    name: Name
    type: Annotated[Name, AfterValidator(_known_kind)]
    percent: Annotated[float, Field(ge=0, le=100)]
    mode: MaskMode
    seed: int
    hidden: bool = False
    file: MaskFile | None = None
    bytes: Size | None = None
    sha256: Digest | None = None

    @classmethod
    def of(cls, mask: Mask, **more: Any) -> Self:
        """The record of a mask; without ``file`` it lies in the shards."""
        return cls(
            name=mask.name, type=mask.kind, percent=mask.percent, mode=mask.mode, seed=mask.seed, **more
        )

    @property
    def mask(self) -> Mask:
        return Mask(self.type, self.percent, self.mode, self.seed)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.file is None) != (self.bytes is None) or (self.file is None) != (self.sha256 is None):
            raise ValueError("file, bytes and sha256 come together")
        if self.hidden and self.file is not None:
            raise ValueError("only a rendered mask can be hidden")
        if self.name != self.mask.name:
            raise ValueError(f"a mask of {self.type}, {self.percent:g} % is called {self.mask.name}")
        if self.file not in (None, mask_file(self.name)):
            raise ValueError(f"the file of mask {self.name} is {mask_file(self.name)}, not {self.file}")
        return self


class Index(_Strict):
    """The whole of index.json."""

    format: Literal["slakh-hier-shards"] = INDEX_FORMAT
    format_version: Annotated[int, Field(ge=FORMAT_VERSION, le=FORMAT_VERSION)] = FORMAT_VERSION
    tool_version: Name
    plan_digest: Digest
    hierarchy_digest: Digest
    sample_rate: Annotated[int, Field(ge=1, le=1_000_000)]
    channels: Annotated[int, Field(ge=min(CHANNELS), le=max(CHANNELS))]
    clip_seconds: Annotated[float, Field(gt=0, le=86_400)]
    samples: Annotated[int, Field(ge=1, lt=2**31)]
    dtype: Dtype
    plan_files: dict[FixedName, Digest] = {}
    """Sha256 of the plan's files beside the shards; a set that another program wrote may have none."""
    parameters: dict[str, Any]
    """What the set was rendered with, for people and for telling why two sets differ."""
    nodes: Annotated[list[NodeRecord], Field(max_length=10_000)]
    splits: Annotated[list[Name], Field(max_length=100)]
    """Every split that was asked for, those without clips too, in the order of ``shards``."""
    shards: list[ShardRecord]
    """By split, then by first clip."""
    masks: list[MaskRecord] = []
    failures: Count = 0
    """Clips of the plan that are missing because a stem could not be read."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The rendered nodes, in the order of the tables' columns."""
        return tuple(Column(node.name, node.level, node.parent) for node in self.nodes)

    @property
    def clips(self) -> int:
        """Clips of all splits together."""
        return sum(shard.clips for shard in self.shards)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            check_columns(self.columns)
        except InputError as error:
            raise ValueError(str(error)) from None
        if self.samples != sample_at(self.clip_seconds, self.sample_rate):
            raise ValueError(f"samples is {self.samples}, which is not clip_seconds x sample_rate")
        _distinct("split", self.splits)
        _distinct("shard file", [shard.file.lower() for shard in self.shards])
        _distinct("mask", [mask.name for mask in self.masks if not mask.hidden])
        _distinct("rendered mask", [mask.name for mask in self.masks if mask.file is None])
        _distinct("mask file", [mask.file for mask in self.masks if mask.file is not None])
        following, place = 0, 0
        for shard in self.shards:
            if shard.split not in self.splits:
                raise ValueError(f"{shard.file} belongs to split {shard.split!r}, which splits does not list")
            if (found := self.splits.index(shard.split)) != place:
                following = 0
            # Clips that were left out still have a number.
            skipped = shard.first_clip - following
            if found < place or skipped < 0 or (skipped and not self.failures):
                raise ValueError(
                    f"{shard.file} begins with clip {shard.first_clip} of {shard.split}, which is out of order"
                )
            place, following = found, shard.first_clip + shard.clips
        return self


def write_index(folder: Path, index: Index) -> None:
    """Publish ``index.json``: from then on the set is finished."""
    publish_json(folder / INDEX_NAME, index.model_dump(mode="json"))


def read_index(folder: Path) -> Index:
    """Read ``index.json`` of a finished set.

    Raises
    ------
    InputError
        The folder does not exist or holds nothing of ours.
    ShardError
        The set is unfinished, its index is damaged, or it is of another version of the format.
    """
    path = folder / INDEX_NAME
    data = _read(folder, path)
    raw = parse_object(data, path, advice=f". {_RENDER_AGAIN}", error=ShardError)
    if raw.get("format") != INDEX_FORMAT:
        raise ShardError(f"{path}: is not the index of a shard set (format is not {INDEX_FORMAT!r})")
    found = raw.get("format_version")
    if isinstance(found, int) and found != FORMAT_VERSION:
        raise ShardError(f"{path}: {'. '.join(other_version(found))}")
    with problems_of(path, advice=f". {_RENDER_AGAIN}", error=ShardError):
        return Index.model_validate_json(data)


_RENDER_AGAIN = "Run the same slakh-hier render command again with --overwrite"


def other_version(found: int) -> tuple[str, str]:
    """What is wrong with a file of another version of the format, and what to do."""
    return (
        f"has format version {found}; this slakh-hier reads version {FORMAT_VERSION}",
        "Update slakh-hier to open it" if found > FORMAT_VERSION else _RENDER_AGAIN,
    )


def _read(folder: Path, path: Path) -> bytes:
    try:
        return read_plain(path, MAX_INDEX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise _nothing_there(folder) from None
    except OSError as error:
        raise ShardError(f"{path}: cannot be used: {error.strerror}. {_RENDER_AGAIN}") from None


def _nothing_there(folder: Path) -> InputError | ShardError:
    if not folder.is_dir():
        return InputError(f"{folder}: there is no such folder")
    if any(folder.glob("*.h5")) or (folder / "plan.yaml").exists():
        return ShardError(
            f"{folder}: the set is unfinished (no {INDEX_NAME}). Run the same slakh-hier render command again: it "
            "keeps what is finished and does the rest"
        )
    return InputError(f"{folder}: holds no shards (no {INDEX_NAME}). Make some with slakh-hier render")


def _distinct(what: str, values: list[str]) -> None:
    if len(set(values)) != len(values):
        (twice, _), *_rest = Counter(values).most_common(1)
        raise ValueError(f"{what} {twice!r} is listed twice")

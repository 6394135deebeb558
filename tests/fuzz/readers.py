"""Coverage-guided fuzzing of everything that reads what others wrote. Not part of the test suite.

    pip install atheris
    python tests/fuzz/readers.py hierarchy|metadata|index|shard -max_total_time=60 [CORPUS]

Any exception but the package's own, a hang of more than 10 s, or more than 2 GB of memory ends it, with the input in a
file ``crash-*``. Seeds are made from good files when no corpus is given.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import atheris  # type: ignore[import-not-found, unused-ignore]

with atheris.instrument_imports(include=["slakh_hier"]):
    import slakh_hier.safe_yaml  # noqa: F401 - instrumented
    from slakh_hier.errors import SlakhHierError
    from slakh_hier.hierarchy import parse_hierarchy
    from slakh_hier.shards.index import read_index
    from slakh_hier.shards.read import open_shards
    from slakh_hier.slakh.metadata import read_metadata

WORK = Path(tempfile.mkdtemp(prefix="slakh-hier-fuzz-"))
GOOD = WORK / "good"


def hierarchy(data: bytes) -> None:
    parse_hierarchy(data.decode("utf-8", "surrogateescape"), "fuzz.yaml")


def metadata(data: bytes) -> None:
    read_metadata(data, "metadata.yaml")


def index(data: bytes) -> None:
    (WORK / "index.json").write_bytes(data)
    read_index(WORK)


def shard(data: bytes) -> None:
    """The first bytes say where in a good shard the others are put; the index agrees in size."""
    path = GOOD / "train-00000.h5"
    image = bytearray(SHARD)
    for at in range(0, len(data) - 3, 4):
        place = int.from_bytes(data[at : at + 3], "little") % len(image)
        image[place] ^= data[at + 3]
    path.write_bytes(image)
    with open_shards(GOOD) as shards:
        for clip in shards:
            _ = clip.mix, clip.query


READERS: dict[str, Callable[[bytes], None]] = {
    "hierarchy": hierarchy, "metadata": metadata, "index": index, "shard": shard
}  # fmt: skip


def make_good() -> bytes:
    """A small rendered set."""
    import slakh_hier as sh
    from slakh_hier.testing import make_slakh

    root = make_slakh(WORK / "slakh", tracks=3, seconds=4, sample_rate=8000, stems=3, every_category=False)
    tree = sh.load_hierarchy("band")
    catalog = sh.scan(root, tree, split_scheme="folders", cache=False, jobs=1)
    plan = sh.plan_clips(
        catalog, tree, clips={"train": 2}, clip_seconds=0.5, step=0.5, queries=False,
        activity=WORK / "activity.h5", jobs=1,
    )  # fmt: skip
    sh.render(plan, GOOD, sample_rate=2000, jobs=1)
    return (GOOD / "train-00000.h5").read_bytes()


def main() -> None:
    reader = READERS[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        with suppress(SlakhHierError):
            reader(data)

    corpus = WORK / "corpus"
    corpus.mkdir()
    metadata_file = next((WORK / "slakh").rglob("metadata.yaml"))
    for number, path in enumerate((GOOD / "hierarchy.yaml", GOOD / "index.json", metadata_file)):
        (corpus / str(number)).write_bytes(path.read_bytes())
    atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=2048", str(corpus)], once)
    atheris.Fuzz()


SHARD = make_good()
if __name__ == "__main__":
    main()

"""Trees that were written for earlier versions keep their meaning: the files in ``data`` are never changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from slakh_hier.hierarchy import StemLabel, load_hierarchy

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("schema_1", "378e5b0f685e8f95436ada440915b674ca1ccb6cb3c4e58070250c64ef7f54a3"),
        ("recipe", "01c64424c77609e480f0ed2ca74d2778a820b8edc2108bddb2f1fa091249d6be"),
    ],
)
def test_the_digest_that_plans_and_shards_hold(name: str, digest: str) -> None:
    assert load_hierarchy(DATA / f"{name}.yaml").digest == digest


@pytest.mark.parametrize(
    ("stem", "place"),
    [
        (StemLabel(None, 4, False), ("piano", "pianos")),
        (StemLabel("grand.nkm", 90, False), ("piano", "pianos")),
        (StemLabel(None, 6, False), ("harpsichord", "pianos")),
        (StemLabel("baroque.nkm", 6, False), ("harpsichord_baroque", "strings_voices")),
        (StemLabel(None, 52, False, "Choir Aahs"), ("voices", "strings_voices")),
        (StemLabel(None, 49, False, None, "Ensemble"), ("voices", "strings_voices")),
        (StemLabel(None, 31, False), ("guitars", "guitars")),
        (StemLabel(None, 0, True), ("kit", "kit")),
        (StemLabel(None, 73, False), None),
    ],
)
def test_every_kind_of_rule(stem: StemLabel, place: tuple[str, str] | None) -> None:
    found = load_hierarchy(DATA / "schema_1.yaml").match(stem)
    assert (found and (found.category, found.node)) == place

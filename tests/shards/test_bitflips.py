"""One flipped bit anywhere in a shard is an error or changes nothing: never other audio, never a crash."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import ShardError
from slakh_hier.shards import open_shards

# In a process of its own, since a crash of the HDF5 library must be a failed test, not the end of all tests.
SCRIPT = """
import collections, hashlib, json, random, sys
from pathlib import Path
from slakh_hier.errors import ShardError
from slakh_hier.shards import open_shards

folder, part = Path(sys.argv[1]), sys.argv[2]
shard = folder / "train-00000.h5"
good = shard.read_bytes()

def content():
    shards = open_shards(folder)
    digest = hashlib.sha256()
    for table in (shards.row, shards.rms, shards.query_row, shards.mask("leaf-50")):
        digest.update(table.tobytes())
    digest.update(shards.clips.to_csv().encode())
    for clip in range(len(shards)):
        for column in range(len(shards.nodes)):
            digest.update(shards.audio(clip, column).tobytes())
        query = shards.query(clip)
        digest.update(b"" if query is None else query.tobytes())
    return digest.hexdigest()

expected = content()
chance = random.Random(part)
found = collections.Counter()
for trial in range(100):
    places = range(len(good)) if part == "anywhere" else [*range(4096), *range(len(good) - 4096, len(good))]
    place, bit = chance.choice(places), chance.randrange(8)
    damaged = bytearray(good)
    damaged[place] ^= 1 << bit
    shard.write_bytes(damaged)
    try:
        found["same" if content() == expected else f"other data: byte {place}, bit {bit}"] += 1
    except ShardError as error:
        assert str(shard) in str(error)
        found["error"] += 1
shard.write_bytes(good)
assert content() == expected
print(json.dumps(found))
"""


@pytest.mark.parametrize("part", ["anywhere", "ends"])
def test_a_flipped_bit_is_never_other_data(make_set, part):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", SCRIPT, str(made.folder), part],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("error") + found.pop("same", 0) == 100
    assert not found


@pytest.fixture(scope="module")
def victim(shared_set, tmp_path_factory):
    """A set whose first shard may be changed, and its good bytes."""
    folder = shutil.copytree(shared_set.folder, tmp_path_factory.mktemp("damaged") / "set")
    return folder, (folder / "train-00000.h5").read_bytes()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_ends_in_another_error(bounded, victim, data):
    """Runs of bytes become others, anywhere; the size stays, so that the file itself is looked at."""
    folder, good = victim
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        new = data.draw(st.binary(min_size=1, max_size=40))
        at = data.draw(st.integers(0, 4096) | st.integers(0, len(good) - 41))
        damaged[at : at + len(new)] = new
    (folder / "train-00000.h5").write_bytes(damaged)
    with bounded(), suppress(ShardError), open_shards(folder) as shards:
        for clip in shards:
            _ = clip.mix, clip.query

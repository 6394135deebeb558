"""Sets at an address: the same clips, each file fetched once and whole, nothing kept that is not what the index lists."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slakh_hier.errors import FaultError, InputError, MissingExtraError, ShardError
from slakh_hier.shards import open_shards
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Handler(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A web server over a folder: its address, the folder, the paths that were asked for."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = type("Mine", (Handler,), {"asked": []})
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=folder)
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/set", folder / "set", handler.asked
        server.shutdown()


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    yield "memory://bucket/set"
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)


def put(folder: Path, url: str) -> None:
    system = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            system.pipe_file(f"{url}/{path.relative_to(folder)}", path.read_bytes())


def check_equal(url: str, folder: Path, split: str | None = None) -> None:
    there, here = open_shards(url, split), open_shards(folder, split)
    assert len(there) == len(here) > 0
    assert there.masks == here.masks
    for one, other in zip(there, here, strict=True):
        assert (one.track, one.start, one.target) == (other.track, other.start, other.target)
        np.testing.assert_array_equal(one.mix, other.mix)
        for name in here.masks:
            assert one.available(name) == other.available(name)


def fetched(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.glob("shards/*-*/*.h5"))


def test_memory(make_set: Any, memory: str, cache: Path) -> None:
    made = make_set()
    put(made.folder, memory)
    check_equal(memory, made.folder, "validation")
    assert fetched(cache) == ["validation-00000.h5"]
    check_equal(memory + "/", made.folder)
    assert len(fetched(cache)) == 3
    assert not list(cache.rglob(".tmp-*"))


def test_a_web_server_is_asked_for_each_shard_once(make_set: Any, web: Any, cache: Path) -> None:
    url, folder, asked = web
    made = make_set()
    shutil.copytree(made.folder, folder)
    for _ in range(2):
        check_equal(url, made.folder)
    assert sorted({path for path in asked if path.endswith(".h5")}) == sorted(
        path for path in asked if path.endswith(".h5")
    )
    # A mask that is added, and a shard that the cache has lost.
    asked.clear()
    for place in (made.folder, folder):
        add_mask(place, Mask("leaf", 25))
    check_equal(url, made.folder)
    assert [path for path in asked if path.endswith(".h5")] == ["/set/masks/leaf-25.h5"]


def test_what_is_cut_in_the_cache_is_fetched_again(make_set: Any, memory: str, cache: Path) -> None:
    made = make_set()
    put(made.folder, memory)
    check_equal(memory, made.folder)
    victim = next(cache.glob("shards/*-*/train-00000.h5"))
    os.truncate(victim, 100)  # a hard link: the object behind it is cut too
    check_equal(memory, made.folder)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "sha256 differs"),
        (lambda data: data[:-1], "bytes or more instead of"),
        (lambda data: data + bytes(9_000_000), "bytes or more instead of"),
        (lambda data: b"<html>not found</html>", "bytes or more instead of"),
    ],
    ids=["flipped", "cut", "endless", "a page"],
)
def test_other_bytes_are_refused_and_not_kept(
    make_set: Any, memory: str, cache: Path, damage: Any, reason: str
) -> None:
    made = make_set()
    put(made.folder, memory)
    system = fsspec.filesystem("memory")
    system.pipe_file("/bucket/set/train-00001.h5", damage(made.file(1).read_bytes()))
    with pytest.raises(ShardError, match=rf"memory://bucket/set/train-00001\.h5: .*{reason}"):
        open_shards(memory)
    assert fetched(cache) == ["train-00000.h5"]
    assert not list(cache.rglob(".tmp-*"))
    put(made.folder, memory)
    check_equal(memory, made.folder)


@pytest.mark.parametrize("file", ["../secret.h5", "/etc/passwd", "a/b.h5", "http://elsewhere/x.h5"])
def test_an_index_leads_nowhere_else(make_set: Any, memory: str, cache: Path, file: str) -> None:
    made = make_set()
    made.rewrite_index(lambda raw: raw["shards"][0].update(file=file))
    put(made.folder, memory)
    with pytest.raises(ShardError, match=r"index\.json: shards\.0\.file"):
        open_shards(memory)
    assert fetched(cache) == []


def test_what_is_not_there_is_reported(
    make_set: Any, memory: str, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="holds no finished set of shards"):
        open_shards(memory)
    url, folder, _ = web
    with pytest.raises(InputError, match="holds no finished set of shards"):
        open_shards(url)
    made = make_set()
    shutil.copytree(made.folder, folder)
    (folder / "train-00000.h5").unlink()
    with pytest.raises(ShardError, match=r"train-00000\.h5: is not there, but the index lists it"):
        open_shards(url)
    with pytest.raises(FaultError, match="cannot be fetched"):
        open_shards("http://127.0.0.1:9/set")
    with pytest.raises(InputError, match="Protocol not known: nowhere"):
        open_shards("nowhere://set")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'slakh-hier\[remote\]'"):
        open_shards(memory)


def test_a_full_disk_is_said_with_the_place(
    make_set: Any, memory: str, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    made = make_set()
    put(made.folder, memory)
    full = shutil.disk_usage(cache.parent)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FaultError, match=r"fetching memory://bucket/set needs .* MB are free"):
        open_shards(memory)


def test_what_a_kill_left_in_the_cache_a_day_ago_is_removed(make_set: Any, memory: str, cache: Path) -> None:
    folder = make_set().folder
    add_mask(folder, Mask("leaf", 25))
    put(folder, memory)
    open_shards(memory)
    places = {path.parent for path in cache.rglob("*") if path.is_file()}
    for place in places:
        for name, hours in ((".tmp-killed", 25), (".tmp-at-work", 1)):
            (place / name).touch()
            os.utime(place / name, (time.time() - 3600 * hours,) * 2)
    open_shards(memory)
    assert sorted(path.name for path in cache.rglob(".tmp-*")) == [".tmp-at-work"] * len(places)


def test_no_import_before_it_is_needed(make_set: Any, tmp_path: Path) -> None:
    import subprocess

    made = make_set()
    code = (
        "import json, sys; from slakh_hier import open_shards\n"
        f"open_shards({str(made.folder)!r}); print(json.dumps('fsspec' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False

"""Workers of a Dask scheduler elsewhere: same bytes though one is killed, and no start where they see other folders."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import slakh_hier as sh
from slakh_hier import shared_folders
from slakh_hier.cli.main import cli
from slakh_hier.errors import InputError
from slakh_hier.files import file_sha256
from slakh_hier.parallel import run
from slakh_hier.progress import Silent
from slakh_hier.shared_folders import SharedFolders, check_workers

distributed = pytest.importorskip("distributed")
Write = Callable[..., object]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture
def writers(small_plan: sh.Plan, small_catalog: sh.Catalog) -> dict[str, Write]:
    """Every function that takes a scheduler, writing into a folder."""
    band = small_catalog.with_hierarchy(sh.load_hierarchy("band"))
    return {
        "activity": lambda out, **how: sh.measure_activity(small_catalog, out / "activity.h5", **how),
        "render": lambda out, **how: sh.render(small_plan, out, sample_rate=44100, shard_mb=2.5, **how),
        "submix": lambda out, **how: sh.write_submixes(band, out, **how),
        "synth": lambda out, **how: sh.make_data_set([], out, compose=4, seconds=8, **how),
    }


def digests(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): file_sha256(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def kill_a_worker(cluster: Any, out: Path, killed: list[int]) -> None:
    """Kill one of the workers as soon as something lies in ``out`` or below it that was written there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        names = {p.suffix for p in out.rglob("*") if "probe" not in p.name}
        if names & {".h5", ".flac"}:
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)
            return
        time.sleep(0.002)


class Counted(Silent):
    """Counts what the progress bar gets."""

    def __init__(self) -> None:
        self.reported = 0

    def stage(self, *arguments: Any, **more: Any) -> Any:  # type: ignore[override]
        from contextlib import contextmanager

        @contextmanager
        def stage() -> Iterator[Callable[[float], None]]:
            yield lambda amount: setattr(self, "reported", self.reported + 1)

        return stage()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("command", ["activity", "render", "submix", "synth"])
def test_a_worker_killed_on_the_way_changes_no_byte(
    command: str, writers: dict[str, Write], cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command == "synth":
        pytest.importorskip("mido")
    (tmp_path / "alone").mkdir()
    writers[command](tmp_path / "alone", jobs=1)
    (tmp_path / "out").mkdir()
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(cluster, tmp_path / "out", killed))
    killer.start()
    monkeypatch.chdir(tmp_path)  # the workers' working folder is another one
    progress = Counted()
    writers[command](Path("out"), backend="dask", scheduler=cluster.scheduler_address, progress=progress)
    killer.join()
    assert killed
    assert progress.reported > 0
    assert digests(tmp_path / "out") == digests(tmp_path / "alone")
    assert not list((tmp_path / "out").rglob(".tmp-*"))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("command", ["activity", "render", "submix", "synth"])
def test_commands_take_a_scheduler(
    command: str, small_plan: sh.Plan, small_slakh: Path, cluster: Any, tmp_path: Path
) -> None:
    if command == "synth":
        pytest.importorskip("mido")
    small_plan.save(tmp_path / "plan")
    folders = [tmp_path / "alone", tmp_path / "out"]
    for out, how in zip(
        folders, (["-j", "1"], ["--backend", "dask", "--scheduler", cluster.scheduler_address]), strict=True
    ):
        arguments = {
            "activity": [small_slakh, "-o", out / "activity.h5", "--split-scheme", "folders"],
            "render": [small_slakh, "-o", out, "--plan", tmp_path / "plan", "--sample-rate", 44100],
            "submix": [small_slakh, "-o", out, "--hierarchy", "band", "--split-scheme", "folders"],
            "synth": ["--compose", 2, "--seconds", 8, "-o", out],
        }
        done = CliRunner().invoke(cli, [command, *map(str, arguments[command]), *how])
        assert done.exit_code == 0, done.output
    assert digests(folders[0]) == digests(folders[1]) != {}


def test_workers_that_see_other_folders_are_refused_before_any_work(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "out").mkdir()

    def start(reads: Path) -> None:
        shared = SharedFolders([reads], tmp_path / "out")
        how: dict[str, Any] = {"backend": "dask", "scheduler": cluster.scheduler_address, "shared": shared}
        assert list(run(os.getcwd, {"task": ()}, **how))

    start(tmp_path / "data")
    # Only this process is changed: as if the folder were another one there.
    monkeypatch.setattr(shared_folders, "_fingerprint", lambda path: "other")
    with pytest.raises(
        InputError, match=r"worker tcp://.* sees other content in .*data.*a shared file system.*Nothing"
    ):
        start(tmp_path / "data")
    with pytest.raises(InputError, match=r"worker tcp://.* cannot read .*nowhere \(No such file"):
        start(tmp_path / "nowhere")
    assert list((tmp_path / "out").iterdir()) == []


class Elsewhere:
    """A client whose one worker has its own folder in the place of ours, or another version."""

    def __init__(self, folder: Path, version: str | None = None):
        self.folder, self.version = folder, version

    def wait_for_workers(self, count: int, timeout: float) -> None:
        pass

    def run(
        self, look: Callable[..., Any], reads: dict[str, str], probe: str, token: str, **more: Any
    ) -> Any:
        answer = look(reads, str(self.folder / Path(probe).name), token)
        return {"tcp://there": {**answer, "version": self.version or answer["version"]}}


def test_an_output_folder_of_the_workers_own_is_noticed(tmp_path: Path) -> None:
    for name in ("out", "theirs"):
        (tmp_path / name).mkdir()
    shared = SharedFolders([], tmp_path / "out")
    check_workers(Elsewhere(tmp_path / "out"), "tcp://x", shared)
    with pytest.raises(InputError, match="tcp://there does not see what this machine writes into"):
        check_workers(Elsewhere(tmp_path / "theirs"), "tcp://x", shared)
    with pytest.raises(InputError, match=r"has slakh-hier 0\.0, here it is"):
        check_workers(Elsewhere(tmp_path / "out", "0.0"), "tcp://x", shared)
    assert not list(tmp_path.glob("*/*"))


def test_schedulers_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --backend dask with it, not loky"):
        list(run(os.getcwd, {"task": ()}, scheduler="tcp://127.0.0.1:9"))
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        distributed.Client(empty) as client,
        pytest.raises(InputError, match="has no worker; start some with: dask worker tcp://x"),
    ):
        check_workers(client, "tcp://x", SharedFolders([], tmp_path), patience=0.2)

"""Fixtures that several layers use."""

from __future__ import annotations

import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from slakh_hier.plan import Plan
    from slakh_hier.slakh import Catalog

MINI = Path(__file__).parents[1].parent / "shared" / "slakh_mini"
LONG = ("test_docs.py", "test_notebooks.py", "test_kill_loop.py", "test_every_command.py")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in what a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the commands under test would ignore it too


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A process more than cores: a fifth of their time the tests wait, for signals, locks and other processes."""
    from slakh_hier.parallel import cpu_cores

    return cpu_cores() + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: at the end, one of several processes would run them alone."""
    items.sort(key=lambda item: item.path.name not in LONG)


@pytest.fixture(scope="session")
def slakh_mini() -> Path:
    """Real music in true Slakh layout, where the checkout has it beside itself."""
    if not MINI.is_dir():
        pytest.skip("the small real data set is not beside this checkout")
    return MINI


@pytest.fixture(scope="session")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six composed songs of about 15 s, two per split: what every checkout has of music (5 s of CPU time)."""
    pytest.importorskip("pretty_midi")
    from slakh_hier import make_data_set

    out = tmp_path_factory.mktemp("composed") / "slakh"
    make_data_set([], out, compose=6, seconds=12, splits=(34, 33, 33), jobs=1)
    return out


@pytest.fixture(scope="session", params=["composed", "slakh_mini"])
def music(request: pytest.FixtureRequest) -> Path:
    """A data set of music: composed songs, and the real ones where they are. Tests must not change it."""
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache folder, nor does a command it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLAKH_HIER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """``command("scan", ...)`` runs the command line in this process and returns exit code, stdout and stderr."""
    from slakh_hier.cli.main import main

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[Path, str], str]]:
    """A store that speaks S3's API on the loopback: ``s3(folder, "bucket/set")`` puts files there, and returns the address.

    It keeps them in memory. Nobody's own credentials or profile are used.
    """
    moto = pytest.importorskip("moto.server")
    boto3, s3fs = pytest.importorskip("boto3"), pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.get_host_and_port()[1]}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    client = boto3.client("s3")

    def put(folder: Path, place: str) -> str:
        bucket, _, prefix = place.partition("/")
        client.create_bucket(Bucket=bucket)
        for path in folder.rglob("*"):
            if path.is_file():
                client.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder)}")
        return f"s3://{place}"

    s3fs.S3FileSystem.clear_instance_cache()  # they remember endpoint and credentials
    yield put
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def printed_tables(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The headings of every table that commands print; at its end, each one must fit 60, 80 and 120 columns.

    No number, path or heading may be broken, and only secondary columns left out.
    """
    from slakh_hier.cli import tables

    seen, headings, fit = [], [], tables.fit

    def record(rows: Any, right: Any, width: Any, secondary: Any = ()) -> Any:
        seen.append((rows, right, secondary))
        headings.extend(rows[0] if rows else ())
        return fit(rows, right, width, secondary)

    monkeypatch.setattr(tables, "fit", record)
    yield headings
    assert seen
    for rows, right, secondary in seen:
        for width in (60, 80, 120):
            shown = fit(rows, right, width, secondary)
            assert list(secondary[: len(shown.left_out)]) == shown.left_out or set(shown.left_out) <= set(
                secondary
            )
            kept = [name for name in rows[0] if name not in shown.left_out] if rows else []
            text = "\n".join(shown.lines)
            if shown.is_list:
                assert width == 60, f"{kept} is a list in {width} columns"
                assert all(f"{name} " in text for name in kept)
            else:
                assert max(map(len, shown.lines), default=0) <= width, text
                assert all(name in shown.lines[0] for name in kept)
            for row in rows:
                for name in kept:
                    whole = re.findall(r"(?:^|(?<=\s))(?:[-+]?\d[\d.,]*|\S*/\S*)(?=\s|$)", row[name])
                    assert all(part in text for part in whole), f"{whole} is broken:\n{text}"


@pytest.fixture(scope="session")
def bounded() -> Callable[[], AbstractContextManager[None]]:
    """``with bounded():`` fails when the block takes more than 5 s of this process, or makes it 100 MB larger."""

    @contextmanager
    def limits() -> Iterator[None]:
        began, size = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        yield
        assert time.process_time() - began < 5
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size
        assert grown * (1 if sys.platform == "darwin" else 1024) < 100 << 20  # macOS counts bytes, Linux kB

    return limits


@pytest.fixture(scope="session")
def little_slakh() -> Callable[..., Path]:
    """``little_slakh(folder, tracks=4, stems=2, seconds=2, ...)`` makes a data set at 8 kHz, without every category."""
    from slakh_hier.testing import make_slakh

    return partial(make_slakh, sample_rate=8000, every_category=False)


@pytest.fixture(scope="session")
def small_slakh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tracks of 8 s at 11,025 Hz (half a second is no whole number of samples), with oddities that are legal."""
    from slakh_hier.testing import make_slakh

    return make_slakh(
        tmp_path_factory.mktemp("small") / "slakh",
        seconds=8.3,
        sample_rate=11025,
        stems=6,
        every_category=False,
        defects=("shorter_stem", "silent_stem", "unassigned_program", "stereo_stem"),
    )


@pytest.fixture(scope="session")
def small_catalog(small_slakh: Path) -> Catalog:
    from slakh_hier import load_hierarchy, scan

    return scan(small_slakh, load_hierarchy("slakh34"), jobs=1)


@pytest.fixture(scope="session")
def small_activity(small_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The activity file of the small data set, measured in one process."""
    from slakh_hier.plan import measure_activity

    return measure_activity(small_catalog, tmp_path_factory.mktemp("activity") / "activity.h5", jobs=1)


@pytest.fixture(scope="session")
def small_plan(small_catalog: Catalog, small_activity: Path) -> Plan:
    """20 clips of 2 s with queries."""
    from slakh_hier import plan_clips

    return plan_clips(
        small_catalog,
        small_catalog.hierarchy,
        clips={"train": 10, "validation": 6, "test": 4},
        clip_seconds=2,
        step=0.5,
        activity=small_activity,
        jobs=1,
    )


@pytest.fixture(scope="session")
def small_set(small_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small plan rendered in one process into several shards. Tests must not change it."""
    from slakh_hier import render

    out = tmp_path_factory.mktemp("set") / "shards"
    render(small_plan, out, sample_rate=8000, shard_mb=0.8, masks=["leaf:50"], jobs=1)
    return out


@pytest.fixture(scope="session")
def music_catalog(music: Path) -> Catalog:
    from slakh_hier import load_hierarchy, scan

    return scan(music, load_hierarchy("slakh34"), split_scheme="folders")


@pytest.fixture(scope="session")
def music_activity(music_catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from slakh_hier.plan import measure_activity

    return measure_activity(music_catalog, tmp_path_factory.mktemp("music") / "activity.h5", jobs=1)

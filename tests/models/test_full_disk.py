"""Every command that writes audio, on a disk that is full 1 to 8,000 bytes before the end of its largest file."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

import slakh_hier as sh
from slakh_hier.cli.main import main
from slakh_hier.testing import make_slakh

MISSING = (1, 40, 600, 3000, 8000)
RATE = 8000
Command = Callable[[Path, str], list[object]]


@contextmanager
def files_of_at_most(size: int | None) -> Iterator[None]:
    """A limit on the size of files, which is refused as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one song of noise, and map.yaml beside it."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "songs" / "song").mkdir(parents=True)
    for seed, name in enumerate(("bass", "voice")):
        noise = np.random.default_rng(seed).uniform(-0.3, 0.3, 20_000)
        soundfile.write(folder / "songs" / "song" / f"{name}.wav", noise, RATE)
    instruments = {"bass": {"files": ["bass"]}, "voice": {"files": ["voice"]}}
    (folder / "map.yaml").write_text(yaml.safe_dump({"schema": 1, "instruments": instruments}))
    return folder


@pytest.fixture(scope="module")
def slakh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_slakh(
        tmp_path_factory.mktemp("data") / "slakh", tracks=3, seconds=4, sample_rate=RATE, stems=2, every_category=False
    )  # fmt: skip


@pytest.fixture(scope="module")
def shards(slakh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    catalog = sh.scan(slakh, sh.load_hierarchy("slakh34"))
    plan = sh.plan_clips(
        catalog, catalog.hierarchy, clips={"train": 1}, clip_seconds=4, queries=False, jobs=1
    )
    return sh.render(plan, tmp_path_factory.mktemp("shards") / "out", sample_rate=RATE, jobs=1).folder


@pytest.fixture
def commands(songs: Path, slakh: Path, shards: Path, guitar_run: Path) -> dict[str, Command]:
    """The arguments of every command, for an output folder and an audio format."""
    song = songs / "songs" / "song" / "bass.wav"
    return {
        "submix": lambda out, kind: ["submix", slakh, "-o", out, "--audio-format", kind, "-j", 1],
        "import": lambda out, kind: [
            "import", songs / "songs", "--map", songs / "map.yaml", "-o", out, "--audio-format", kind, "-j", 1,
        ],
        "synth": lambda out, kind: ["synth", "--compose", 1, "--seconds", 8, "-o", out, "-j", 1],
        "export": lambda out, kind: ["export", shards, 0, "-o", out, "--audio-format", kind],
        "separate": lambda out, kind: ["separate", guitar_run, song, "-o", out, "--audio-format", kind],
    }  # fmt: skip


def audio_of(out: Path) -> list[Path]:
    """Audio files under final names; each must be readable to its end."""
    found = [path for path in out.rglob("*") if path.suffix in (".flac", ".wav") and ".tmp-" not in str(path)]
    for path in found:
        assert len(soundfile.read(path)[0]) == soundfile.info(path).frames
    return found


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("synth", "flac"),
        *((name, kind) for name in ("submix", "import", "export", "separate") for kind in ("flac", "wav")),
    ],
)
def test_nothing_unreadable_is_published(
    command: str,
    kind: str,
    commands: dict[str, Command],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(out: Path, largest: int | None) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped, files_of_at_most(largest):
            main([str(word) for word in commands[command](out, kind)])
        return int(stopped.value.code or 0), capsys.readouterr().err

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert run(tmp_path / "whole", None)[0] == 0
    sizes = sorted(path.stat().st_size for path in audio_of(tmp_path / "whole"))
    assert sizes[-1] > 2 * MISSING[-1]
    for missing in MISSING:
        out = tmp_path / f"out-{missing}"
        code, said = run(out, sizes[-1] - missing)
        assert code == 3, said
        assert "cannot write" in said
        assert "free disk space and run the same command again" in said
        assert "Traceback" not in said
        assert len(audio_of(out)) < len(sizes)
        assert not list(out.rglob("*.tmp-*"))
        assert run(out, None)[0] == 0
        assert len(audio_of(out)) == len(sizes)


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_a_generated_data_set_is_whole_or_not_there(tmp_path: Path, kind: str, missing: int) -> None:
    def make(out: Path) -> Path:
        return make_slakh(
            out, tracks=3, seconds=4, sample_rate=RATE, stems=2, every_category=False, audio_format=kind  # type: ignore[arg-type]
        )  # fmt: skip

    largest = max(path.stat().st_size for path in audio_of(make(tmp_path / "whole")))
    with (
        pytest.raises(OSError, match="as on a full disk"),
        files_of_at_most(largest - missing),
    ):
        make(tmp_path / "cut")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]

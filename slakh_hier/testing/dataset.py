"""``make_slakh``: a data set in Slakh's layout whose every sample follows a formula."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.files import TEMPORARY_PREFIX
from slakh_hier.output.audio import AudioFormat, check_audio
from slakh_hier.output.tracks import stem_name, track_name
from slakh_hier.parallel import cpu_cores
from slakh_hier.paths import StrPath
from slakh_hier.splits import SPLITS
from slakh_hier.testing.defects import DEFECTS, check_defects
from slakh_hier.testing.instruments import GUITARS, INSTRUMENTS, PAIRS
from slakh_hier.testing.track import StemSpec, TrackSpec, song_of, write_track


def make_slakh(
    root: StrPath,
    *,
    tracks: int = 6,
    seconds: float = 20.0,
    seed: int = 0,
    sample_rate: int = 44100,
    channels: int = 1,
    audio_format: AudioFormat = "flac",
    splits: bool = True,
    stems: int = 8,
    every_category: bool = True,
    defects: Collection[str] = (),
) -> Path:
    """Make a data set in Slakh's layout: metadata, stems, mix and MIDI placeholders, 16 bit.

    Everything follows from the arguments. At any moment several nodes sound under each coarse node, S00 of
    every track is a clean guitar, and in each split two tracks share most of their finest nodes, so that clips
    and queries can be drawn.

    Parameters
    ----------
    root
        A new or empty folder; it appears under this name only when it is complete.
    tracks
        Tracks, named Track00001 and on; a quarter each goes to validation and test.
    seconds
        Length of every stem, s.
    seed
        Changes melodies and songs.
    sample_rate
        Hz; BabySlakh has 16000.
    channels
        2: all stems are stereo but each third one (S02, S05, ...), as in recordings. Slakh's have 1.
    audio_format
        ``flac`` or ``wav``.
    splits
        Put tracks into train, validation and test folders; False is BabySlakh's flat layout.
    stems
        Stems of a track.
    every_category
        Each of the 36 categories of slakh34 occurs somewhere: tracks get further stems where ``tracks`` times
        ``stems`` is too few. False gives every track the same instruments.
    defects
        Names out of :data:`~slakh_hier.testing.DEFECTS`: what real data sets suffer from, at documented places.

    Returns
    -------
    Path
        ``root``.

    Raises
    ------
    InputError
        ``root`` holds files, a number is out of range, or a defect is unknown or needs more tracks or stems.
    """
    root = Path(root)
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise InputError(f"{root} exists and is not an empty folder; choose a new name for the data set")
    check_audio(audio_format)
    if channels not in (1, 2):
        raise InputError(f"channels must be 1 or 2, not {channels}")
    if not seconds > 0:
        raise InputError(f"seconds must be above 0, not {seconds}")
    check_defects(defects, tracks, stems, audio_format)
    specs = plan_tracks(
        tracks=tracks,
        seed=seed,
        sample_rate=sample_rate,
        channels=channels,
        splits=splits,
        stems=stems,
        every_category=every_category,
    )
    root.parent.mkdir(parents=True, exist_ok=True)
    with _building(root) as building:
        with ThreadPoolExecutor(max_workers=cpu_cores()) as pool:
            count = round(seconds * sample_rate)
            list(pool.map(lambda spec: write_track(building, spec, count, audio_format), specs))
        for name in DEFECTS:  # in the table's order, whatever the caller's
            if name in defects:
                DEFECTS[name].apply(building, specs)
        os.replace(building, root)
    return root


@contextmanager
def _building(root: Path) -> Iterator[Path]:
    """A folder beside ``root`` with a temporary name, locked as long as this process is at work.

    Those of killed runs, which nobody has locked, are removed first.
    """
    lead = f"{TEMPORARY_PREFIX}{root.name}-"
    for left in root.parent.glob(f"{glob.escape(lead)}*"):
        with suppress(OSError), _lock(left):
            shutil.rmtree(left)
    building = Path(tempfile.mkdtemp(prefix=lead, dir=root.parent))
    try:
        building.chmod(0o755)
        with ExitStack() as stack:
            with suppress(OSError):  # a file system without locks: nobody can find the folder abandoned
                stack.enter_context(_lock(building))
            yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; OSError where another process has it, there is no such thing, or it is not a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def plan_tracks(
    *,
    tracks: int = 6,
    seed: int = 0,
    sample_rate: int = 44100,
    channels: int = 1,
    splits: bool = True,
    stems: int = 8,
    every_category: bool = True,
) -> tuple[TrackSpec, ...]:
    """What :func:`make_slakh` will write with the same arguments, in the order of the track ids."""
    if not 1 <= tracks <= 99999:
        raise InputError(f"tracks must be between 1 and 99999, not {tracks}")
    if not 1 <= stems <= 100:
        raise InputError(f"stems must be between 1 and 100, not {stems}")
    quarter = (tracks + 2) // 4
    counts = {"validation": quarter, "test": quarter if tracks > 2 else 0}
    counts = {"train": tracks - sum(counts.values()), **counts}
    places = [(split, i) for split in SPLITS for i in range(counts[split])]
    casts = _casts([i for _, i in places], stems, every_category)
    specs = []
    for number, ((split, _), cast) in enumerate(zip(places, casts, strict=True), start=1):
        track = track_name(number)
        parts = tuple(
            StemSpec(
                track, stem_name(i), INSTRUMENTS[category], sample_rate, seed, 1 if i % 3 == 2 else channels
            )
            for i, category in enumerate(cast)
        )
        specs.append(TrackSpec(track, split if splits else "", song_of(track, seed), parts))
    return tuple(specs)


def _casts(positions: Sequence[int], stems: int, every_category: bool) -> list[list[str]]:
    """Categories of every track's stems; ``positions`` count the tracks inside their split."""
    casts: list[list[str]] = []
    group = -1
    for position in positions:
        side = position % 2
        group += side == 0
        first = group * (stems - 1) if every_category else 0
        pairs = [PAIRS[(first + i) % len(PAIRS)] for i in range(stems - 1)]
        casts.append([GUITARS[side], *(pair[side] for pair in pairs)])
    if every_category:
        present = {category for cast in casts for category in cast}
        missing = [category for category in INSTRUMENTS if category not in present]
        for i, category in enumerate(missing):
            casts[-1 - i % len(casts)].append(category)
    return casts

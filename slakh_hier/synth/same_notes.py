"""Songs of the same notes: MIDI files that differ only in texts, names or the spelling of events.

Collections hold many of them. Their stems are the same audio, so they must not lie in two splits.
"""

from __future__ import annotations

from collections.abc import Sequence

from slakh_hier import parallel
from slakh_hier.errors import SongError
from slakh_hier.files import md5
from slakh_hier.progress import Progress
from slakh_hier.synth.read_song import read_song
from slakh_hier.synth.track import Source

_TASK = 32  # songs of one task; a song takes some 10 ms


def by_notes(sources: Sequence[Source], jobs: int | None, progress: Progress) -> dict[str, str]:
    """For the md5 of each song's file that of the first, in order of md5, with the same notes.

    Notes are the same where instruments, keys, times, velocities, volumes and bends are. A song that cannot be read is
    like no other.
    """
    songs = list({source.md5: source for source in sources}.values())
    tasks = {str(i): (songs[i : i + _TASK],) for i in range(0, len(songs), _TASK)}
    found: dict[str, str] = {}
    with progress.stage("comparing", len(songs), "songs") as advance:
        for result in parallel.run(_digests, tasks, jobs=jobs):
            digests = result.unwrap()
            found.update(digests)
            advance(len(digests))
    first: dict[str, str] = {}
    return {md5: first.setdefault(found[md5], md5) for md5 in sorted(found)}


def notes_digest(data: bytes) -> str:
    """What is the same for two MIDI files of the same notes: 32 hex digits.

    Raises
    ------
    SongError
        The file cannot be read as a song.
    """
    parts = sorted(
        repr((p.program_num, p.bank, p.notes, p.gain.times, p.gain.values, p.bend.times, p.bend.values))
        for p in read_song(data).parts
    )
    return md5("\n".join(parts).encode())


def _digests(sources: Sequence[Source]) -> dict[str, str]:
    """Digest of the notes by md5 of the file, one task of several songs."""
    found = {}
    for source in sources:
        try:
            found[source.md5] = notes_digest(source.read())
        except SongError:
            found[source.md5] = source.md5
    return found

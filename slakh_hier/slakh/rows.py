"""From what lies in a track's folder to the catalog's rows: status and reason of every stem."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slakh_hier.slakh.content import UNKNOWN
from slakh_hier.slakh.frame import KEPT, StemRow
from slakh_hier.slakh.layout import TrackFolder
from slakh_hier.slakh.metadata import StemEntry
from slakh_hier.slakh.splits import ABSENT, Erratum, Identity, errata_of
from slakh_hier.slakh.tracks import SUFFIXES, FileFacts, Stamp, TrackFacts

_UNKNOWN = StemEntry(None, None, False, None, None, warnings="the metadata do not name this stem")


@dataclass(frozen=True, slots=True)
class Track:
    """A track that can be used: where it lies, whose song it is, and what is to be said of its files.

    ``song`` is None where neither the metadata nor the MIDI file give it. ``audio``: there is any. ``strays`` are files
    that no stem has. ``uneven`` names the shortest and the longest stem where they differ in length, else it is empty.
    """

    folder: TrackFolder
    song: str | None
    identity: Identity
    audio: bool
    strays: tuple[str, ...]
    uneven: str


def stem_rows(track: Track, facts: TrackFacts, *, errata: bool) -> list[StemRow]:
    """The stems of a track: those of its metadata, and files that the metadata do not name.

    They have no split yet: that depends on what the other tracks are.
    """
    metadata, files = facts.metadata, facts.files
    assert metadata is not None
    chosen = _choose_files(files)
    rate = _common_rate([files[names[0]] for names in chosen.values()])
    faults = errata_of(track.identity) if errata else {}
    rows = []
    for stem in sorted({*metadata.stems, *chosen}):
        entry = metadata.stems.get(stem, _UNKNOWN)
        names = chosen.get(stem, [])
        file = files[names[0]] if names else None
        if file is None:
            status, why = _absent(stem, facts, entry, faults.get(stem, ()))
        else:
            status, why = _status(file, rate, faults.get(stem, ()), entry.faults if errata else "")
            warnings = [entry.warnings, f"{', '.join(names[1:])} not used" if names[1:] else ""]
            if file.channels > 2:
                warnings.append(f"{file.channels} channels, folded down to one")
            why = "; ".join(filter(None, [why, *warnings]))
        there = file or FileFacts(Stamp(0, 0, 0))
        rows.append(
            StemRow(
                track=track.folder.track,
                song=track.song or track.folder.track,
                artist=metadata.artist,
                split="",
                stem=stem,
                path=f"{track.folder.path}/stems/{names[0]}" if names else "",
                frames=there.frames,
                sample_rate=there.sample_rate,
                channels=there.channels,
                size=there.stamp.size,
                mtime_ns=there.stamp.mtime_ns,
                content=there.content if status != "broken" else UNKNOWN,
                patch=entry.patch,
                program=entry.program,
                is_drum=entry.is_drum,
                midi_program_name=entry.midi_program_name,
                inst_class=entry.inst_class,
                labels=entry.labels,
                bleed=entry.bleed,
                status=status,
                why=why,
            )
        )
    return rows


def _status(facts: FileFacts, rate: int, faults: Sequence[Erratum], recorded: str) -> tuple[str, str]:
    """Status and reason; ``recorded`` are faults that the metadata name."""
    if facts.fault or facts.deep:
        return "broken", facts.fault or facts.deep or ""
    if facts.sample_rate != rate:
        return "broken", f"its sample rate is {facts.sample_rate} Hz, the track's is {rate} Hz"
    heard = [fault for fault in faults if fault.defect != ABSENT]
    if any(fault.exclude for fault in heard):
        return "excluded", f"erratum: {_named(heard)}"
    known = "; ".join(filter(None, (_named(heard), recorded)))
    return "audio", f"{KEPT}{known}" if known else ""


def _named(faults: Sequence[Erratum]) -> str:
    return "; ".join(
        f"{fault.defect.replace('_', ' ')} ({fault.track}/{fault.stem}, {fault.source})" for fault in faults
    )


def _choose_files(files: Mapping[str, FileFacts]) -> dict[str, list[str]]:
    """Names of the files of each stem, the one that counts first."""
    chosen: dict[str, list[str]] = {}
    for name in files:
        chosen.setdefault(name.partition(".")[0], []).append(name)
    for names in chosen.values():
        if len(names) > 1:
            names.sort(key=lambda name: (SUFFIXES.index(os.path.splitext(name)[1].lower()), name))
    return chosen


def _common_rate(files: Sequence[FileFacts]) -> int:
    """The sample rate of most stems; of two equally common ones the first stem's."""
    rates = Counter(facts.sample_rate for facts in files if not facts.fault)
    return rates.most_common(1)[0][0] if rates else 0


def _absent(stem: str, facts: TrackFacts, entry: StemEntry, faults: Sequence[Erratum]) -> tuple[str, str]:
    """Status and reason of a stem without a file that is read."""
    why = "no file"
    for name in facts.strays:
        if os.path.splitext(name)[0].lower() == stem.lower():
            why = f"{name} is there, but only {' and '.join(stem + suffix for suffix in SUFFIXES)} are read"
    if known := [fault for fault in faults if fault.defect == ABSENT]:
        return "no_audio", f"{why}; {_named(known)}"
    if not entry.rendered:
        return "no_audio", why
    why += "; the metadata say that it was rendered"
    if facts.residual is not None:
        why += f"; what the stems lack of the mix has {facts.residual:.1f} dB relative to it"
    return "missing", why

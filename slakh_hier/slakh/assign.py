"""Which split every track goes to, and what a user should know about that choice."""

from __future__ import annotations

from collections.abc import Sequence

from slakh_hier.slakh.layout import NO_SPLIT
from slakh_hier.slakh.rows import Track
from slakh_hier.slakh.splits import FOLDERS, split_of
from slakh_hier.wording import counted, some


def default_scheme(tracks: Sequence[Track], notes: list[str]) -> str:
    """split2 when every song is Slakh2100's, else folders; a mixture of both is reported in ``notes``."""
    unknown = [track.folder.track for track in tracks if not track.identity.known]
    if not unknown:
        return "split2"
    if len(unknown) < len(tracks):
        notes.append(
            f"{len(unknown)} of {counted(len(tracks), 'track is not a song', 'tracks are not songs')} of Slakh2100 ({some(unknown)}), so the folders are "
            "the splits; --split-scheme split2 takes the published list for the others"
        )
    return FOLDERS


def assign_splits(tracks: Sequence[Track], scheme: str, notes: list[str]) -> dict[str, str]:
    """The split of every track, by its id; what the lists leave open is reported in ``notes``."""
    if scheme == FOLDERS:
        splits = {track.folder.track: track.folder.split for track in tracks}
        if all(split == NO_SPLIT for split in splits.values()):
            notes.append(
                "no track has a split: the data set has no train, validation and test folders. Sort the tracks into "
                "such folders, or save the catalog (-o catalog.csv), fill its column split and give it with --catalog"
            )
        return splits
    splits, unknown, unsure = {}, [], []
    for track in tracks:
        name = track.folder.track
        splits[name], choice = split_of(track.identity, scheme)
        if not track.identity.known:
            unknown.append(name)
        if choice:
            first = track.identity.tracks[0]
            others = ", ".join(f"{other.track} {other.splits[scheme]}" for other in track.identity.tracks)
            unsure.append(f"{name} ({others}): taken as {first.track}")
    if unknown:
        notes.append(
            f"{counted(len(unknown), 'track is not a song', 'tracks are not songs')} of Slakh2100, with no split under {scheme}: {some(unknown)}"
        )
    if unsure:
        notes.append(
            f"{counted(len(unsure), 'track has', 'tracks have')} another name and a song that {scheme} has in several splits: {some(unsure, '; ')}"
        )
    return splits

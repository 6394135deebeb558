"""Evaluate a separator on whole songs: SI-SDR and SNR of every node, for comparison with published values."""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE, channels_of
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.files import refuse_link
from slakh_hier.models.evaluation import FOLDER, SAME_DB, Evaluation, published
from slakh_hier.models.separation import Audio, Device, Model
from slakh_hier.models.song_targets import SongTarget, drawn_targets, path_targets, read_pairs
from slakh_hier.models.weights import Trained, load_weights
from slakh_hier.paths import StrPath
from slakh_hier.plan.membership import membership
from slakh_hier.progress import Wanted, shown
from slakh_hier.scores.summary import PRIMARY, MetricAbout, Part, column
from slakh_hier.signals import Atoms, read_atoms
from slakh_hier.slakh import Catalog
from slakh_hier.slakh.by_track import stem_refs
from slakh_hier.wording import counted, some

METRICS = {
    PRIMARY: MetricAbout(heading="SI-SDR", unit="dB", oracle=False),
    "snr": MetricAbout(heading="SNR", unit="dB", oracle=False),
}
SILENT_DBFS = -80.0
"""A node whose RMS is below this, over the song or the query, does not sound."""
SILENT_POWER = 10 ** (SILENT_DBFS / 10)


def evaluate_songs(
    run: StrPath,
    catalog: Catalog,
    *,
    split: str = "test",
    pairs: StrPath | None = None,
    out: StrPath | None = None,
    window_seconds: float = 30.0,
    overlap_seconds: float = 3.0,
    device: Device = "auto",
    progress: Wanted = None,
) -> Evaluation:
    """Separate the whole songs of a split and write ``songs-SPLIT.json`` and ``songs-SPLIT.csv``.

    Mixture and targets are sums of the stems at their own rate and with their own channels (one or two), and the estimates
    are compared with them there: what a separator's lower rate leaves out counts as error. SSS separates each song in
    which its target sounds. QBE separates each song once for each of its nodes, of the levels that queries had in the
    training, with the loudest stretch, as long as a clip of the training, of that node in another song of the split; or
    the pairs of a table. Without a query that sounds, a song is dropped.

    Parameters
    ----------
    run
        A run folder.
    catalog
        Of the data set, with the tree that the separator was trained with.
    split
        Which songs.
    pairs
        QBE: a table of pairs, see :func:`~slakh_hier.models.song_targets.read_pairs`; each is scored at its stem's level.
    out
        Folder for the results; None: ``RUN/evaluation``.
    window_seconds, overlap_seconds
        See :func:`~slakh_hier.models.separation.separate`.
    device
        ``auto``: a GPU where there is one.
    progress
        Shows songs.

    Returns
    -------
    Evaluation
        ``scores`` has a row per song (QBE: song and query) and level; ``metrics`` are ``si_sdr`` and ``snr``, without an
        oracle, and ``clips`` are songs.

    Raises
    ------
    InputError
        The run holds no separator, the tree lacks its nodes, or there is no song to separate and to score.
    AudioError
        A stem cannot be decoded.

    Warns
    -----
    SlakhHierWarning
        Songs were dropped for want of a query, or the tree is not that of the training.
    """
    trained = load_weights(run)
    folder = Path(out) if out is not None else refuse_link(trained.folder / FOLDER)
    targets = _targets(trained, catalog, split, None if pairs is None else Path(pairs))
    rows: list[dict[str, Any]] = []
    with shown(progress).stage(f"separating songs of {split}", len(targets), "songs") as advance:
        for number, target in enumerate(targets):
            scored = _score(trained, catalog, target, window_seconds, overlap_seconds, device)
            rows += [{"clip": number, **row} for row in scored]
            advance(1)
    scores = pd.DataFrame(rows)
    if not scores["counted"].any():
        raise InputError(
            f"{catalog.root}: no score can be computed in the split {split}: in each of {counted(len(targets), 'song')} the "
            "target or the query is silent, or nothing else sounds"
        )
    _warn_of_silent_queries(targets, scores)
    about = {
        "split": split,
        "shards": str(catalog.root),
        "plan_digest": catalog.digest,
        "whole_songs": True,
    }
    return published(folder, f"songs-{split}", trained.about, scores, METRICS, about)


def _targets(trained: Trained, catalog: Catalog, split: str, pairs: Path | None) -> list[SongTarget]:
    about = trained.about
    if about.config.task == "sss":
        if pairs is not None:
            raise InputError(f"{trained.folder} was trained for sss: it takes no query, and no pairs")
        return path_targets(catalog, split, dict(zip(about.levels, about.names, strict=True)))
    deepest = max(*about.levels, *about.query_levels)
    if deepest > catalog.hierarchy.levels:
        raise InputError(
            f"{trained.folder} separates level {deepest}, but the tree {catalog.hierarchy.name} has "
            f"{catalog.hierarchy.levels} levels; name its tree with --hierarchy"
        )
    if about.hierarchy_digest != catalog.hierarchy.digest:
        warnings.warn(
            f"{trained.folder} was trained with another tree than {catalog.hierarchy.name}, of whose nodes the results are; "
            "--hierarchy names the tree",
            SlakhHierWarning,
            stacklevel=3,
        )
    if pairs is not None:
        return read_pairs(pairs, catalog, split, about.levels)
    return drawn_targets(catalog, split, about.levels, about.query_levels, about.config.training.seed)


def _score(
    trained: Trained,
    catalog: Catalog,
    target: SongTarget,
    window_seconds: float,
    overlap_seconds: float,
    device: Device,
) -> list[dict[str, Any]]:
    """A row for each level that is scored; dropped ones where there is no query that sounds."""
    levels = sorted(target.nodes)
    signals, rate = song_signals(catalog, target.track, [(target.nodes[level], level) for level in levels])
    query = _query(catalog, target, trained.about.clip_seconds)
    mixture, sources = signals[0], signals[1:]
    places = [trained.about.levels.index(level) for level in levels]
    estimated = [Products() for _ in levels]
    untouched = [Products() for _ in levels]
    if query.sound is not None or target.query_node is None:
        model = Model(trained, device=device, query=query.sound, query_rate=query.rate)
        start = 0
        for block in model.blocks(
            lambda first, count: mixture[:, first : first + count],
            mixture.shape[1],
            rate,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        ):
            end = start + block.mixture.shape[1]
            for source, place, own, mix in zip(sources, places, estimated, untouched, strict=True):
                own.add(block.estimates[place], source[:, start:end])
                mix.add(block.mixture, source[:, start:end])
            start = end
    row = catalog.usable_by_track[target.track].iloc[0]
    about = {
        "id": "/".join(filter(None, (target.track, target.query_node))),
        "track": target.track,
        "song": row["song"],
        "seconds": round(mixture.shape[1] / rate, 3),
        "query_track": query.track,
    }
    sounds = estimated[0].sounds
    return [
        {
            **about,
            "level": level,
            "node": target.nodes[level],
            **_scores(own, mix, sounds and own.sounds),
        }
        for level, own, mix in zip(levels, estimated, untouched, strict=True)
    ]


def _scores(own: Products, mix: Products, sounds: bool) -> dict[str, Any]:
    values = {PRIMARY: (own.si_sdr, mix.si_sdr), "snr": (own.snr, mix.snr)}
    measurable = sounds and math.isfinite(own.si_sdr) and mix.si_sdr < SAME_DB
    found: dict[str, Any] = {"counted": measurable, "dropped": not measurable}
    for name, (estimate, mixture) in values.items():
        parts: dict[Part, float] = {
            "mixture": mixture,
            "estimate": estimate,
            "improvement": METRICS[name].improvement(estimate, mixture),
        }
        found |= {column(name, part): value if measurable else math.nan for part, value in parts.items()}
    return found


class _Query(NamedTuple):
    """The sound of a query, (channels, samples) at a rate (Hz), and its track; nothing where none sounds."""

    track: str = ""
    sound: Audio | None = None
    rate: int | None = None


def _query(catalog: Catalog, target: SongTarget, seconds: float) -> _Query:
    """The loudest stretch of the node, on a grid of half seconds, in the first of the tracks in which it sounds."""
    for track in target.query_tracks:
        assert target.query_node is not None
        node = (target.query_node, catalog.hierarchy.nodes[target.query_node].level)
        signals, rate = song_signals(catalog, track, [node])
        sound = signals[1]
        count, step = round(seconds * rate), max(1, rate // 2)
        energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64).sum(0))])
        first = np.arange(0, max(1, sound.shape[1] - count + 1), step)
        best = int(first[np.argmax(energy[np.minimum(first + count, sound.shape[1])] - energy[first])])
        loudest = np.ascontiguousarray(sound[:, best : best + count])
        if np.square(loudest, dtype=np.float64).sum() > loudest.size * SILENT_POWER:
            return _Query(track, loudest, rate)
    return _Query()


def _warn_of_silent_queries(targets: Sequence[SongTarget], scores: pd.DataFrame) -> None:
    """What was dropped because no query sounds."""
    queried = scores.drop_duplicates("clip")["query_track"] != ""
    if silent := [
        f"{target.track}/{target.query_node} (query from {some(target.query_tracks, most=3)})"
        for target, found in zip(targets, queried, strict=True)
        if target.query_node is not None and not found
    ]:
        warnings.warn(
            f"{counted(len(silent), 'song is', 'songs are')} dropped, because the query is silent or has no such stems: "
            f"{some(silent, '; ')}",
            SlakhHierWarning,
            stacklevel=3,
        )


def song_signals(
    catalog: Catalog, track: str, nodes: Sequence[tuple[str, int]]
) -> tuple[NDArray[np.float32], int]:
    """The mixture of a track and some nodes of it, at the rate of its stems.

    Returns
    -------
    float32 (1 + nodes, channels, samples), full scale 1.0: the mixture first; and the rate, Hz.
    """
    rows = catalog.usable_by_track[track]
    refs = stem_refs(rows)
    members = np.vstack([np.ones((1, len(refs)), bool), membership(rows, list(nodes))])
    atoms, rate = Atoms(members), refs[0].sample_rate
    frames = max(ref.frames * rate // ref.sample_rate for ref in refs)
    channels = channels_of(refs)
    found = np.zeros((len(members), channels, frames), np.float32)
    start = 0
    with ExitStack() as stack:
        files = [stack.enter_context(ref.open(catalog.root)) for ref in refs]
        for blocks in read_atoms(files, atoms.groups, rate, frames, channels):
            end = start + blocks[0].shape[1]
            for output, indices in zip(found, atoms.of_output, strict=True):
                for index in indices:
                    output[:, start:end] += blocks[index]
            start = end
    found *= np.float32(1 / FULL_SCALE)
    return found, rate


@dataclass
class Products:
    """Sums over a song, block by block, of which its SI-SDR and SNR are made; channels are one long signal.

    Means are those of each channel.
    """

    samples: int = 0
    sums: dict[str, Any] = field(default_factory=lambda: defaultdict(float))

    def add(self, estimate: Audio, target: Audio) -> None:
        """The next block of both, (channels, samples)."""
        e, s = estimate.astype(np.float64), target.astype(np.float64)
        block: Mapping[str, Any] = {
            "e": e.sum(1),
            "s": s.sum(1),
            "ee": np.vdot(e, e),
            "ss": np.vdot(s, s),
            "es": np.vdot(e, s),
            "noise": np.square(s - e).sum(),
            "count": s.size,
        }
        self.samples += s.shape[1]
        for name, value in block.items():
            self.sums[name] += value

    @property
    def sounds(self) -> bool:
        """Whether the target is above :data:`SILENT_DBFS`."""
        return bool(self.sums["ss"] > self.sums["count"] * SILENT_POWER)

    @property
    def si_sdr(self) -> float:
        """dB: zero mean, optimal scaling (Le Roux et al., ICASSP 2019); NaN for a silent estimate, or none."""
        sums = self.sums
        if not self.samples:
            return math.nan
        ee = sums["ee"] - np.square(sums["e"]).sum() / self.samples
        ss = sums["ss"] - np.square(sums["s"]).sum() / self.samples
        es = sums["es"] - (sums["e"] * sums["s"]).sum() / self.samples
        if ee <= 0 or ss <= 0:
            return math.nan
        projected = es**2 / ss
        return _decibels(projected, max(ee - projected, 0.0))

    @property
    def snr(self) -> float:
        """dB: 10 log10(|s|^2 / |s - e|^2), the "SDR" of the Music Demixing Challenges (Mitsufuji et al., 2022)."""
        return _decibels(self.sums["ss"], self.sums["noise"])


def _decibels(signal: float, noise: float) -> float:
    tiny = np.finfo(np.float64).tiny
    return float(10 * np.log10(max(signal, tiny) / max(noise, tiny)))

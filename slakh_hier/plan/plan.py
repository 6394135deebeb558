"""Plans: which clips will be rendered, saved as files that a person can read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from slakh_hier.display import Grid, grids
from slakh_hier.errors import PlanError
from slakh_hier.files import make_folder, publish
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.paths import StrPath
from slakh_hier.plan.draw import NodeReport
from slakh_hier.plan.folder import (
    CATALOG_NAME,
    CLIPS_NAME,
    HIERARCHY_NAME,
    PLAN_NAME,
    SCHEMA,
    clip_lines,
    open_catalog,
    read_clips,
    read_document,
    read_tree,
)
from slakh_hier.plan.folding import FoldingLoss
from slakh_hier.plan.identity import check_stems
from slakh_hier.plan.parameters import Parameters, targets_text
from slakh_hier.progress import Wanted
from slakh_hier.slakh import Catalog
from slakh_hier.version import VERSION
from slakh_hier.wording import counted

KEY_COLUMNS = ["split", "track", "song", "start", "target", "query_track", "query_song", "query_start"]
"""What makes a clip; the other columns follow from it or are for people."""


@dataclass(frozen=True, repr=False)
class Plan:
    """Clips to render."""

    catalog: Catalog
    """The stems, with those marked broken that could not be decoded."""
    hierarchy: Hierarchy
    """The tree that decided what is a node."""
    parameters: Parameters
    """What was asked for."""
    clips: pd.DataFrame
    """One row per clip, sorted by split, track, start and target: ``split, track, song, start`` (s), ``target`` (a
    node), ``query_track, query_song, query_start`` (empty and NaN without a query), ``draw`` (its place in the order
    of drawing), ``mix_si_sdr_L`` (dB, SI-SDR of the mixture against the target or its ancestor at level L; NaN at
    levels below the target)."""
    reports: tuple[NodeReport, ...]
    """What every node had to offer in every split."""
    folding: tuple[FoldingLoss, ...] = ()
    """Nodes that lose much where they are folded down to mono."""

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count:,} {split}" for split, count in self.clips["split"].value_counts(sort=False).items()
        )
        of = targets_text(self.parameters.target, self.parameters.query_levels)
        return f"<Plan: {counts} clips of {self.parameters.clip_seconds:g} s, target {of}, tree {self.hierarchy.name}>"

    def _repr_html_(self) -> str:
        from slakh_hier.plan.summary import node_rows, split_rows

        return grids(
            Grid("Clips, and the SI-SDR of the mixture by level (dB)", split_rows(self)),
            Grid("Target nodes", node_rows(self), folded=True),
        )

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of everything that decides the audio."""
        parts = {
            "schema": SCHEMA,
            "hierarchy": self.hierarchy.digest,
            "catalog": self.catalog.digest,
            "parameters": self.parameters.as_dict(),
        }
        # The text of all parts as JSON, made piece by piece.
        digest, comma = hashlib.sha256(f'{_json(parts)[:-1]}, "clips": ['.encode()), ""
        for row in self.clips[KEY_COLUMNS].itertuples(index=False):
            digest.update((comma + _json([_plain(value) for value in row])).encode())
            comma = ", "
        digest.update(b"]}")
        return digest.hexdigest()

    @property
    def short(self) -> dict[str, tuple[int, int]]:
        """(drawn, asked) of each split that got fewer clips than asked for."""
        drawn = self.clips["split"].value_counts()
        return {
            split: (int(drawn.get(split, 0)), asked)
            for split, asked in self.parameters.clips.items()
            if drawn.get(split, 0) < asked
        }

    def kept_out(self, split: str) -> list[str]:
        """The rules that kept windows out of a split: how many, and the options that take them."""
        reports = [report for report in self.reports if report.split == split]
        alone = [report.alone for report in reports if report.alone]
        rules = []
        if any(not report.windows for report in reports):
            rules.append(
                f"a node counts as sounding {self.parameters.salience}; --salience-db or --salience-below-mix changes that"
            )
        if alone:
            rule = self.parameters.companion
            rules.append(
                f"the companion rule ({rule}) kept {counted(sum(alone), 'window')} of {counted(len(alone), 'node')} out; "
                f"--companion {'any or none' if rule == 'family' else 'none'} takes such clips"
            )
        return rules

    def save(self, folder: StrPath) -> None:
        """Write ``plan.yaml``, ``clips.csv``, ``catalog.csv`` and ``hierarchy.yaml``; ``plan.yaml`` comes last."""
        folder = make_folder(Path(folder))
        publish(folder / HIERARCHY_NAME, self.hierarchy.text.encode())
        self.catalog.save(folder / CATALOG_NAME)
        publish(folder / CLIPS_NAME, clip_lines(self.clips))
        publish(
            folder / PLAN_NAME, yaml.safe_dump(self._document(), sort_keys=False, allow_unicode=True).encode()
        )

    @classmethod
    def load(
        cls,
        folder: StrPath,
        root: StrPath,
        *,
        compare: bool = True,
        follow_links: bool = False,
        jobs: int | None = None,
        progress: Wanted = None,
    ) -> Plan:
        """Read a saved plan for the data set at ``root``.

        Parameters
        ----------
        compare
            Compare the stems that the plan uses with those that it was drawn from, by what they hold: of FLAC files the
            header is read, others are decoded.
        follow_links
            Links of the data set may lead out of it.
        jobs
            Threads that compare; None or 0: one per CPU core.

        Raises
        ------
        PlanError
            A file is missing, or was changed after the plan was made; or the stems hold something else.
        InputError
            Stems are missing, or of another size.
        """
        folder = Path(folder)
        document = read_document(folder)
        try:
            hierarchy = read_tree(folder)
            with open_catalog(folder) as file:
                catalog = Catalog.parse(
                    file, str(folder / CATALOG_NAME), root, hierarchy, follow_links=follow_links
                )
            catalog = replace(catalog, scheme=document["catalog"]["split_scheme"])
            clips = read_clips(folder)
            plan = cls(
                catalog=catalog,
                hierarchy=hierarchy,
                parameters=Parameters(**document["parameters"]),
                clips=clips,
                reports=tuple(NodeReport(**report) for report in document["nodes"]),
                folding=tuple(FoldingLoss(**loss) for loss in document["folding"]),
            )
            whole = plan.digest == document["digest"]
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(
                f"{folder}: is not a complete plan ({error}); make it again with slakh-hier plan"
            ) from error
        if not whole:
            raise PlanError(
                f"{folder}: its files do not belong together any more (one was changed after the plan was made). Make "
                "the plan again with slakh-hier plan"
            )
        if compare:
            used = {*plan.clips["track"], *plan.clips["query_track"]}
            check_stems(plan.catalog, used, jobs=jobs, progress=progress)
        return plan

    def _document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "tool_version": VERSION,
            "digest": self.digest,
            "hierarchy": {"name": self.hierarchy.name, "digest": self.hierarchy.digest},
            "catalog": {"digest": self.catalog.digest, "split_scheme": self.catalog.scheme},
            "parameters": self.parameters.as_dict(),
            "nodes": [asdict(report) for report in self.reports],
            "folding": [asdict(loss) for loss in self.folding],
        }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return None if np.isnan(value) else float(value)

"""What a data set says about a stem, and how such words are compared."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DRUM_PROGRAM = 128
"""Slakh's program number of a drum kit; General MIDI's own programs are 0 to 127."""

_NO_PATCH = frozenset({"", "none", "null"})


@dataclass(frozen=True)
class StemLabel:
    """A stem's entry in ``metadata.yaml``, as far as it says which instrument it is.

    Parameters
    ----------
    patch
        ``plugin_name``: the sampler's patch, possibly with folders before it; ``None`` if it is not known.
    program
        ``program_num``: 0 to 127, or 128 for drums.
    is_drum
        Wins over the program number.
    midi_program_name, inst_class
        Slakh's name of the program and of its class.
    labels
        What a data set of recordings calls the stem, from coarse to fine: ``bass/bass_guitar``.
    """

    patch: str | None
    program: int | None
    is_drum: bool
    midi_program_name: str | None = None
    inst_class: str | None = None
    labels: str | None = None

    @property
    def drums(self) -> bool:
        return self.is_drum or self.program == DRUM_PROGRAM


@dataclass(frozen=True)
class Match:
    """Where a stem belongs.

    ``how`` names what decided: ``labels``, ``drums``, ``override``, ``patch``, ``patch and program``, ``program``,
    ``midi_program_name`` or ``inst_class``. ``node`` is the finest (level 1) node.
    """

    category: str
    node: str
    how: str


def base_name(patch: str) -> str:
    """A patch without its folders: some metadata hold paths of the machine that rendered them, Windows paths among them."""
    return re.split(r"[/\\]", patch.strip())[-1].strip()


def patch_key(patch: str | None) -> str | None:
    """The base name of a patch in lower case; ``None`` for Slakh's ways to say that there is none."""
    base = base_name(patch or "").casefold()
    return None if base in _NO_PATCH else base


def word_key(word: str | None) -> str | None:
    """A class or program name for comparison: ``Sound Effects`` and ``Sound  effects`` are the same."""
    if word is None:
        return None
    return " ".join(word.split()).casefold() or None


def label_key(labels: str | None) -> tuple[str, ...]:
    """A path of labels for comparison: of ``Bass/Bass guitar`` the parts ``bass`` and ``bass_guitar``; empty for None."""
    parts = (re.sub(r"[\s_]+", "_", part.strip().casefold()) for part in (labels or "").split("/"))
    return tuple(part for part in parts if part)


def programs_text(programs: Iterable[int]) -> str:
    """Program numbers as a person writes them: ``0-7, 24, drums``."""
    numbers = set(programs)
    runs: list[list[int]] = []
    for program in sorted(numbers - {DRUM_PROGRAM}):
        if runs and runs[-1][-1] == program - 1:
            runs[-1].append(program)
        else:
            runs.append([program])
    parts = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join([*parts, "drums"] if DRUM_PROGRAM in numbers else parts)

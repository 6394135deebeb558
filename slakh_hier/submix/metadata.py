"""metadata.yaml of a submixed track: the data set's own, and under ``submix`` what is in each file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from slakh_hier.audio import FULL_SCALE
from slakh_hier.errors import InputError
from slakh_hier.safe_yaml import load
from slakh_hier.submix.layout import Output

KEY = "submix"


def submix_metadata(
    source: bytes,
    file: str,
    *,
    about: Mapping[str, Any],
    gain: float,
    categories: Mapping[str, tuple[str | None, str | None]],
) -> bytes:
    """The text of a track's metadata.yaml.

    All that the source says is kept, so that the folder reads like Slakh's; ``overall_gain`` is multiplied by the gain
    that was needed, as it is the gain of the track's stems.

    Parameters
    ----------
    source, file
        The data set's metadata.yaml, and its name for messages.
    about
        What goes under ``submix``.
    categories
        Category and finest node by stem, added to its entry; empty where no tree is at work.

    Raises
    ------
    TextError, InputError
        The source is not YAML, or not a track's metadata.
    """
    content = load(source, file)
    if not isinstance(content, dict) or not isinstance(content.get("stems"), dict):
        raise InputError(f"{file} is not a track's metadata any more; scan again")
    overall = content.get("overall_gain")
    if gain != 1.0 and isinstance(overall, float | int):
        content["overall_gain"] = overall * gain
    if categories:
        content["stems"] = {
            stem: _with_place(entry, *categories.get(stem, (None, None)))
            for stem, entry in content["stems"].items()
        }
    content[KEY] = dict(about)
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return text.encode()


def describe_outputs(
    outputs: Sequence[Output], suffix: str, peaks: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """What is in each file, by name: file, level, parent, stems, peak (dBFS; None for silence)."""
    described = {}
    for output, peak in zip(outputs, peaks, strict=True):
        entry: dict[str, Any] = {"file": output.path(suffix)}
        if output.level is not None:
            entry |= {"level": output.level, "parent": output.parent, "stems": list(output.stems)}
        described[output.name] = entry | {"peak_dbfs": dbfs(peak)}
    return described


def dbfs(peak: float) -> float | None:
    """A peak in integer units as dBFS, to a hundredth; None for silence."""
    return round(20 * math.log10(peak / FULL_SCALE), 2) if peak > 0 else None


def _with_place(entry: Any, category: str | None, node: str | None) -> Any:
    return {**entry, "category": category, "node": node} if isinstance(entry, dict) else entry


_FastDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_FastDumper):  # type: ignore[misc]  # of two classes, one is there
    """Writes equal values out each time: our own reader takes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

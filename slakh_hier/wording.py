"""Figures and values as people read them: one wording for messages, terminals, Markdown and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

UNKNOWN: Final = "–"
PAIRED: Final = (
    "Two models are compared clip by clip on the same songs and seeds. The interval draws songs and seeds; p flips the "
    "sign of whole songs, with each clip's mean over the seeds: it speaks of other songs, not of other seeds, so that p "
    "can be small where the interval holds 0. No p is corrected for the number of tests."
)
"""What paired differences of an experiment mean."""


def decibels(value: float | None, digits: int = 1, *, sign: bool = False) -> str:
    """``-3.2``; with ``sign`` also ``+3.2``, for what is a difference."""
    return UNKNOWN if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def interval(ends: Sequence[float] | None, digits: int = 1, *, sign: bool = False) -> str:
    """``2.1 to 4.0``."""
    return UNKNOWN if ends is None else " to ".join(decibels(end, digits, sign=sign) for end in ends)


def with_interval(
    value: float | None, ends: Sequence[float] | None, digits: int = 1, *, sign: bool = False
) -> str:
    """``3.2 [2.1, 4.0]``: short enough for a table's cell."""
    if value is None or ends is None:
        return decibels(value, digits, sign=sign)
    inner = ", ".join(decibels(end, digits, sign=sign) for end in ends)
    return f"{decibels(value, digits, sign=sign)} [{inner}]"


def p_value(p: float | None) -> str:
    """``0.012``; what is smaller than the last digit as a bound."""
    return UNKNOWN if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def difference(mean: float | None, ends: Sequence[float] | None, p: float | None) -> str:
    """``+0.31 [+0.10, +0.52] p 0.012``: a paired difference (dB)."""
    return f"{with_interval(mean, ends, 2, sign=True)} p {p_value(p)}"


def shortened(text: str, most: int) -> str:
    """At most so many characters of a value that somebody else wrote, with dots for the rest."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def some(names: Sequence[str], separator: str = ", ", most: int = 5) -> str:
    """The first names of a list that may be long, and how many more there are."""
    more = f"{separator}and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + more

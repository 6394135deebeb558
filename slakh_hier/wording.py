"""Figures as people read them: one wording for terminals, Markdown and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

UNKNOWN: Final = "–"


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

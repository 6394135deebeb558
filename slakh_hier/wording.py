"""Values and names as people read them: one wording for messages, terminals, Markdown and pages."""

from __future__ import annotations

import math
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, Final

UNKNOWN: Final = "–"


def typed(*words: object) -> str:
    """The command ``slakh-hier WORDS...`` as a shell takes it: paths with spaces are quoted."""
    return shlex.join(("slakh-hier", *map(str, words)))


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


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that ``word`` was probably meant to be, whatever its case: one that it begins, else a similar one.

    Similar is a ratio of 0.6 of :mod:`difflib`, its own default: two typing errors in a word of ten letters.
    """
    import difflib  # late: every command imports this module

    exact = {name.casefold(): name for name in known}
    key = word.casefold()[:100]  # the time grows with the length
    if key in exact:
        return exact[key]
    begins = [name for name in exact if len(key) > 1 and name.startswith(key)]
    found = begins if len(begins) == 1 else difflib.get_close_matches(key, exact, n=1)
    return exact[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: ``did you mean X?``, else ``there are A, B``."""
    names = list(known)
    near = nearest(word, names)
    return f"did you mean {near}?" if near else f"there are {', '.join(names) or 'none'}"


_UNPRINTED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of characters that steer a terminal, reverse text, break a line, or stand for bytes that are not UTF-8."""


def escaped(text: str, *, keep: str = "") -> str:
    """A text of unknown origin, so that a terminal shows it and obeys nothing in it: ``\\x1b``, ``\\u202e``.

    Bytes of a path that are not UTF-8 become their value (``\\xe9``).

    Parameters
    ----------
    keep
        Characters left as they are, such as a line break between lines of our own.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _UNPRINTED and c not in keep else c for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # a byte, as Python keeps it in a path
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def cell(value: Any) -> str:
    """A value of a table as people read it: ``–`` for what is not known, ``1,234``, ``0.50``, ``yes``."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def is_number(value: Any) -> bool:
    """Whether a value of a table stands to the right: a number, or none that is known."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def shortened(text: str, most: int) -> str:
    """At most so many characters of a value that somebody else wrote, with dots for the rest."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def channel_word(channels: int) -> str:
    """``mono``, ``stereo``, or ``6 channels``."""
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")


def counted(number: int, one: str, many: str = "") -> str:
    """``1 epoch``, ``2,100 epochs``; ``1 category``, ``2 categories``; ``1 song has``, and ``many`` as it is given."""
    many = many or (f"{one[:-1]}ies" if one.endswith("ry") else f"{one}s")
    return f"{number:,} {one if number == 1 else many}"


def some(names: Sequence[str], separator: str = ", ", most: int = 5) -> str:
    """The first names of a list that may be long, and how many more there are."""
    more = f"{separator}and {len(names) - most} more" if len(names) > most else ""
    return separator.join(names[:most]) + more

"""Where are results kept between runs?"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Final

from slakh_hier.errors import InputError, SlakhHierWarning

CACHE_VARIABLE: Final = "SLAKH_HIER_CACHE"
ABANDONED_SECONDS: Final = 24 * 3600.0
"""After so long without a write, a temporary file in the cache is taken for a killed run's."""
_OTHER_CACHE: Final = f"Set {CACHE_VARIABLE} to a folder that you can write to"


def cache_folder() -> Path:
    """Where results are kept between runs: $SLAKH_HIER_CACHE, else $XDG_CACHE_HOME/slakh-hier or ~/.cache/slakh-hier."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification: a relative path is not to be used
        return Path(base) / "slakh-hier"
    # Where the user has no home, as in some containers, "~" stays; "/.cache" can then be made by nobody but root.
    home = os.path.expanduser("~")
    return Path(home if os.path.isabs(home) else os.sep) / ".cache" / "slakh-hier"


def cache_place(name: str, *, needed: bool = False) -> Path:
    """A folder in the cache that can be read and written; else one that lasts as long as this process, with a warning.

    Parameters
    ----------
    needed
        Raise :class:`InputError` where the cache cannot be used, instead.
    """
    place = cache_folder() / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.scandir(place).close()
        reason = "" if os.access(place, os.W_OK | os.X_OK) else "it cannot be written to"
    except OSError as error:
        reason = str(error.strerror)
    if not reason:
        return place
    if needed:
        raise InputError(f"the cache folder {place} cannot be used: {reason}. {_OTHER_CACHE}")
    warn_without_cache(reason)
    return _temporary_cache() / name


def warn_without_cache(reason: str) -> None:
    """Warn that nothing can be kept for the next time."""
    warnings.warn(
        f"the cache folder {cache_folder()} cannot be used ({reason}): nothing is kept for the next time. {_OTHER_CACHE}",
        SlakhHierWarning,
        stacklevel=3,
    )


@cache
def _temporary_cache() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="slakh-hier-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder

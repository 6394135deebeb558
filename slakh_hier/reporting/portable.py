"""Text without the paths of the machine that wrote it: pages are sent around."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ABSOLUTE: Final = re.compile(r"(?<![^\s'\"(=])/(?:[^/\s'\":]+/)+(?=[^/\s'\":]+)")


def portable(text: str, *folders: Path) -> str:
    """A text in which these folders are their names, and other absolute paths end in theirs: ``…/plan.yaml``."""
    for folder in folders:
        for path in (str(folder.resolve()), str(folder.absolute()), str(folder)):
            if path.startswith("/"):
                text = text.replace(path, folder.resolve().name)
    return ABSOLUTE.sub("…/", text)

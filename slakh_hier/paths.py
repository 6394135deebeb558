"""How do functions take paths of files and folders?"""

from __future__ import annotations

import os

StrPath = str | os.PathLike[str]
"""A text, or anything with ``__fspath__``."""

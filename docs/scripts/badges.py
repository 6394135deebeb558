"""Badges for the README, from pyproject.toml: ``python docs/scripts/badges.py`` (a part of ``make screenshots``).

They are files of the repository, so that they are true without any service.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
CHARACTER = 6.6  # px, of 11-px Verdana or DejaVu Sans on average


def badges() -> dict[str, str]:
    """File name and SVG of each badge."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    pythons = [text.removeprefix(prefix) for text in project["classifiers"] if text.startswith(prefix)]
    return {
        "badge-version.svg": _badge("version", project["version"], "#007ec6"),
        "badge-python.svg": _badge("python", " | ".join(pythons), "#007ec6"),
        "badge-licence.svg": _badge("licence", project["license"], "#2f7d32"),
    }


def _badge(name: str, value: str, colour: str) -> str:
    left, right = (round(len(text) * CHARACTER) + 12 for text in (name, value))
    width = left + right
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{name}: {value}">
<rect width="{width}" height="20" rx="3" fill="#444"/>
<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z" fill="{colour}"/>
<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
<text x="{left / 2:g}" y="14">{name}</text>
<text x="{left + right / 2:g}" y="14">{value}</text>
</g>
</svg>
"""


if __name__ == "__main__":
    for file, text in badges().items():
        (IMAGES / file).write_text(text, encoding="utf-8")
        print(IMAGES / file)

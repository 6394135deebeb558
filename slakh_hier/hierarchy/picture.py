"""A tree as a picture: SVG that takes the text colour of the page around it."""

from __future__ import annotations

from html import escape
from typing import Final

from slakh_hier.hierarchy.describe import outline, size_text
from slakh_hier.hierarchy.model import MIX, Hierarchy
from slakh_hier.wording import escaped, shortened

ROW: Final = 20
INDENT: Final = 26
LETTER: Final = 7.2
"""Width of a character of 13 px, about; names are measured with it."""
MOST_RULE: Final = 70


def tree_svg(tree: Hierarchy) -> str:
    """The nodes from the mix down to the categories, each with what its stems are."""
    lines = [
        (MIX, tree.levels + 1, 0, ""),
        *((line.name, line.level, line.depth, line.rule) for line in outline(tree)),
    ]
    shapes: list[str] = []
    above: dict[int, int] = {}
    width = 0.0
    for row, (name, level, depth, rule) in enumerate(lines):
        x, y = depth * INDENT + 4, row * ROW + ROW // 2
        if depth:
            left = x - INDENT + 7
            shapes.append(
                f'<path d="M{left} {above[depth - 1] + 7}V{y}H{x - 3}" fill="none" stroke="currentColor" opacity=".4"/>'
            )
        above[depth] = y
        rule = shortened(rule, MOST_RULE)
        style = ' font-weight="600"' if level else ""
        detail = (
            f'<tspan dx="10" font-weight="400" opacity=".6">{escape(escaped(rule))}</tspan>' if rule else ""
        )
        shapes.append(f'<text x="{x}" y="{y + 4}"{style}>{escape(escaped(name))}{detail}</text>')
        width = max(width, x + LETTER * (len(name) + len(rule) + 3))
    title = escape(escaped(f"{tree.name}: {size_text(tree)}"))
    height = len(lines) * ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
        f'role="img" aria-label="{title}" fill="currentColor" font-family="system-ui, sans-serif" font-size="13" '
        f'style="max-width: 100%"><title>{title}</title>{"".join(shapes)}</svg>'
    )

"""One set of figures in two styles: for a page, light and dark, and for a paper."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from slakh_hier.files import make_folder, publish
from slakh_hier.reporting.document import Plot

DOTS: Final = 300
SALT: Final = "slakh-hier"


@dataclass(frozen=True)
class Style:
    """How a figure looks."""

    ink: str
    faint: str
    """``ink`` and ``faint``: colours of text and of what stands back."""
    series: tuple[str, ...]
    """Colours of things that are compared."""
    width: float = 6.4
    """Inches."""
    background: str = "white"
    """Colour, or "none"."""
    live: bool = False
    """It is for a page: points say what they are (:func:`tip`), and names of nodes play (:func:`node_name`)."""

    @property
    def narrow(self) -> bool:
        """Whether it is for a phone, where names must be shorter and legends lower."""
        return self.width < 5


# Okabe and Ito's palette, which people with colour blindness can tell apart, darkened where paper needs it.
PAPER: Final = Style("#222222", "#bbbbbb", ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"))
# Placeholders: the page's style sheet gives each a colour for light and for dark.
_PLACES: Final = {
    "#010203": "var(--ink)",
    "#040506": "var(--faint)",
    **{f"#07080{n}": f"var(--c{n})" for n in range(6)},
}
PAGE: Final = Style("#010203", "#040506", tuple(f"#07080{n}" for n in range(6)), 10.4, "none", live=True)
PHONE: Final = replace(PAGE, width=3.7)


def page_svg(plot: Plot, style: Style) -> str:
    """A figure as an SVG element for a page: its colours are the page's, its identifiers are its own."""
    data = _drawn(plot, style, "svg", fonttype="none").decode()
    svg = data[data.index("<svg") :]
    for place, variable in _PLACES.items():
        svg = svg.replace(place, variable)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = _LIVE.sub(_data_attribute, svg)
    # Several figures of a page must not share identifiers.
    own = re.sub(r"\W", "-", plot.name) + ("-narrow" if style.narrow else "")
    svg = re.sub(r'\bid="([^"]+)"', lambda m: f'id="{own}-{m[1]}"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{own}-{m[1]})", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', lambda m: f'xlink:href="#{own}-{m[1]}"', svg)
    svg = svg.replace("<svg", f'<svg class="{"narrow" if style.narrow else "broad"}"', 1)
    # As wide as the page, but no wider than a bit above its own size in points.
    svg = re.sub(r' height="[^"]*pt"', "", svg, count=1)
    return re.sub(
        r' width="([^"]*)pt"', lambda m: f' style="--width: {float(m[1]) * 1.5:.0f}px"', svg, count=1
    )


def tip(artist: Artist, texts: str | Sequence[str], style: Style) -> None:
    """Say on a page what an artist shows: one text, or one for each marker of a line, as it is pointed at."""
    if style.live:
        artist.set_gid(f"tips:{json.dumps([texts] if isinstance(texts, str) else list(texts))}")


def node_name(artist: Artist, node: str, style: Style) -> None:
    """Make a text the name of a node, which a click on a page plays."""
    if style.live:
        artist.set_gid(f"node:{node}")


# Matplotlib quotes with the mark that the text has not, so both occur.
_LIVE: Final = re.compile(r'\bid=(?:"(tips|node):([^"]*)"|\'(tips|node):([^\']*)\')')


def _data_attribute(found: re.Match[str]) -> str:
    kind, text = found[1] or found[3], found[2] if found[1] else found[4]
    return f'data-{kind}="{html.escape(html.unescape(text))}"'


def save_plots(plots: list[Plot], folder: Path) -> list[Path]:
    """Write each figure as NAME.png (300 dpi) and NAME.svg (text as shapes); the same data give the same bytes."""
    make_folder(folder)
    paths = []
    for plot in plots:
        for ending in ("png", "svg"):
            path = folder / f"{plot.name}.{ending}"
            publish(path, _drawn(plot, PAPER, ending, fonttype="path"))
            paths.append(path)
    return paths


def shown(text: str, most: int = 30) -> str:
    """A name as a figure shows it: one line, at most ``most`` characters, the end where it is too long."""
    line = "".join(character if character.isprintable() else " " for character in text)
    return line if len(line) <= most else line[: most - 1] + "…"


def _drawn(plot: Plot, style: Style, ending: str, *, fonttype: str) -> bytes:
    buffer = io.BytesIO()
    with _settings(style, fonttype):
        figure = plot.draw(style)
        # Without pyplot: no windows, no state, and nothing to close.
        metadata: dict[str, Any] = {"Date": None, "Creator": None} if ending == "svg" else {"Software": None}
        canvas = FigureCanvasSVG(figure) if ending == "svg" else FigureCanvasAgg(figure)
        canvas.print_figure(buffer, format=ending, dpi=DOTS, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()


@contextmanager
def _settings(style: Style, fonttype: str) -> Iterator[None]:
    settings: dict[str, Any] = {
        "figure.facecolor": style.background,
        "savefig.facecolor": style.background,
        "axes.facecolor": "none",
        "axes.edgecolor": style.faint,
        "axes.labelcolor": style.ink,
        "axes.titlecolor": style.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 9,
        "axes.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "font.size": 9,
        "font.family": "DejaVu Sans",
        "legend.frameon": False,
        "legend.labelcolor": style.ink,
        "legend.fontsize": 8,
        "text.color": style.ink,
        # A name with dollar signs is a name and no formula.
        "text.parse_math": False,
        "xtick.color": style.ink,
        "ytick.color": style.ink,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "grid.color": style.faint,
        "grid.linewidth": 0.4,
        "svg.fonttype": fonttype,
        "svg.hashsalt": SALT,
        "figure.constrained_layout.use": True,
    }
    # The user's own matplotlibrc must not change what a report looks like.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings)  # type: ignore[arg-type]
        yield


def new_figure(style: Style, height: float) -> Figure:
    """An empty figure of so many inches in height."""
    return Figure(figsize=(style.width, height))

"""A report as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from slakh_hier.reporting.document import Player, Plot, Report
from slakh_hier.reporting.encoding import AUDIO_BYTES, Sound, encode_clips
from slakh_hier.reporting.theme import PAGE, PHONE, page_svg
from slakh_hier.version import VERSION
from slakh_hier.wording import cell

POLICY: Final = (
    "default-src 'none'; script-src '{script}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""What a browser may load: the one script that has this digest, and nothing from anywhere."""

SCRIPTS: Final = (
    "parts.js",
    "transport.js",
    "spectrogram.js",
    "view.js",
    "lanes.js",
    "player.js",
    "sharing.js",
    "keys.js",
    "figures.js",
    "page.js",
)


def render_page(report: Report, *, small: bool = False, audio_bytes: int = AUDIO_BYTES) -> bytes:
    """The page, UTF-8. All text is escaped; the only markup that is trusted is our own and Matplotlib's SVG.

    Parameters
    ----------
    small
        Only what its sections hold, in little room, for a frame in a notebook.
    audio_bytes
        Base64 text of all clips together.
    """
    script, style = _script(), _asset("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    players = [b for section in report.sections for b in section.blocks if isinstance(b, Player)]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = cell
    environment.filters["svg"] = _svg
    page = environment.from_string(_asset("page.html")).render(
        report=report,
        small=small,
        policy=POLICY.format(script=f"sha256-{digest}"),
        script=Markup(script),
        style=Markup(style),
        audio={
            id(player): encode_clips(player.clips, audio_bytes // len(players), least=player.least)
            for player in players
        },
        index=player_index,
        version=VERSION,
        id=id,
    )
    return page.encode(errors="backslashreplace")  # paths that are not UTF-8


def _svg(plot: Plot) -> Markup:
    """Both drawings; the style sheet shows the one that fits the screen."""
    return Markup(page_svg(plot, PAGE) + page_svg(plot, PHONE))


def player_index(player: Player, sound: Sound) -> dict[str, Any]:
    """What the player must know of all clips before it reads one."""
    kept = sound.kept
    return {
        "versions": player.versions,
        "mixture": kept[0].lanes[0].node if kept else "",
        "opening": max(range(len(kept)), key=lambda place: kept[place].appeal, default=0),
        "clips": [
            {
                "title": clip.title,
                "scores": clip.scores,
                "nodes": list(dict.fromkeys(lane.node for lane in clip.lanes if lane.node and lane.sounds)),
            }
            for clip in kept
        ],
    }


def _script() -> str:
    """One script of all modules, whose names no other script can see."""
    return '"use strict";\n(() => {\n' + "\n".join(map(_asset, SCRIPTS)) + "})();\n"


def _asset(name: str) -> str:
    return (files("slakh_hier.reporting") / "assets" / name).read_text(encoding="utf-8")

"""A clip in a notebook: the player of the pages, small."""

from __future__ import annotations

from html import escape
from typing import Final

from slakh_hier.reporting.document import Player, Report, Section
from slakh_hier.reporting.page import render_page
from slakh_hier.reporting.set_clips import player_clip
from slakh_hier.shards.clip import Clip

BYTES: Final = 1_000_000
"""Base64 text of a clip's sound: what a notebook keeps for each one that was shown."""
LANE: Final = 33
"""Height of a signal (pixels)."""
CONTROLS: Final = 230
MOST: Final = 480
"""What is higher scrolls."""


def clip_player(clip: Clip) -> str:
    """A frame that holds everything it shows, and may do nothing but run its own script and save what is heard."""
    shown = player_clip(clip)
    player = Player("", [shown], clip.shards.masks)
    page = render_page(Report(shown.title, [Section("", [player])]), small=True, audio_bytes=BYTES).decode()
    height = min(MOST, CONTROLS + LANE * len(shown.lanes))
    return (
        f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts allow-downloads" title="{escape(shown.title)}" '
        f'style="width: 100%; height: {height}px; border: 0"></iframe>'
    )

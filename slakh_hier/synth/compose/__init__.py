"""Generating songs: seeded, in nine styles, with harmony, tunes, basses and drums."""

from slakh_hier.synth.compose.plan import SongPlan, plan_songs
from slakh_hier.synth.compose.song import ComposedSong, compose_song

__all__ = ["ComposedSong", "SongPlan", "compose_song", "plan_songs"]

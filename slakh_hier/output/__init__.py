"""What every command that makes something shares: its folder, its finished items, its audio files."""

from typing import Final

METADATA: Final = "metadata.yaml"
"""Of a track in Slakh's layout; people may edit it."""
SOURCE_MIDI: Final = "all_src.mid"
"""The song that such a track was made from, where it is there."""

"""The note that lists a track's files, as a stranger may have left it."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from slakh_hier.slakh.track_note import NOTE, damage, write_note


@pytest.fixture
def track(tmp_path):
    folder = tmp_path / "Track00001"
    (folder / "stems").mkdir(parents=True)
    soundfile.write(folder / "stems" / "S00.flac", np.arange(200, dtype=np.int16), 8000)
    (folder / "all_src.mid").write_bytes(b"MThd")
    write_note(folder)
    assert damage(folder) is None
    return folder


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        r'{"a\u0000b": {}}',
        r'{"\ud800": {}}',
        r'{"\u001b[2J": {}}',
        "[[1, 2]]",
        '[["all_src.mid", {"bytes": 4}]]',
        "[" * 100_000,
        '{"a": ' * 100_000,
        "7" * 10_000,
        '{"": {}}',
        '{"stems": {"bytes": 4096}}',
        '{"/etc/passwd": {}}',
        '{"../other": {"bytes": 4}}',
        '{"stems/../all_src.mid": {"bytes": 4}}',
        json.dumps({"x" * 5000: {}}),
        '{"all_src.mid": [4]}',
        "null",
    ],
    ids=lambda text: text[:12],
)
def test_any_note_is_a_reason_to_make_the_track_again(track, text):
    (track.parent / "other").write_bytes(b"MThd")
    (track / NOTE).write_text(text)
    said = damage(track)
    assert said
    assert said.isprintable()
    assert len(said) < 200


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", [NOTE, "all_src.mid", "stems/S00.flac", "stems"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_links_are_not_followed_and_pipes_not_waited_for(track, kind, name):
    place = track / name
    moved = shutil.move(place, track.parent / f"moved{place.suffix}")
    if kind == "link":
        place.symlink_to(moved)
    else:
        os.mkfifo(place)
    assert damage(track)

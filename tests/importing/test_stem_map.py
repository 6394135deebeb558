"""Which files a pattern means."""

from __future__ import annotations

import unicodedata

import pytest

from slakh_hier.importing import Pattern, parse_map


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("vocals", "vocals.wav", True),
        ("vocals", "VOCALS.WAV", True),
        ("vocals.wav", "vocals.wav", True),
        ("vocals.wav", "vocals.flac", False),
        ("vocals", "backing vocals.wav", False),
        ("*vox*", "01_LeadVox_2.flac", True),
        ("take?", "take1.wav", True),
        ("take?", "take12.wav", False),
        ("take[12]", "take3.wav", False),
        ("vocals", "Song_STEMS/vocals.wav", True),
        ("*_stems/vocals", "Song_STEMS/vocals.wav", True),
        ("raw/*", "Song_STEMS/vocals.wav", False),
        ("raw/*", "RAW/sub/vocals.wav", True),
        ("voc", "vo.c.wav", False),
        (unicodedata.normalize("NFC", "flöte"), unicodedata.normalize("NFD", "FLÖTE.wav"), True),
    ],
)
def test_patterns(pattern: str, path: str, fits: bool) -> None:
    assert Pattern(pattern, 1).fits(path) is fits


MAP = parse_map(
    'schema: 1\ninstruments:\n  lead: {files: ["*lead*"]}\n  guitar: {files: ["*guitar*", gtr]}\nmix: [mixture]\n',
    "m",
)


def test_the_first_instrument_decides() -> None:
    names = [
        MAP.instrument(path) for path in ("lead guitar.wav", "guitar lead.wav", "guitar 2.wav", "bass.wav")
    ]
    assert [found and found.name for found in names] == ["lead", "lead", "guitar", None]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("guitr.wav", "fits no pattern; the nearest is '*guitar*' of guitar (m:4): add a pattern for it, or ignore it"),
        ("x/Mixtur.wav", "fits no pattern; the nearest is 'mixture' of mix (m:5): add a pattern for it, or ignore it"),
        ("kazoo.wav", "fits no pattern of m: add a pattern for it, or ignore it"),
    ],
)  # fmt: skip
def test_hints(path: str, hint: str) -> None:
    assert MAP.hint(path) == hint

"""Which files a pattern means."""

from __future__ import annotations

import time
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


def test_exact_names_and_wildcards_decide_in_the_files_order() -> None:
    found = parse_map(
        'schema: 1\ninstruments:\n  a: {files: ["v*", x/one]}\n  b: {files: [vox, "x/*"]}\n  c: {files: [one, two, "?wo"]}\n',
        "m",
    )
    paths = (
        "vox.wav",
        "x/one.wav",
        "y/one.wav",
        "x/two.wav",
        "two.wav",
        "TWO.flac",
        "x/y/Three.wav",
        "three.wav",
    )
    owners = [instrument and instrument.name for instrument in map(found.instrument, paths)]
    assert owners == ["a", "a", "c", "b", "c", "c", "b", None]


def test_the_time_of_a_file_does_not_grow_with_the_number_of_names() -> None:
    """9 ms a file with 4,000 names and 93 with 4,200, once: each was tried, and only so many were kept compiled."""
    names = [f"stem {i}" for i in range(8000)]
    rules = "".join(f'  i{i}: {{files: ["{name}"]}}\n' for i, name in enumerate(names))
    found = parse_map(f"schema: 1\ninstruments:\n{rules}", "m")
    assert found.instrument("stem 0.wav") is not None  # the index is made
    before = time.process_time()
    owners = [found.instrument(f"folder/{name}.wav") for name in names]
    assert time.process_time() - before < 2
    assert [owner and owner.name for owner in owners] == [f"i{i}" for i in range(8000)]
    assert found.idle([f"{name}.wav" for name in names[1:]]) == [("i0", found.instruments[0].files[0])]


def test_idle_patterns() -> None:
    found = parse_map(
        'schema: 1\ninstruments:\n  a: {files: ["v*", "x/*", nothing]}\nignore: ["*click*"]\nmix: [x/mix]\n',
        "m",
    )
    idle = found.idle({"Vocals.wav", "x/mix.flac"})
    assert [(owner, pattern.text) for owner, pattern in idle] == [("ignore", "*click*"), ("a", "nothing")]

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import MetadataError
from slakh_hier.slakh.metadata import STEM_ID, read_metadata

REAL = Path(__file__).parents[1] / "data" / "metadata"
RELEASES = [
    "slakh2100_flac_redux__train__Track00001__metadata.yaml",
    "babyslakh_16k__Track00001__metadata.yaml",
]


@pytest.mark.parametrize("name", RELEASES)
def test_the_true_files(name):
    found = read_metadata((REAL / name).read_bytes(), name)
    assert found.uuid == "1a81ae092884234f3264e2f45927f00a"
    assert found.unusable == []
    # typed in from the file by hand
    assert [(stem, entry.patch, entry.program) for stem, entry in found.stems.items()] == [
        ("S00", "elektrik_guitar.nkm", 30),
        ("S01", "session_kit_full.nkm", 128),
        ("S02", "the_giant_modern_studio.nkm", 1),
        ("S03", "scarbee_rickenbacker_bass_palm_muted.nkm", 33),
        ("S04", "choir_o.nkm", 52),
        ("S05", "fever.nkm", 17),
        ("S06", None, 103),
        ("S07", "jazz_guitar2.nkm", 26),
        ("S08", "elektrik_guitar.nkm", 30),
        ("S09", "transistor_compact.nkm", 22),
        ("S10", "transistor_compact.nkm", 22),
    ]
    assert [stem for stem, entry in found.stems.items() if entry.is_drum] == ["S01"]
    assert found.stems["S06"].inst_class == "Sound Effects"
    assert found.stems["S06"].midi_program_name == "FX 8 (sci-fi)"
    assert not any(entry.warnings for entry in found.stems.values())


@pytest.mark.parametrize("name", RELEASES)
def test_the_true_files_against_plain_yaml(name):
    said = yaml.safe_load((REAL / name).read_text())["stems"]
    found = read_metadata((REAL / name).read_bytes(), name).stems
    assert {stem: (e.inst_class, e.midi_program_name, e.is_drum, e.program) for stem, e in found.items()} == {
        stem: (s["inst_class"], s["midi_program_name"], s["is_drum"], s["program_num"])
        for stem, s in said.items()
    }


def entry(text: str):
    return read_metadata(f"stems:\n  S00: {text}\n".encode(), "m").stems["S00"]


@pytest.mark.parametrize(
    ("name", "patch"),
    [
        ("/Volumes/samples/Kontakt/upright_bass.nkm", "upright_bass.nkm"),
        ("'C:\\Kontakt\\upright_bass.nkm'", "upright_bass.nkm"),
        ("None", None),
        ("null", None),
        ("''", None),
        ("AGML2.component", "AGML2.component"),
    ],
)
def test_patch_is_a_base_name(name, patch):
    assert entry(f"{{plugin_name: {name}, program_num: 3}}").patch == patch


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("{program_num: piano}", "program_num is 'piano'"),
        ("{program_num: 129}", "program_num is 129"),
        ("{program_num: -1}", "program_num is -1"),
        ("{program_num: true}", "program_num is True"),
        ("{program_num: 1.5}", "program_num is 1.5"),
        ("{is_drum: maybe}", "is_drum is 'maybe'"),
        ("{plugin_name: [a, b]}", "plugin_name is ['a', 'b']"),
        ("[1, 2]", "a list, not a mapping"),
        ("", "nothing, not a mapping"),
    ],
)
def test_a_value_of_no_use_is_doubted_and_the_others_stand(text, doubt):
    found = entry(text)
    assert doubt in found.warnings
    assert found.program is None


def test_missing_values():
    found = entry("{program_num: '128'}")
    assert (found.program, found.is_drum, found.patch, found.warnings) == (128, True, None, "")
    found = entry("{}")
    assert (found.program, found.is_drum, found.patch, found.warnings) == (None, False, None, "")


@pytest.mark.parametrize(
    ("uuid", "song"),
    [
        ("1A81AE092884234F3264E2F45927F00A", "1a81ae092884234f3264e2f45927f00a"),
        ("12345678901234567890123456789012", "12345678901234567890123456789012"),
        ("8d10ea15-d5a1-8087-3ce4-195011fe9f5f", None),
        ("1a81ae092884234f3264e2f45927f00", None),
        ("[1]", None),
        ("../../etc/passwd", None),
    ],
)
def test_song(uuid, song):
    assert read_metadata(f"UUID: {uuid}\nstems: {{}}\n".encode(), "m").uuid == song


@pytest.mark.parametrize(
    "stem",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "S0",
        "S0000",
        '"S00\\n"',
        '"S\\u0660\\u0661"',
        '"S00\\0"',
        "s00",
        "7",
    ],
)
def test_ids_that_are_not_plain_are_never_used(stem):
    found = read_metadata(f"stems:\n  {stem}: {{program_num: 0}}\n  S01: {{program_num: 0}}\n".encode(), "m")
    assert list(found.stems) == ["S01"]
    assert len(found.unusable) == 1


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "m.yaml:1:1", ""),
        ("- a\n", "m.yaml:1:1", "a list"),
        ("UUID: x\n", "m.yaml:1:1", "the key stems is missing"),
        ("UUID: x\nstems: 3\n", "m.yaml:2:1", "stems must map"),
        ("UUID: x\nstems:\n", "m.yaml:2:1", "stems must map ids (S00) to stems, not nothing"),
        ("UUID: x\nstems: [\n", "m.yaml:3:1", ""),
        ("stems:\n  S00: {}\n  S00: {}\n", "m.yaml:3:3", "S00"),
        ("stems: &a {}\nother: *a\n", "m.yaml:1:8", "anchor"),
    ],
)
def test_unreadable_metadata_name_the_place(text, where, words):
    with pytest.raises(MetadataError) as caught:
        read_metadata(text.encode(), "m.yaml")
    assert where in str(caught.value)
    assert words in str(caught.value)


def test_ids_and_values_of_any_length_are_reported_in_short():
    odd, long = "x" * 300, "y" * 100_000
    text = f"stems:\n  {odd}: {{}}\n  ? {long}\n  : {{}}\n  S01: {{program_num: {long}, plugin_name: [{long}]}}\n"
    found = read_metadata(text.encode(), "m")
    assert list(found.stems) == ["S01"]
    assert [reason.endswith("... is not a stem id (S00 to S999)") for reason in found.unusable] == [
        True,
        True,
    ]
    assert max(map(len, [*found.unusable, found.stems["S01"].warnings])) < 300


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)
STEM = st.dictionaries(
    st.sampled_from(["program_num", "is_drum", "plugin_name", "midi_program_name", "inst_class", "other"]),
    VALUES,
)
SHAPED = st.fixed_dictionaries(
    {}, optional={"UUID": VALUES, "stems": VALUES | st.dictionaries(st.from_regex("S[0-9]{1,3}") | st.text(), STEM | VALUES)}
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300) | st.text().map(str.encode))
def test_no_bytes_end_in_another_error(bounded, data):
    with bounded(), suppress(MetadataError):
        read_metadata(data, "m")


@settings(max_examples=200, deadline=None)
@given(content=SHAPED | VALUES)
def test_no_values_end_in_another_error(bounded, content):
    data = yaml.safe_dump(content, allow_unicode=True).encode()
    with bounded(), suppress(MetadataError):
        found = read_metadata(data, "m")
        assert all(STEM_ID.fullmatch(stem) for stem in found.stems)
        assert all(entry.program is None or 0 <= entry.program <= 128 for entry in found.stems.values())


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_ends_in_another_error(bounded, data):
    path = data.draw(st.sampled_from(sorted(REAL.glob("*.yaml"))))
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
    with bounded(), suppress(MetadataError):
        read_metadata(bytes(damaged), "m")


LOAD = r"""
import re, resource, sys, time
from pathlib import Path
from slakh_hier import load_hierarchy, scan
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
began = time.process_time()
catalog = scan(sys.argv[1], load_hierarchy("slakh34"), jobs=1, cache=False)
seconds = time.process_time() - began
# Not ru_maxrss, which counts the process that this one was forked from.
kilobytes = int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
print(catalog.frame["track"].nunique(), seconds, kilobytes / 1024)
"""


def test_as_many_metadata_files_as_slakh_has_take_little_time_and_memory(tmp_path):
    text = (REAL / "slakh2100_flac_redux__train__Track00001__metadata.yaml").read_text()
    for number in range(2100):
        folder = tmp_path / f"Track{number:05d}"
        folder.mkdir()
        (folder / "metadata.yaml").write_text(re.sub("UUID: .*", f"UUID: {number:032x}", text))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    tracks, seconds, megabytes = map(float, done.stdout.split())
    assert tracks == 2100
    assert seconds < 60  # some 7 s on a machine that does nothing else
    assert megabytes < 400


def test_what_data_sets_of_recordings_say() -> None:
    text = (
        "artist: ' The Band '\nstems:\n"
        "  S00: {labels: [bass, bass_guitar], has_bleed: true, faults: [hum, 'clicks (a page)']}\n"
        "  S01: {labels: bass, has_bleed: 1, faults: null}\n"
        "  S02: {labels: [bass, 5]}\n"
    )
    found = read_metadata(text.encode(), "m")
    assert found.artist == "The Band"
    first, second, third = found.stems.values()
    assert (first.labels, first.bleed, first.faults) == ("bass/bass_guitar", True, "hum; clicks (a page)")
    assert (second.labels, second.bleed, second.faults) == (None, False, "")
    assert "labels is 'bass', not a list of texts" in second.warnings
    assert "labels is ['bass', 5], not a list of texts" in third.warnings

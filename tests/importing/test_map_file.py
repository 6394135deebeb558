"""Maps: what they mean, and what the strict reader refuses, where and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.importing import load_map, parse_map

GOOD = """\
schema: 1
instruments:
  vocals: {files: [vocals, "*vox*"]}
  drums: {files: [drums], drums: true}
  bass:
    files: [bass]
    program: 33
ignore: ["*click*"]
mix: [mixture]
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_map(text, "m.yaml")
    return [f"{p.line}:{p.column}: {p.message}" for p in caught.value.problems]


def test_the_good_map() -> None:
    found = parse_map(GOOD, "m.yaml")
    vocals, drums, bass = found.instruments
    assert vocals.labels() == {
        "inst_class": "vocals",
        "midi_program_name": "vocals",
        "is_drum": False,
        "plugin_name": "None",
        "program_num": None,
    }
    assert (drums.labels()["is_drum"], drums.labels()["program_num"]) == (True, 128)
    assert (bass.program, bass.patch, found.text) == (33, None, GOOD)
    assert [pattern.text for pattern in (*found.ignore, *found.mix)] == ["*click*", "mixture"]


def test_every_label_can_be_given() -> None:
    text = "{files: [x], program: 27, patch: funk_guitar.nkm, midi_program_name: Clean Guitar, inst_class: Guitar}"
    (guitar,) = parse_map(f"schema: 1\ninstruments:\n  my guitar: {text}\n", "m.yaml").instruments
    assert guitar.labels() == {
        "inst_class": "Guitar",
        "midi_program_name": "Clean Guitar",
        "is_drum": False,
        "plugin_name": "funk_guitar.nkm",
        "program_num": 27,
    }


# A change to the good map, with an arrow at the place of the one problem that it makes.
SINGLE = {
    "duplicate key": ("mix: [mixture]", "→ignore: [mixture]", "the key 'ignore' appears twice (first in line 8)"),
    "unknown top key": ("mix: [mixture]", "→mixes: [mixture]", "unknown key 'mixes': did you mean 'mix'?"),
    "unknown rule key": ("program: 33", "→programm: 33", "unknown key 'programm': did you mean 'program'?"),
    "quite unknown key": ("program: 33", "→zzz: 33", "unknown key 'zzz': known here: files, drums, program, patch, midi_program_name, inst_class"),
    "version": ("schema: 1", "schema: →2", "this is a map of version 2, and this slakh-hier reads version 1"),
    "program too high": ("program: 33", "program: →129", "program must be a number from 0 to 127 (128: drums), not the number 129"),
    "program is text": ("program: 33", "program: →bass", "program must be a number from 0 to 127 (128: drums), not 'bass'"),
    "octal": ("program: 33", "program: →033", "YAML reads 033 as the number 27: it is octal. Write 33, or put the text in quotes"),
    "drums yes": ("drums: true", "drums: →maybe", "drums must be true or false, not 'maybe'"),
    "drums and program": ("drums: true", "drums: true, program: →3", "drums have no program 3: remove it, or drums: true"),
    "patch": ("program: 33", "patch: →a/b.nkm", "a patch is a file name without folders or spaces around it: write b.nkm"),
    "patch none": ("program: 33", "patch: →12", "patch must be text, not the number 12"),
    "one pattern without a list": ("files: [bass]", "files: →bass", "files must be a list of patterns, not 'bass': write ['bass']"),
    "empty list": ("[mixture]", "→[]", "mix must be a list of patterns, not a list"),
    "pattern is a number": ("[mixture]", "[→7]", "a pattern must be text, not the number 7: put it in quotes"),
    "pattern no": ("[mixture]", "[→no]", "a pattern must be text, not no, which YAML reads as false: put it in quotes"),
    "pattern twice": ("[mixture]", "[→Drums]", "the pattern 'Drums' is there twice: drums has it already (line 4)"),
    "absolute": ("[mixture]", "[→/tmp/mixture]", "'/tmp/mixture' leads out of the song's folder: patterns begin inside it"),
    "outside": ("[mixture]", "[→../mixture]", "'../mixture' leads out of the song's folder: patterns begin inside it"),
    "backslash": ("[mixture]", "[→a\\b]", "'a\\\\b' holds a backslash: folders are written with /"),
    "star without quotes": ('"*vox*"', "*vox→*", "not YAML: did not find expected alphabetic or numeric character while scanning an alias (put text that starts with * in quotes)"),
    "alias": ('"*vox*"', "→*vox", "the alias *vox is not allowed: write the value out (put text that starts with * in quotes)"),
    "no rule": ('vocals: {files: [vocals, "*vox*"]}', "vocals: →[vocals]", "vocals needs its files: write vocals: {files: [...]}, not a list"),
    "no files": ('vocals: {files: [vocals, "*vox*"]}', "→vocals: {program: 52}", "vocals has no files: add files: [...] with its patterns"),
    "names that differ in case": ("bass:", "→VOCALS:", "VOCALS differs from vocals (line 3) only in case or spaces"),
    "name is a number": ("  bass:", "  →7:", "an instrument's name must be text of 1 to 100 characters: put it in quotes"),
    "empty word": ("program: 33", "inst_class: →''", "inst_class must be text, not '': put it in quotes"),
    "songs": ("mix: [mixture]", "songs: [→/x]", "'/x' names no folders below the stems: write '*' for each level, as in '*/*'"),
}  # fmt: skip


@pytest.mark.parametrize("case", SINGLE)
def test_one_problem(case: str) -> None:
    old, new, message = SINGLE[case]
    assert GOOD.count(old) == 1
    text = GOOD.replace(old, new)
    before = text[: text.index("→")]
    found = problems(text.replace("→", ""))
    column = len(before) - before.rfind("\n")
    assert found == [f"{before.count(chr(10)) + 1}:{column}: {message}"]


def test_all_problems_in_one_report() -> None:
    text = "schema: 3\nextra: 1\ninstruments:\n  a: {files: x}\n  b: {program: 200, files: [y]}\nmix: [y]\n"
    places = [problem.split(" ")[0] for problem in problems(text)]
    assert places == ["1:9:", "2:1:", "4:14:", "5:16:", "6:7:"]  # the last: y is there twice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file holds nothing but comments or white space"),
        ("[]", "1:1: a map has keys (schema, instruments, ignore, mix, songs), not a list"),
        ("schema: 1\n", "1:1: the key 'instruments' is missing"),
        ("instruments: {a: {files: [a]}}\n", "1:1: the key 'schema' is missing"),
        ("schema: 1\ninstruments: {}\n", "2:14: instruments must be names with their files (bass: {files: [bass]}), not keys with values"),
    ],
)  # fmt: skip
def test_no_map_at_all(text: str, message: str) -> None:
    assert problems(text) == [message]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.yaml: the map cannot be read: No such file.*--new-map"):
        load_map(tmp_path / "no.yaml")

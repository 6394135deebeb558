"""The YAML reader against PyYAML's own safe loader, and against hostile files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slakh_hier import safe_yaml
from slakh_hier.errors import MetadataError, TextError

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.dates()
    | st.sampled_from(["no", "024", "12:30", "1e3", "~", "=", "<<", "0x1f", "2001-01-01", "S00", "None", ""])
)
keys = st.text(min_size=1, max_size=8) | st.integers(-5, 300)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


@given(documents, st.booleans(), st.integers(20, 200))
@settings(max_examples=150, deadline=None)
def test_reads_what_pyyaml_writes(value: Any, flow: bool, width: int) -> None:
    text = yaml.dump(value, Dumper=NoAliases, default_flow_style=flow, width=width, allow_unicode=flow)
    assert safe_yaml.load(text.encode(), "f.yaml") == yaml.safe_load(text)


@given(
    st.recursive(
        st.text(max_size=20), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9
    )
)
@settings(max_examples=100, deadline=None)
def test_reads_json(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    try:
        expected = yaml.safe_load(text)
    except yaml.YAMLError:  # JSON allows characters that YAML does not
        with pytest.raises(TextError):
            safe_yaml.load(text.encode(), "f.json")
    else:
        assert safe_yaml.load(text.encode(), "f.json") == expected


@given(st.text(st.sampled_from("0123456789abcxeE+-._:~TZ tnofys<="), min_size=1, max_size=12))
@example("2021-02-30")
@example("190:20:30.15")
@example("0o14")
@example(".inf")
@settings(max_examples=400, deadline=None)
def test_plain_scalars_have_pyyamls_types(text: str) -> None:
    data = f"- {text}\n"
    try:
        expected = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError):
        if text.strip() in ("=", "<<"):  # PyYAML resolves them, but has no value for them
            assert safe_yaml.load(data.encode(), "f") == [text.strip()]
        return
    got = safe_yaml.load(data.encode(), "f.yaml")
    assert repr(got) == repr(expected)  # repr, for NaN and for the difference of 1 and True


def test_c_and_pure_parser_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "a: [1, {b: c}]\nd: |\n  x\n",
        "ä: ü\nlist:\n- 1\n- [2]\n",
        "a: 1\na: 2\nb: *x\n",
        "a: [\n",
        "\ta",
    ]
    results = []
    for pure in (False, True):
        if pure:
            monkeypatch.setattr(safe_yaml, "_PARSER", yaml.SafeLoader)
        for text in texts:
            value, places, problems = safe_yaml.read_marked(text.encode(), "f")
            results.append(
                (value, dict(places), [(p.line, p.column) for p in problems if "YAML:" not in p.message])
            )
    assert results[: len(texts)] == results[len(texts) :]


REFUSED = [
    ("a: 1\nb: 2\na: 3\n", 3, 1, "'a' appears twice (first in line 1)"),
    ("{1: a, 0x1: b}", 1, 8, "appears twice"),
    ("x: {a: 1,\n    a: 2}", 2, 5, "appears twice"),
    ("a: &x 1\n", 1, 4, "anchor &x"),
    ("a: 1\nb: *x\n", 2, 4, "alias *x"),
    ("- 1\n- <<: {a: 1}\n", 2, 3, "merge key"),
    ("a: !!python/object:os.system x\n", 1, 4, "tag"),
    ("a: !!str 5\n", 1, 4, "tag"),
    ("a: 1\n---\nb: 2\n", 2, 1, "second YAML document"),
    ("? [1, 2]\n: x\n", 1, 3, "key must be"),
    ("{? {a: b} : c}", 1, 4, "key must be"),
    ("", 1, 1, "holds nothing"),
    ("# only a comment\n", 1, 1, "holds nothing"),
    ("[" * 40, 1, 33, "32 deep"),
    ("a:\n  b: \x07\n", 2, 6, "U+0007"),
    ("a: 2021-02-30\n", 1, 4, "not a number or date"),
    ("a: " + "9" * 5000, 1, 4, "too long"),
    ("a: [1, 2\nb: 3\n", 2, 2, "bracket is not closed"),
    ("a: b: c\n", 1, 5, "in quotes"),
    ("a:\n\tb: 1\n", 2, 1, "not tabs"),
    ('a: "x\n', 2, 1, "quote is not closed"),
]


@pytest.mark.parametrize(("text", "line", "column", "part"), REFUSED)
def test_refuses_with_the_place(text: str, line: int, column: int, part: str) -> None:
    for read in (safe_yaml.load, safe_yaml.load_marked):
        with pytest.raises(TextError) as caught:
            read(text.encode(), "some/file.yaml")
        assert [p.line for p in caught.value.problems] == [line]
        assert [p.column for p in caught.value.problems] == [column]
        assert part in str(caught.value)
        assert str(caught.value).startswith(f"some/file.yaml:{line}:{column}: ")


def test_reports_all_problems_of_a_file_sorted() -> None:
    with pytest.raises(MetadataError) as caught:
        safe_yaml.load(b"a: 1\nb: *x\na: &y 2\nc: !!int 3\nd: {<<: 1}\n", "f", error=MetadataError)
    assert [(p.line, p.column) for p in caught.value.problems] == [(2, 4), (3, 1), (3, 4), (4, 4), (5, 5)]


def test_refuses_other_encodings_and_sizes() -> None:
    for data, line, column in (
        ("a: ä\n".encode("latin-1"), 1, 4),
        ("a: 1".encode("utf-16"), 1, 1),
        (b"a: 1\nb: \xff", 2, 4),
    ):
        with pytest.raises(TextError, match="UTF-8") as caught:
            safe_yaml.load(data, "f")
        assert (caught.value.problems[0].line, caught.value.problems[0].column) == (line, column)
    with pytest.raises(TextError, match="more than 10 are"):
        safe_yaml.load(b"a: 1234567890", "f", max_bytes=10)
    with pytest.raises(TextError, match="more than 1,048,576 are"):
        safe_yaml.load(b"a: " + b"x" * (2 << 20), "f")
    with pytest.raises(TextError, match="100,000 YAML events"):
        safe_yaml.load(b"[" + b"1," * 200_000 + b"]", "f")
    assert safe_yaml.load(b"\xef\xbb\xbfa: 1\n", "f") == {"a": 1}


def test_first_value_of_a_double_key_counts_and_an_alias_is_empty() -> None:
    value, places, problems = safe_yaml.read_marked(b"a: 1\na: {b: 2}\nc: *d\n", "f")
    assert not places.complete
    assert safe_yaml.read_marked(b"a: &x !!int 3", "f")[1].complete
    assert value == {"a": 1, "c": None}
    assert len(problems) == 2
    assert places[("a",)].line == 1
    assert ("a", "b") not in places


def test_places() -> None:
    _, places = safe_yaml.load_marked("top:\n  nö: [024, 'x', \"y\"]\n  5:  12:30\n".encode(), "f")
    assert places[("top", "nö", 0)] == (2, 8, 2, 8, "024", None)
    assert places[("top", "nö", 1)] == (2, 13, 2, 13, None, None)
    assert places[("top", 5)] == (3, 7, 3, 3, "12:30", "5")
    assert places[()] == (1, 1, 1, 1, None, None)
    assert places.nearest(("top", "nö", 9, "deeper")) == places[("top", "nö")]
    assert set(places) == {(), ("top",), ("top", "nö"), *(("top", "nö", i) for i in range(3)), ("top", 5)}


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "{a: " * 50_000, "- " * 200_000, "? " * 100_000, "a: " + "1:" * 400_000],
    ids=["lists", "mappings", "dashes", "question marks", "sexagesimal"],
)
def test_deep_files_neither_crash_nor_take_long(text: str) -> None:
    code = (
        "import sys; from slakh_hier import safe_yaml; from slakh_hier.errors import TextError\n"
        "try: safe_yaml.load(sys.stdin.buffer.read(), 'f')\n"
        "except TextError: print('refused')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, input=text.encode(), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"refused\n"), done.stderr.decode()


def test_merge_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 24)]
    began = time.perf_counter()
    with pytest.raises(TextError):
        safe_yaml.load("\n".join(lines).encode(), "f")
    assert time.perf_counter() - began < 1.0  # PyYAML: minutes


def test_metadata_of_music(music: Path) -> None:
    files = sorted(music.rglob("metadata.yaml"))
    assert files
    for file in files:
        data = file.read_bytes()
        assert safe_yaml.load(data, str(file)) == yaml.safe_load(data)

"""Names that were meant, texts that a terminal only shows, and commands that it takes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from slakh_hier.wording import counted, did_you_mean, escaped, nearest, typed

SPLITS = ("train", "validation", "test")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("tarin", "train"), ("TRAIN", "train"), ("val", "validation"), ("valdation", "validation"), ("t", None), ("dev", None),
        ("te", "test"), ("", None), ("x" * 10_000, None),
    ],
)  # fmt: skip
def test_nearest(word, meant):
    assert nearest(word, SPLITS) == meant


def test_a_beginning_of_two_names_is_compared_as_a_whole():
    assert nearest("leaf-5", ["leaf-50", "leaf-55", "leaf-90"]) in ("leaf-50", "leaf-55")
    assert nearest("strin", ["strings", "string_bass"]) == "strings"


def test_did_you_mean():
    assert did_you_mean("tarin", SPLITS) == "did you mean train?"
    assert did_you_mean("dev", SPLITS) == "there are train, validation, test"
    assert did_you_mean("dev", []) == "there are none"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: 3 / 4", "plain: 3 / 4"),
        ("Čembalo 日本 🎹", "Čembalo 日本 🎹"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\x7f\x9b", r"a\x0ab\x09c\x7f\x9b"),
        ("\u202egpj.exe\u2066\u200f", r"\u202egpj.exe\u2066\u200f"),
        ("\u2028x\U000e0041", r"\u2028x\U000e0041"),
        (b"caf\xe9".decode(errors="surrogateescape"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
    ],
)
def test_escaped(text, shown):
    assert escaped(text) == shown
    shown.encode()


def test_a_command_can_be_typed_as_it_is_shown():
    assert typed("scan", Path("my data"), "--deep") == "slakh-hier scan 'my data' --deep"
    words = ["mask", Path("it's"), "--add", "leaf-50"]
    assert shlex.split(typed(*words)) == ["slakh-hier", *map(str, words)]


def test_kept_characters():
    assert escaped("a\n\x1bb", keep="\n") == "a\n\\x1bb"


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (1, "epoch", "1 epoch"),
        (2100, "epoch", "2,100 epochs"),
        (0, "category", "0 categories"),
        (1, "category", "1 category"),
    ],
)
def test_counted(number, noun, said):
    assert counted(number, noun) == said
